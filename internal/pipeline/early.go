package pipeline

import (
	"bytes"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// A probe tells of a write when the library's function returns, which is after
// the peer could read it. Its answer, read by another thread, may therefore be
// told of first. So what is received of TLS waits for a moment when it can
// only be an answer to something that was not told of yet.

const (
	// overtaking is how late the record of a write may come: the time of a
	// trap, and of a thread that had to wait for its CPU.
	overtaking = uint64(20 * time.Millisecond)
	// maxEarlyBytes bounds what waits on one connection.
	maxEarlyBytes = 256 << 10
)

// earlyData is what waits, in order.
type earlyData struct {
	waiting []*event.Data
	bytes   int
}

// hold keeps a copy; false when there is no room.
func (e *earlyData) hold(d *event.Data) bool {
	if e.bytes+len(d.Payload) > maxEarlyBytes {
		return false
	}
	kept := *d
	kept.Payload = bytes.Clone(d.Payload)
	e.waiting = append(e.waiting, &kept)
	e.bytes += len(d.Payload)
	return true
}

// first returns what has waited for the longest time, nil when nothing does.
func (e *earlyData) first() *event.Data {
	if len(e.waiting) == 0 {
		return nil
	}
	return e.waiting[0]
}

// take removes the first.
func (e *earlyData) take() {
	e.bytes -= len(e.waiting[0].Payload)
	if e.waiting = e.waiting[1:]; len(e.waiting) == 0 {
		e.waiting = nil
	}
}

// isEarly reports whether bytes have to wait. Those that follow others which
// wait have to as well; when there is no room, all are read at once.
func (c *connection) isEarly(d *event.Data) bool {
	if d.Source == event.SourceSocket || d.Direction != event.Receive || !c.readable() || c.lanes[event.Receive].opaque {
		return false
	}
	if c.early.first() != nil {
		if c.early.bytes+len(d.Payload) <= maxEarlyBytes {
			return true
		}
		c.readEarly()
		return false
	}
	return c.overtakes()
}

// overtakes reports whether received bytes come before their cause: an answer
// without a question at the client, or at the server a question while the one
// before is not answered.
func (c *connection) overtakes() bool {
	unanswered := c.pairing != nil && c.pairing.Unanswered()
	switch c.noun.Role {
	case event.RoleClient:
		return !unanswered
	case event.RoleServer:
		return unanswered
	default:
		return false
	}
}

// readEarly reads everything that waits.
func (c *connection) readEarly() {
	for held := c.early.first(); held != nil; held = c.early.first() {
		c.early.take()
		c.read(held)
	}
}

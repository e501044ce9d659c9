package pipeline

import (
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

const (
	// idleOpen is how long an open transaction may stand still.
	idleOpen = uint64(5 * time.Minute)
	// idleUnix is how long a connection is remembered whose close may have had
	// no event, which is so of Unix sockets.
	idleUnix = uint64(10 * time.Minute)
	// idleTCP is how long a TCP connection is remembered: longer than proxies
	// and servers keep an idle one, shorter than lost closes accumulate.
	idleTCP = uint64(time.Hour)
	// sweepInterval is how often silent connections are looked for.
	sweepInterval = uint64(10 * time.Second)
)

// add makes room for a connection and adds it.
func (s *shard) add(id uint64) *connection {
	for len(s.connections) >= s.capacity && s.recent.oldest != nil {
		s.tally.evicted.Add(1)
		s.recent.oldest.giveUp(event.ReasonMemoryBudget)
	}
	c := newConnection(s, id)
	s.connections[id] = c
	s.tally.connections.Add(1)
	return c
}

// adopt adds a connection whose open record was lost, or that was forgotten.
// All that is known of it is who moved the bytes.
func (s *shard) adopt(d *event.Data) *connection {
	c := s.add(d.Connection)
	c.noun.FirstSeen = d.Time
	c.noun.Process = transaction.ProcessKey{PID: d.PID, Generation: d.Generation}
	if d.Flags&event.FlagLost != 0 {
		c.noun.Missing = c.noun.Missing.With(event.ReasonRingFull)
	}
	return c
}

// touch notes that the connection moved something at a time.
func (s *shard) touch(c *connection, at uint64) {
	c.moved = max(at, s.now)
	s.recent.touch(c)
}

// forget removes a connection that has ended.
func (s *shard) forget(c *connection) {
	s.recent.remove(c)
	delete(s.connections, c.noun.ID)
	s.tally.connections.Add(-1)
	c.gone = true
}

// wait makes sure that the connection is told of marks.
func (s *shard) wait(c *connection) {
	if !c.waits {
		c.waits = true
		s.waiting = append(s.waiting, c)
	}
}

// advance tells the waiting connections of the last mark.
func (s *shard) advance() {
	kept := s.waiting[:0]
	for _, c := range s.waiting {
		if !c.gone {
			c.advance(s.now)
		}
		if c.waits = !c.gone && c.isWaiting(); c.waits {
			kept = append(kept, c)
		}
	}
	clear(s.waiting[len(kept):])
	s.waiting = kept
}

// sweep looks for silent connections, the oldest first.
func (s *shard) sweep() {
	if s.now-s.swept < sweepInterval {
		return
	}
	s.swept = s.now
	for c := s.recent.oldest; c != nil; {
		silent := s.now - min(c.moved, s.now)
		if silent < min(idleOpen, idleUnix) {
			return
		}
		next := c.newer
		switch {
		case c.open() > 0:
			if silent >= idleOpen {
				c.interrupt(event.ReasonIdle)
			}
		case c.endsUnseen() && silent >= idleUnix, silent >= idleTCP:
			s.tally.forgotten.Add(1)
			c.giveUp(event.ReasonIdle)
		}
		c = next
	}
}

// endsUnseen reports whether the end of the connection may have no event: that
// of a Unix socket, and that of a TLS session whose socket is not known.
func (c *connection) endsUnseen() bool {
	return c.noun.Unix || c.noun.Source != event.SourceSocket && !c.noun.Remote.IsValid()
}

// shutdown gives up everything that is open.
func (s *shard) shutdown() {
	for s.recent.oldest != nil {
		s.recent.oldest.giveUp(event.ReasonShutdown)
	}
}

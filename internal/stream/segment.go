package stream

import (
	"bytes"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// segment is one record: size bytes at position, of which payload is the
// beginning and the rest is missing for reason.
type segment struct {
	position uint64
	payload  []byte
	stamp    event.Stamp
	size     uint64
	reason   event.Reason
	lost     bool // a record of this direction was refused before this one
	adopted  bool // what is before it was not submitted on purpose
}

// segmentOf aliases the record of d.
func segmentOf(d *event.Data) segment {
	return segment{
		position: d.Position,
		payload:  d.Payload[:min(len(d.Payload), int(d.Size))],
		size:     uint64(d.Size),
		reason:   d.Reason,
		lost:     d.Flags&event.FlagLost != 0,
		adopted:  d.Flags&event.FlagAdopted != 0,
		stamp: event.Stamp{
			Time: d.Time, Generation: d.Generation, PID: d.PID, Source: d.Source,
			Begins: d.Flags&event.FlagBegins != 0,
		},
	}
}

func (g *segment) end() uint64 { return g.position + g.size }

// cost is what the segment takes from the budget while it is held.
func (g *segment) cost() int { return len(g.payload) + segmentBytes }

// hide forgets the bytes, because it is not certain where they belong.
func (g *segment) hide() { g.payload, g.reason = nil, event.ReasonNotSeen }

// same reports whether two records say the same of the same bytes.
func (g *segment) same(other *segment) bool {
	return g.position == other.position && g.size == other.size && bytes.Equal(g.payload, other.payload)
}

// reasonBefore says why there is a hole before the segment. joins says that
// the hole is where a stream begins that was open before it was seen.
func (g *segment) reasonBefore(joins bool) event.Reason {
	switch {
	case g.lost:
		return event.ReasonRingFull
	case g.adopted || joins:
		return event.ReasonJoinedLate
	default:
		return event.ReasonNotSeen
	}
}

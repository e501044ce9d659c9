package stream

import (
	"bytes"
	"slices"
	"sort"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// take gives a segment that begins at next, and what waited for it.
func (s *Stream) take(g *segment) {
	s.give(g)
	s.drain()
}

// give gives a segment that begins at next.
func (s *Stream) give(g *segment) {
	if len(g.payload) > 0 {
		s.next += uint64(len(g.payload))
		s.consumer.Bytes(g.payload, g.stamp)
	}
	if g.end() > s.next {
		reason := g.reason
		if reason == event.ReasonNone {
			reason = event.ReasonUnreadable
		}
		s.gap(g.end(), reason, g.stamp)
	}
}

// gap gives the hole from next up to the position.
func (s *Stream) gap(to uint64, r event.Reason, at event.Stamp) {
	g := event.Gap{From: s.next, To: to, Reason: r}
	at.Begins = false
	s.next = to
	s.consumer.Gap(g, at)
}

// hold keeps a copy of a segment at or ahead of next.
func (s *Stream) hold(g segment) {
	i := sort.Search(len(s.held), func(i int) bool { return s.held[i].end() > g.position })
	if i < len(s.held) && s.held[i].position < g.end() {
		if s.held[i].same(&g) {
			s.terms.Late.Add(g.size)
		} else {
			s.contradict(i, g)
		}
		return
	}
	cost := g.cost()
	if len(s.held) >= maxSegments || s.heldSize+cost > s.terms.heldBytes() || !s.terms.Budget.Take(cost) {
		s.giveWithoutWaiting(g)
		return
	}
	s.heldSize += cost
	g.payload = bytes.Clone(g.payload)
	s.held = slices.Insert(s.held, i, g)
}

// giveWithoutWaiting gives up what is missing before a segment that there is
// no room for.
func (s *Stream) giveWithoutWaiting(g segment) {
	if s.suspect {
		s.terms.Doubtful.Add(g.size)
		g.hide()
	}
	s.skipTo(g.position, event.ReasonMemoryBudget, event.ReasonMemoryBudget, g.stamp)
	s.take(&g)
}

// skipTo gives up the holes before the position: the last one for the reason
// last, the others for the reason r, or for their own when that is none.
func (s *Stream) skipTo(position uint64, r, last event.Reason, at event.Stamp) {
	for len(s.held) > 0 && s.held[0].position < position {
		s.giveFirst(r)
	}
	if position > s.next {
		s.gap(position, last, at)
	}
}

// giveFirst gives up the hole before the first held segment and gives the
// segment. Without a reason the segment tells it.
func (s *Stream) giveFirst(r event.Reason) {
	first := s.held[0]
	if first.position > s.next {
		if r == event.ReasonNone {
			r = first.reasonBefore(s.late && s.next == 0)
		}
		s.gap(first.position, r, first.stamp)
	}
	s.give(&first)
	s.forget(1)
	if !s.suspect {
		s.drain()
	}
}

// drain gives the held segments that have become contiguous.
func (s *Stream) drain() {
	n := 0
	for n < len(s.held) && s.held[n].position == s.next {
		s.give(&s.held[n])
		n++
	}
	s.forget(n)
}

// forget removes the first n held segments.
func (s *Stream) forget(n int) {
	if n == 0 {
		return
	}
	cost := 0
	for i := range n {
		cost += s.held[i].cost()
	}
	s.heldSize -= cost
	s.terms.Budget.Give(cost)
	if n == len(s.held) {
		s.held = nil
		return
	}
	s.held = slices.Delete(s.held, 0, n)
}

// drop forgets everything that is held.
func (s *Stream) drop() { s.forget(len(s.held)) }

// heldEnd returns the position after the last held byte, 0 when none is held.
func (s *Stream) heldEnd() uint64 {
	if len(s.held) == 0 {
		return 0
	}
	return s.held[len(s.held)-1].end()
}

package stream

import (
	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// Consumer takes one direction in order; an HTTP/1 parser is one.
type Consumer interface {
	// Bytes follow what came before. They are valid during the call only.
	Bytes(b []byte, at event.Stamp)
	// Gap stands in place of bytes that are not known. It is never empty.
	Gap(g event.Gap, at event.Stamp)
	// Close comes once and last. It is orderly when the sender finished the
	// direction and everything before the end was given.
	Close(orderly bool, at event.Stamp)
}

// End is what is known of a direction when its connection has ended.
type End struct {
	Position uint64 // after the last byte that the application moved
	Known    bool   // Position is known
	Orderly  bool   // the application ended the direction itself
	Lost     bool   // a record of the connection was refused by a full ring
}

// Stream is one direction of one connection. Not safe for concurrent use; the
// consumer must not call back into it.
type Stream struct {
	consumer Consumer
	terms    *Terms
	next     uint64    // position of the next byte to give
	held     []segment // ahead of next, in order, without overlaps
	heldSize int       // taken from the budget
	doubtful uint64    // records up to this time may be pieces of calls in doubt
	suspect  bool      // positions contradicted each other (doubt.go)
	state    state
	late     bool // open before it was first seen: a hole at the start is not a loss
	last     ending
}

type state uint8

const (
	open state = iota
	over       // the connection ended, bytes before that are awaited
	closed
)

// ending is what is known of the end of a stream.
type ending struct {
	finish   uint64 // position of the end that the sender announced
	final    uint64 // position of the end of what the application moved (over)
	deadline uint64 // ns; a mark beyond it ends the wait for what is before the end; 0 is none
	stamp    event.Stamp
	finished bool // finish is known
	reset    bool // … and is not an orderly one
	orderly  bool // final is an orderly end
	lost     bool // a hole before the end is a loss
}

// New returns the stream of one direction. late says that the connection was
// open before it was first seen.
func New(consumer Consumer, terms *Terms, late bool) *Stream {
	return &Stream{consumer: consumer, terms: terms, late: late}
}

// Extent returns the position up to which bytes and gaps were given.
func (s *Stream) Extent() uint64 { return s.next }

// Waiting reports whether the stream needs marks: it holds bytes ahead of a
// hole, or waits for the last ones before its end.
func (s *Stream) Waiting() bool {
	return s.state != closed && (len(s.held) > 0 || s.last.deadline > 0)
}

// Closed reports whether the consumer was told of the end.
func (s *Stream) Closed() bool { return s.state == closed }

// Data takes one record. Its payload is given on or copied before Data
// returns.
func (s *Stream) Data(d *event.Data) {
	if d.Size == 0 || d.End() < d.Position {
		return
	}
	g := segmentOf(d)
	if s.state == closed || g.end() <= s.next {
		s.terms.Late.Add(g.size)
		return
	}
	s.checkEnd(g.end())
	if g.stamp.Time <= s.doubtful {
		s.terms.Doubtful.Add(g.size)
		g.hide()
	}
	if g.position < s.next {
		s.trim(&g)
	}
	// Nobody waits for what was never submitted. What is held ahead of a lost
	// record may still wait for others.
	if g.position > s.next && (g.adopted || g.lost && len(s.held) == 0) {
		s.skipTo(g.position, event.ReasonNone, g.reasonBefore(false), g.stamp)
	}
	s.place(g)
	s.settle()
}

// place gives a segment or holds it.
func (s *Stream) place(g segment) {
	inOrder := g.position == s.next && !s.suspect
	if inOrder && (len(s.held) == 0 || g.end() <= s.held[0].position) {
		s.take(&g)
	} else {
		s.hold(g)
	}
}

// checkEnd is told that bytes end at the position. Where that is beyond the
// end of the stream, one of the two is wrong, and the bytes are here. What
// needs an orderly end will not be complete.
func (s *Stream) checkEnd(position uint64) {
	if s.last.finished && position > s.last.finish {
		s.last.finished = false
		if s.state == open {
			s.last.deadline = 0
		}
	}
	if s.state == over && position > s.last.final {
		s.last.final, s.last.orderly = position, false
	}
}

// Finish takes the sender's end of the direction. In direction Send all that
// is before it was submitted before; in direction Receive the application may
// take its time to read it.
func (s *Stream) Finish(f *event.Finish) {
	if s.state != open || s.last.finished || f.Position < max(s.next, s.heldEnd()) {
		return
	}
	s.last = ending{
		finish:   f.Position,
		finished: true,
		reset:    f.Flags&event.FlagReset != 0,
		lost:     f.Flags&event.FlagLost != 0,
		stamp:    event.Stamp{Time: f.Time, Generation: f.Generation, PID: f.PID},
	}
	if f.Direction == event.Send {
		s.last.deadline = s.terms.after(f.Time)
	}
	s.settle()
}

// End takes the end of the connection: the application moves nothing more.
func (s *Stream) End(e End, at event.Stamp) {
	if s.state != open {
		return
	}
	s.state = over
	s.last.final = max(s.next, s.heldEnd())
	s.last.orderly = e.Orderly && e.Known && e.Position >= s.last.final
	if e.Known {
		s.last.final = max(s.last.final, e.Position)
	}
	s.last.lost = s.last.lost || e.Lost
	s.last.stamp = at
	s.last.deadline = s.terms.after(at.Time)
	s.settle()
}

// Advance takes a mark, ns: everything before it in time has arrived. Holes
// that nothing can fill any more are given as gaps.
func (s *Stream) Advance(mark uint64) {
	for len(s.held) > 0 && s.terms.after(s.held[0].stamp.Time) < mark {
		s.giveFirst(event.ReasonNone)
	}
	if s.last.deadline > 0 && s.last.deadline < mark {
		s.giveUp()
	}
	s.suspect = s.suspect && len(s.held) > 0
	s.settle()
}

// Flush gives everything that is held, with gaps for the holes, and waits no
// longer for what is before an end.
func (s *Stream) Flush() {
	if s.state != closed {
		s.giveUp()
		s.settle()
	}
}

// Release drops what is held. Nothing is given after it.
func (s *Stream) Release() {
	s.drop()
	s.state = closed
	s.last.deadline = 0
}

// giveUp gives up all holes, the one before the end too.
func (s *Stream) giveUp() {
	for len(s.held) > 0 {
		s.giveFirst(event.ReasonNone)
	}
	end := s.next
	switch {
	case s.state == over:
		end = s.last.final
	case s.last.finished && s.last.deadline > 0:
		end = s.last.finish
	}
	s.last.deadline = 0
	if end > s.next {
		reason := event.ReasonNotSeen
		if s.last.lost {
			reason = event.ReasonRingFull
		}
		s.gap(end, reason, s.last.stamp)
	}
}

// settle tells the consumer of the end as soon as it is reached.
func (s *Stream) settle() {
	if s.state == closed || len(s.held) > 0 {
		return
	}
	switch {
	case s.last.finished && s.next == s.last.finish:
		s.close(!s.last.reset)
	case s.state == over && s.next >= s.last.final:
		// An application that did not read up to the end did not see it.
		s.close(s.last.orderly && !s.last.finished)
	}
}

func (s *Stream) close(orderly bool) {
	s.state = closed
	s.last.deadline = 0
	s.consumer.Close(orderly, s.last.stamp)
}

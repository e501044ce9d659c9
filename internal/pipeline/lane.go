package pipeline

import (
	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/http1"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/stream"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// lane is one direction of a connection: its stream and its parser. It is the
// stream's consumer.
type lane struct {
	connection *connection
	bytes      *stream.Stream
	parser     *http1.Parser
	direction  event.Direction
	opaque     bool         // what follows is not HTTP/1
	over       bool         // the stream has ended
	rejoins    event.Reason // why the next parser begins at an unknown place
}

// stream returns the stream, which exists from the first use on.
func (l *lane) stream() *stream.Stream {
	if l.bytes == nil {
		l.bytes = stream.New(l, &l.connection.shard.terms, l.connection.noun.Late)
	}
	return l.bytes
}

// end tells of the end of the connection. A lane that never carried anything
// needs no stream for that, unless something was missed.
func (l *lane) end(e stream.End, at event.Stamp) {
	if l.bytes == nil && e.Position == 0 {
		l.over = true
		return
	}
	l.stream().End(e, at)
}

func (l *lane) isWaiting() bool { return l.bytes != nil && l.bytes.Waiting() }

// isOver reports whether the stream has ended; one that never began has, when
// its connection is closed.
func (l *lane) isOver(closed bool) bool {
	return l.over || closed && l.bytes == nil || closed && !l.connection.readable()
}

// Bytes implements stream.Consumer.
func (l *lane) Bytes(b []byte, at event.Stamp) {
	if l.opaque {
		return
	}
	p := l.parse()
	p.Bytes(b, at)
	if calls := p.TakePassed(); calls > 0 {
		l.connection.shard.tally.passed.Add(calls)
	}
}

// Gap implements stream.Consumer.
func (l *lane) Gap(g event.Gap, at event.Stamp) {
	if !l.opaque {
		l.parse().Gap(g, at)
	}
}

// Close implements stream.Consumer.
func (l *lane) Close(orderly bool, at event.Stamp) {
	l.over = true
	if l.parser != nil {
		l.parser.Close(orderly, at)
	}
}

// parse returns the parser, which exists from the first bytes on.
func (l *lane) parse() *http1.Parser {
	if l.parser != nil {
		return l.parser
	}
	c := l.connection
	if c.pairing == nil {
		c.pairing = transaction.NewPairing(&c.noun, c)
	}
	l.parser = http1.New(c.pairing.Sink(l.direction), c.shard.terms.Budget, c.shard.limits)
	l.parser.Suggest(l.carries())
	if l.rejoins == event.ReasonNone && c.noun.Late {
		// What was first seen of it may be the middle of a body, whatever it
		// looks like.
		l.rejoins = event.ReasonJoinedLate
	}
	if l.rejoins != event.ReasonNone {
		l.parser.Join(l.rejoins)
		l.rejoins = event.ReasonNone
	}
	return l.parser
}

// carries returns what kind of messages the direction has by the role of the
// local socket, 0 when that is not known.
func (l *lane) carries() message.Kind {
	switch {
	case l.connection.noun.Role == event.RoleUnknown:
		return 0
	case (l.connection.noun.Role == event.RoleClient) == (l.direction == event.Send):
		return message.Request
	default:
		return message.Response
	}
}

// stop ends parsing: what follows is not HTTP/1.
func (l *lane) stop() {
	l.opaque = true
	if l.parser != nil {
		l.parser.Stop()
	}
}

// interrupt gives what is held and ends the message in progress, marked.
func (l *lane) interrupt(r event.Reason) {
	if l.bytes != nil {
		l.bytes.Flush()
	}
	if l.parser == nil {
		return
	}
	l.parser.Abandon(r, event.Stamp{})
	l.parser.Release()
	l.parser = nil
	l.rejoins = r
}

// release gives all memory back.
func (l *lane) release() {
	if l.bytes != nil {
		l.bytes.Release()
	}
	if l.parser != nil {
		l.parser.Release()
	}
}

package http1

import (
	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// Sink takes what a [Parser] finds, synchronously and in order.
type Sink interface {
	// Expect is asked before the framing of a response is decided: the
	// method of the request that it answers. ok is false when no request is
	// outstanding. Nothing is consumed: the next Head of a final response
	// does that.
	Expect() (method string, ok bool)
	// Head is called when start line and fields are complete, or when they
	// ended early (m.Missing then says why and Done follows at once). It
	// returns how many bytes of the body to keep: 0 asks for none, and then
	// no body byte counts as missing; a negative number says that the body is
	// wanted but nothing may be kept, so that a body that is not empty is
	// marked body_limit, as is one that is longer than a positive number.
	Head(m *message.Message) (keep int64)
	// Done is called when the message ended, for every message whose Head was
	// called; m.Missing and m.Body.Missing say whether it is whole. The
	// message and the memory in m.Held belong to the sink from here on.
	Done(m *message.Message)
	// Lost is called when synchronisation was lost: an unknown number of
	// messages may not have been seen. It may come several times.
	Lost(r event.Reason)
	// Opaque is called once at most: the rest of this direction is not
	// HTTP/1, after an upgrade or a CONNECT, or because it never was.
	Opaque()
}

// Memory is the budget that all parsers share. Take reports false to refuse;
// the parser then keeps nothing more of the message, marks it memory_budget,
// and stays in sync. Sizes are bytes.
type Memory interface {
	Take(bytes int) bool
	Give(bytes int)
}

// Limits bound what a parser holds.
type Limits struct {
	// HeaderBytes bounds the start line with the header section, and each
	// trailer section. Default 64 KiB. What comes beyond is not kept, but is
	// read for the fields that frame the body.
	HeaderBytes int
}

const defaultHeaderBytes = 64 << 10

type state uint8

const (
	atStart state = iota
	inHead
	inHeadRest
	inLength
	inChunkSize
	inChunkData
	inChunkEnd
	inTrailers
	inTrailersRest
	untilClose
	lost
	opaque
	closed
)

// Parser reads one direction of one connection. Whether it carries requests
// or responses is learnt from its first message and then fixed. Not safe for
// concurrent use.
type Parser struct {
	sink   Sink
	memory Memory
	limit  int

	state   state
	kind    message.Kind // 0 until the first start line
	likely  message.Kind // what Suggest said
	started bool         // a message has begun
	orphan  bool         // the first message may answer a request from before
	passed  uint64       // calls passed over since TakePassed
	unasked bool         // the current response answers no request that was seen
	tunnel  bool         // the last request may end HTTP/1 here (CONNECT, Upgrade)
	fresh   bool         // the current message began with the first byte of a call

	doubt     event.Reasons // carried by every later message (framing.go)
	probation event.Reason  // carried by messages after a resync (resync.go)

	msg     *message.Message // current message, nil before its start line is known
	first   event.Stamp      // of the current message's first byte
	seen    uint64           // ns, CLOCK_BOOTTIME, of the head's last byte so far
	section section          // current header or trailer section
	framing framing          // what the current head says of the body
	chunk   chunkLine
	left    int64 // bytes to come of the body (inLength) or chunk (inChunkData)
	size    int64 // body bytes so far, kept or not
	keep    int64 // what Head returned
	want    int64 // bytes still to be kept
}

// New returns a parser that gives what it finds to sink.
func New(sink Sink, memory Memory, limits Limits) *Parser {
	if limits.HeaderBytes <= 0 {
		limits.HeaderBytes = defaultHeaderBytes
	}
	return &Parser{sink: sink, memory: memory, limit: limits.HeaderBytes}
}

// Suggest says what kind of messages the direction should carry, as far as that
// is known from outside its bytes. The first bytes of a connection tell it
// better; where the first message has to be looked for, a body that holds a
// message of the other kind must not decide it.
func (p *Parser) Suggest(kind message.Kind) { p.likely = kind }

// Join says, before any bytes, that they may begin in the middle of a message:
// the connection is older than what is seen of it. Nothing of the direction
// was followed yet, so no message of it can have been missed that answers, or
// is answered by, one that was seen, and Lost is not called. The first message
// is marked with the reason; it may be the response to a request from before.
func (p *Parser) Join(r event.Reason) {
	p.orphan = true
	p.search(r)
}

// Bytes takes the bytes that follow what came before. b is valid during the
// call only. at.Begins says that b starts what one call of the application
// moved.
func (p *Parser) Bytes(b []byte, at event.Stamp) {
	for len(b) > 0 {
		n := p.step(b, at)
		if n > 0 {
			b = b[n:]
			at.Begins = false
		}
	}
}

// step consumes a part of b in the current state and returns its length. It
// consumes nothing only when it changes to a state that will.
func (p *Parser) step(b []byte, at event.Stamp) int {
	switch p.state {
	case atStart:
		return p.skipToMessage(b, at)
	case inHead:
		return p.readHead(b, at)
	case inHeadRest:
		return p.readHeadRest(b, at)
	case inLength, inChunkData:
		return p.readLength(b, at)
	case inChunkSize:
		return p.readChunkSize(b, at)
	case inChunkEnd:
		return p.readChunkEnd(b, at)
	case inTrailers, inTrailersRest:
		return p.readTrailers(b, at)
	case untilClose:
		p.readBody(b, at)
		return len(b)
	case lost:
		return p.resync(b, at)
	default: // opaque, closed
		return len(b)
	}
}

// skipToMessage skips empty lines before a message (RFC 9112 section 2.2) and
// begins the message.
func (p *Parser) skipToMessage(b []byte, at event.Stamp) int {
	n := 0
	for n < len(b) && (b[n] == '\r' || b[n] == '\n') {
		n++
	}
	if n < len(b) {
		at.Begins = at.Begins && n == 0
		p.begin(at)
	}
	return n
}

// begin starts a message at a byte that came with the stamp.
func (p *Parser) begin(at event.Stamp) {
	p.started = true
	p.first = at
	p.seen = at.Time
	p.fresh = at.Begins
	p.framing = framing{length: -1}
	p.section.reset()
	p.size, p.left, p.keep, p.want = 0, 0, 0, 0
	p.state = inHead
}

// Gap takes a hole. Its cost does not depend on its length.
func (p *Parser) Gap(g event.Gap, at event.Stamp) {
	if g.To <= g.From || p.state == opaque || p.state == closed {
		return
	}
	length := int64(min(g.Len(), 1<<62))
	switch {
	case p.state == untilClose:
		p.hole(length, g.Reason, at)
	case (p.state == inLength || p.state == inChunkData) && length <= p.left:
		p.hole(length, g.Reason, at)
		p.advance(length)
	case p.state == inLength:
		// The hole reaches beyond the body, whose end is known all the same.
		p.hole(p.left, g.Reason, at)
		p.finish()
		p.lose(g.Reason)
	case !p.started && g.Reason == event.ReasonJoinedLate:
		// Others that were no message come first, so what follows rather is in
		// a body than the answer to a request from before.
		p.Join(g.Reason)
		p.orphan = false
	default:
		p.abort(g.Reason)
		p.lose(g.Reason)
	}
}

package http1

import (
	"bytes"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// Synchronisation is lost when a hole swallows a message boundary, when bytes
// that should begin a message do not, and when the end of a message cannot be
// known. Then any byte may be in the middle of a body, and a body may hold
// text that looks like a message. A false start must not become a record
// that claims to be complete. What stands between:
//
//  1. Only the first byte of what one call moved can begin a message, and a
//     whole, strictly valid start line of the direction's kind must be there.
//     Bodies are moved by calls of their own kind too, so this alone is weak.
//  2. A response is looked for only while a request is outstanding, or at the
//     very first bytes of a connection that is older than us. Lost made
//     the pairing give up all requests, so the outstanding one began after the
//     loss; in lockstep the first bytes after it are the start of its
//     response. If they are not, the client pipelines or the start was in a
//     hole: Lost is reported again, which gives up that request too.
//  3. The first message after a loss is on probation: it is marked with the
//     reason of the loss and never complete, and so is every message after it
//     until one begins with the first byte of a call. Requests in a body lie
//     side by side; real ones of a client that waits do not.
//  4. The pairing marks everything `pipelined` on a connection that lost
//     synchronisation and had a request answered while a later one waited,
//     which is what several false requests in one body look like.
//
// What remains, for a false record to be complete: the loss hits a body, calls
// of the sender begin exactly where the body's text holds a start line, twice,
// and the other side's messages fit in number and time. That needs a sender
// that shapes its calls for it, against a capture that it cannot see.

// lose gives up synchronisation.
func (p *Parser) lose(r event.Reason) {
	if p.state == opaque || p.state == closed {
		return
	}
	p.search(r)
	p.sink.Lost(r)
}

// search looks for the start of a message from here on.
func (p *Parser) search(r event.Reason) {
	p.state = lost
	p.probation = r
	if p.kind == 0 {
		p.kind = p.likely
	}
}

// resync looks for the start of a message in bytes of an unknown position.
func (p *Parser) resync(b []byte, at event.Stamp) int {
	if p.kind == message.Response && !p.asked() {
		return p.passOver(b, at)
	}
	if !at.Begins || !p.beginsMessage(b) {
		if p.kind == message.Response {
			p.lose(p.probation)
		}
		return p.passOver(b, at)
	}
	p.begin(at)
	p.fresh = false // it must not end its own probation
	return 0
}

// passOver leaves bytes out of which no message can be made with certainty.
func (p *Parser) passOver(b []byte, at event.Stamp) int {
	if at.Begins {
		p.passed++
	}
	return len(b)
}

// TakePassed returns how many calls of the application were passed over, while
// the start of a message was looked for, since it was last asked.
func (p *Parser) TakePassed() (calls uint64) {
	calls, p.passed = p.passed, 0
	return calls
}

// beginsMessage reports whether b begins with a whole valid start line.
func (p *Parser) beginsMessage(b []byte) bool {
	line, _, whole := bytes.Cut(b, []byte{'\n'})
	if !whole {
		return false
	}
	s, ok := parseStartLine(dropCR(line), p.kind)
	if !ok || s.doubtful {
		return false
	}
	return s.kind == message.Request || p.asked()
}

// asked reports whether a response can be expected.
func (p *Parser) asked() bool {
	_, asked := p.sink.Expect()
	return asked || p.orphan && !p.started
}

// leaveProbation ends it with a message that began with a call of its own.
func (p *Parser) leaveProbation() {
	if p.fresh {
		p.probation = event.ReasonNone
	}
}

// checkUnasked is called after a response to no request that was seen. It may
// have answered a HEAD, and what was read as its body may have been another
// response. In lockstep no request can have begun before its end.
func (p *Parser) checkUnasked() {
	if _, asked := p.sink.Expect(); asked {
		p.lose(event.ReasonNoRequest)
	}
}

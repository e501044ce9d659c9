package http1

import (
	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// Close ends the direction: orderly when the peer or the application finished
// it, not orderly after a reset or when the way it ended is not known. A
// message in progress ends marked connection_closed, unless the close is what
// ends it. Only the first call has an effect.
func (p *Parser) Close(orderly bool, at event.Stamp) {
	if p.state == untilClose && orderly {
		p.finish()
	}
	p.Abandon(event.ReasonConnectionClosed, at)
}

// Abandon ends the direction from outside, for a reason that is not in the
// traffic: idle, shutdown, memory_budget. A message in progress ends marked
// with the reason.
func (p *Parser) Abandon(r event.Reason, _ event.Stamp) {
	if p.state == closed {
		return
	}
	p.abort(r)
	p.state = closed
}

// Stop ends parsing because what follows is known not to be HTTP/1: the other
// direction said so with a response that has Upgrade set. A message in
// progress ends marked connection_closed; Opaque is not called.
func (p *Parser) Stop() {
	p.Abandon(event.ReasonConnectionClosed, event.Stamp{})
	p.state = opaque
}

// Release drops all state and gives its memory back. Messages that were given
// to the sink are not touched. The parser ignores what comes after.
func (p *Parser) Release() {
	p.section.release(p.memory)
	if p.msg != nil {
		p.memory.Give(p.msg.Held)
		p.msg = nil
	}
	p.state = closed
}

// finish ends the current message at its true end.
func (p *Parser) finish() {
	m := p.msg
	m.Body.Size = p.size
	upgrade := m.Upgrade
	p.state = atStart
	p.deliver()
	switch {
	case p.state != atStart: // the sink stopped or released the parser
	case upgrade:
		p.turnOpaque()
	case p.unasked && p.size > 0:
		p.checkUnasked()
	}
}

// abort ends the current message, if there is one, before its end was seen.
func (p *Parser) abort(r event.Reason) {
	switch p.state {
	case inHead:
		p.cutHead(p.section.buf, r)
		p.section.release(p.memory)
	case inTrailers, inTrailersRest:
		p.takeTrailers(r)
		p.section.release(p.memory)
		p.deliver()
		return
	}
	if p.msg == nil {
		return
	}
	p.msg.Missing = p.msg.Missing.With(r)
	if p.state == inHead || p.state == inHeadRest {
		p.msg.HeadSize = p.section.size
		p.keep = p.sink.Head(p.msg)
		if p.msg == nil { // the sink released the parser
			return
		}
	}
	if p.keep != 0 {
		p.msg.Body.Missing = p.msg.Body.Missing.With(r)
	}
	p.msg.Body.Size = message.SizeUnknown
	p.deliver()
}

// deliver gives the current message to the sink.
func (p *Parser) deliver() {
	m := p.msg
	p.msg = nil
	if p.keep > 0 && p.size > p.keep || p.keep < 0 && p.size > 0 {
		m.Body.Missing = m.Body.Missing.With(event.ReasonBodyLimit)
	}
	if interim(m) {
		// Nobody keeps interim responses, so nobody would give this back.
		p.memory.Give(m.Held)
		m.Held = 0
	}
	p.sink.Done(m)
}

// interim reports whether the message is a response that another one follows.
func interim(m *message.Message) bool {
	return m.Kind == message.Response && m.Status < 200 && m.Status != 101
}

func (p *Parser) turnOpaque() {
	p.state = opaque
	p.sink.Opaque()
}

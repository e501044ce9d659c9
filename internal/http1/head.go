package http1

import (
	"bytes"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// startLineWithoutBudget is how long a start line may be to be kept although
// the memory budget refused the head, so that the request is not nameless.
const startLineWithoutBudget = 1 << 10

// readHead collects the header section. A head that is whole in one call is
// parsed in place.
func (p *Parser) readHead(b []byte, at event.Stamp) int {
	begun := p.section.lines > 0
	n, done := p.section.scan(b)
	p.seen = max(p.seen, at.Time)
	if done && len(p.section.buf) == 0 && n <= p.limit {
		if !p.takeHead(b[:n], event.ReasonNone) {
			p.reject()
			return n
		}
		p.decideBody()
		return n
	}
	taken, cut := p.section.collect(b[:n], p.limit, p.memory)
	if !begun && !p.startsWell() {
		p.reject()
		return n
	}
	switch {
	case cut != event.ReasonNone:
		if !p.beginHeadRest(b[:n], taken, cut) {
			return n
		}
	case !done:
		return n
	case !p.takeHead(p.section.buf, event.ReasonNone):
		p.reject()
		return n
	}
	p.section.release(p.memory)
	if done {
		p.decideBody()
	}
	return n
}

// beginHeadRest goes on without keeping more of the head than was collected;
// b has taken bytes that were.
func (p *Parser) beginHeadRest(b []byte, taken int, r event.Reason) bool {
	have, rest := p.section.buf, b[taken:]
	if len(have) == 0 {
		have, rest = b, nil
	}
	if !p.cutHead(have, r) {
		p.section.release(p.memory)
		if r == event.ReasonMemoryBudget {
			p.lose(r)
		} else {
			p.reject()
		}
		return false
	}
	p.state = inHeadRest
	p.section.tail.read(rest, &p.framing)
	return true
}

// startsWell reports whether what was collected is, or can become, a start
// line of the right kind.
func (p *Parser) startsWell() bool {
	line, _, ended := bytes.Cut(p.section.buf, []byte{'\n'})
	if !ended {
		return plausible(line, p.kind)
	}
	_, ok := parseStartLine(dropCR(line), p.kind)
	return ok
}

func dropCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// readHeadRest reads what is beyond the limit or the budget.
func (p *Parser) readHeadRest(b []byte, at event.Stamp) int {
	n, done := p.section.scan(b)
	p.section.tail.read(b[:n], &p.framing)
	p.msg.End = max(p.msg.End, at.Time)
	if done {
		p.decideBody()
	}
	return n
}

// cutHead makes the current message of the complete lines of head, because the
// rest will not be kept or not come. It reports false, without a message, when
// there is no usable start line.
func (p *Parser) cutHead(head []byte, r event.Reason) bool {
	kept := bytes.LastIndexByte(head, '\n') + 1
	if kept > 0 {
		if !p.takeHead(head[:kept], r) {
			return false
		}
	} else if !p.takeLongStartLine(head, r) {
		return false
	}
	p.section.tail.read(head[kept:], &p.framing)
	return true
}

// takeLongStartLine makes a message of a start line whose end is not kept. Its
// beginning tells method or status; a cut target is left out, because part of
// a URL is another URL.
func (p *Parser) takeLongStartLine(line []byte, r event.Reason) bool {
	m := &message.Message{Kind: p.kind, First: p.first, End: p.seen, Missing: event.Of(r)}
	switch p.kind {
	case message.Request:
		end := methodLength(line)
		if end == 0 || end < 0 && r != event.ReasonMemoryBudget {
			return false
		}
		// A method that there was no room for stays unknown; only the fields
		// are needed to find the end of a request.
		m.Method = string(line[:max(end, 0)])
	case message.Response:
		s, ok := parseStatusLine(line)
		if !ok {
			return false
		}
		m.Status, m.Protocol = s.status, s.protocol()
	default:
		return false
	}
	p.msg = m
	p.section.tail.skip = true
	return true
}

// takeHead makes the current message of a head, or of its first lines when
// they are all there is (cut then says why).
func (p *Parser) takeHead(head []byte, cut event.Reason) bool {
	end := bytes.IndexByte(head, '\n')
	line := dropCR(head[:end])
	s, ok := parseStartLine(line, p.kind)
	if !ok {
		return false
	}
	p.kind = s.kind
	m := &message.Message{Kind: s.kind, Protocol: s.protocol(), First: p.first, End: p.seen, Missing: event.Of(cut)}
	lines := bytes.Count(head[end+1:], []byte{'\n'})
	if cut == event.ReasonNone {
		lines-- // the empty one
	}
	cost := len(head) + fieldBytes*lines
	if p.section.folded {
		cost += len(head)
	}
	valid := true
	if cut != event.ReasonMemoryBudget && p.memory.Take(cost) {
		m.Held = cost
		text := string(head)
		p.fillStartLine(m, s, text[:len(line)])
		if lines > 0 {
			m.Fields = make(message.Fields, 0, lines)
		}
		m.Fields, valid = parseFields(text[end+1:], m.Fields, &p.framing)
	} else {
		m.Missing = m.Missing.With(event.ReasonMemoryBudget)
		if len(line) <= startLineWithoutBudget {
			p.fillStartLine(m, s, string(line))
		} else {
			m.Method, m.Status = string(line[:s.methodEnd]), s.status
		}
		p.section.tail.read(head[end+1:], &p.framing)
	}
	if s.doubtful || !valid || bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
		m.Missing = m.Missing.With(event.ReasonMalformed)
	}
	p.msg = m
	return true
}

func (p *Parser) fillStartLine(m *message.Message, s startLine, line string) {
	if s.kind == message.Response {
		m.Status, m.Phrase = s.status, line[s.phrase:]
		return
	}
	m.Method, m.Target = line[:s.methodEnd], line[s.target:s.targetEnd]
}

// decideBody decides where the message ends, once its head did.
func (p *Parser) decideBody() {
	m := p.msg
	m.HeadSize = p.section.size
	method, minor := m.Method, byte('1')
	if m.Protocol != "" {
		minor = m.Protocol[len(m.Protocol)-1]
	}
	p.unasked = false
	if m.Kind == message.Response {
		var asked bool
		method, asked = p.sink.Expect()
		p.unasked = !asked
	}
	d := decide(m.Kind, method, m.Status, minor, p.framing)
	p.leaveProbation()
	m.Missing |= d.missing | p.doubt | event.Of(p.probation)
	m.Upgrade = d.upgrade
	if d.doubt {
		p.doubt = p.doubt.With(event.ReasonAmbiguousLength)
	}
	if m.Kind == message.Request {
		p.tunnel = method == "CONNECT" || p.framing.upgrade
	}
	p.keep = p.sink.Head(m)
	if p.msg == nil { // the sink released the parser
		return
	}
	p.want = max(p.keep, 0)
	p.beginBody(d)
}

// beginBody enters the state that reads the body.
func (p *Parser) beginBody(d frame) {
	switch d.shape {
	case shapeNone:
		p.finish()
	case shapeLength:
		p.left, p.state = d.length, inLength
		p.want = min(p.want, d.length)
		if d.length == 0 {
			p.finish()
		}
	case shapeChunked:
		p.chunk = chunkLine{}
		p.state = inChunkSize
	case shapeClose:
		p.state = untilClose
	case shapeUnknown:
		p.state = inLength // any state that is not a head: the head is done
		p.abort(event.ReasonAmbiguousLength)
		p.lose(event.ReasonAmbiguousLength)
	}
}

// reject gives up bytes that are not the start of a message.
func (p *Parser) reject() {
	p.section.release(p.memory)
	p.msg = nil
	if p.kind == 0 || p.tunnel {
		p.turnOpaque()
		return
	}
	p.lose(event.ReasonMalformed)
}

package http1

import (
	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// firstBodyBytes is the smallest room made for a body that is kept, unless it
// is known to be shorter.
const firstBodyBytes = 512

// readLength reads a body of known length, or the data of a chunk.
func (p *Parser) readLength(b []byte, at event.Stamp) int {
	n := len(b)
	if int64(n) > p.left {
		n = int(p.left)
	}
	p.readBody(b[:n], at)
	p.advance(int64(n))
	return n
}

// readBody counts body bytes and keeps those that are wanted.
func (p *Parser) readBody(b []byte, at event.Stamp) {
	p.msg.End = max(p.msg.End, at.Time)
	p.size += int64(len(b))
	if p.want > 0 {
		p.keepBytes(b)
	}
}

// advance counts down what is left of the body or chunk.
func (p *Parser) advance(n int64) {
	p.left -= n
	if p.left > 0 {
		return
	}
	if p.state == inChunkData {
		p.chunk = chunkLine{}
		p.state = inChunkEnd
		return
	}
	p.finish()
}

// hole counts body bytes that were not seen. What is kept ends before it.
func (p *Parser) hole(n int64, r event.Reason, at event.Stamp) {
	p.msg.End = max(p.msg.End, at.Time)
	p.size += n
	if p.want > 0 {
		p.msg.Body.Missing = p.msg.Body.Missing.With(r)
		p.want = 0
	}
}

// keepBytes appends to the kept prefix of the body. Room grows geometrically,
// so that a length that is announced but never sent costs nothing.
func (p *Parser) keepBytes(b []byte) {
	body := &p.msg.Body
	if int64(len(b)) > p.want {
		b = b[:p.want]
	}
	need := len(body.Bytes) + len(b)
	if need > cap(body.Bytes) {
		// All that can still come: the length is known, or only the limit.
		most := int64(len(body.Bytes)) + p.want
		size := int(min(most, int64(max(need, 2*cap(body.Bytes), firstBodyBytes))))
		if !p.memory.Take(size - cap(body.Bytes)) {
			p.want = 0
			body.Missing = body.Missing.With(event.ReasonMemoryBudget)
			return
		}
		p.msg.Held += size - cap(body.Bytes)
		grown := make([]byte, len(body.Bytes), size)
		copy(grown, body.Bytes)
		body.Bytes = grown
	}
	body.Bytes = append(body.Bytes, b...)
	p.want -= int64(len(b))
}

package http1

import (
	"bytes"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// chunkLine is the progress in a chunk-size line, or in the line end after a
// chunk's data (RFC 9112 section 7.1).
type chunkLine struct {
	size  int64
	phase chunkPhase
	cr    bool // the last byte was CR
}

type chunkPhase uint8

const (
	chunkEmpty     chunkPhase = iota // no digit yet
	chunkDigits                      // in the size
	chunkSpace                       // in white space after it
	chunkExtension                   // after the first semicolon
)

// maxChunk bounds one chunk, so that no sum of sizes overflows in practice and
// a size that other recipients cannot hold is refused.
const maxChunk = 1 << 56

// readChunkSize reads a chunk-size line. Extensions are skipped.
func (p *Parser) readChunkSize(b []byte, at event.Stamp) int {
	p.msg.End = max(p.msg.End, at.Time)
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\n' {
			p.endChunkSize()
			return i + 1
		}
		if p.chunk.cr && p.chunk.phase == chunkExtension {
			// A bare CR: some recipients end the line here.
			p.chunk.cr = false
			p.doubtChunks()
		}
		if !p.chunk.next(c) {
			p.breakChunks()
			return len(b)
		}
		if p.chunk.phase == chunkExtension && c != '\r' {
			i += lineByte(b[i:]) - 1
		}
	}
	return len(b)
}

// lineByte returns how many bytes at the start of b are neither CR nor LF. The
// first one is known not to be.
func lineByte(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	if i := bytes.IndexByte(b, '\r'); i >= 0 {
		b = b[:i]
	}
	return len(b)
}

// next takes a byte of the line other than LF. It reports false when no
// recipient could go on.
func (c *chunkLine) next(b byte) bool {
	if c.cr {
		return false
	}
	if b == '\r' {
		c.cr = true
		return c.phase != chunkEmpty
	}
	if c.phase == chunkExtension {
		return true
	}
	if v, ok := hex(b); ok && c.phase <= chunkDigits {
		c.phase = chunkDigits
		c.size = c.size<<4 | v
		return c.size <= maxChunk
	}
	switch {
	case c.phase == chunkEmpty:
		return false
	case b == ' ' || b == '\t':
		c.phase = chunkSpace
	case b == ';':
		c.phase = chunkExtension
	default:
		return false
	}
	return true
}

func hex(b byte) (int64, bool) {
	switch {
	case digit(b):
		return int64(b - '0'), true
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return int64(b|0x20-'a') + 10, true
	default:
		return 0, false
	}
}

// endChunkSize acts on the LF that ends a chunk-size line.
func (p *Parser) endChunkSize() {
	c := p.chunk
	if c.phase == chunkEmpty {
		p.breakChunks()
		return
	}
	if !c.cr {
		// The grammar has CRLF only; recipients that want it read on.
		p.doubtChunks()
	}
	if c.size == 0 {
		p.section.reset()
		p.state = inTrailers
		return
	}
	p.left = c.size
	p.state = inChunkData
}

// readChunkEnd reads the line end after a chunk's data.
func (p *Parser) readChunkEnd(b []byte, at event.Stamp) int {
	p.msg.End = max(p.msg.End, at.Time)
	switch {
	case b[0] == '\r' && !p.chunk.cr:
		p.chunk.cr = true
	case b[0] == '\n':
		if !p.chunk.cr {
			p.doubtChunks()
		}
		p.chunk = chunkLine{}
		p.state = inChunkSize
	default:
		p.breakChunks()
	}
	return 1
}

// doubtChunks marks framing that recipients read differently.
func (p *Parser) doubtChunks() {
	p.msg.Missing = p.msg.Missing.With(event.ReasonAmbiguousLength)
	p.doubt = p.doubt.With(event.ReasonAmbiguousLength)
}

// breakChunks ends a message whose framing cannot be followed.
func (p *Parser) breakChunks() {
	p.doubtChunks()
	p.abort(event.ReasonMalformed)
	p.lose(event.ReasonMalformed)
}

// readTrailers reads the trailer section, which ends the message.
func (p *Parser) readTrailers(b []byte, at event.Stamp) int {
	p.msg.End = max(p.msg.End, at.Time)
	n, done := p.section.scan(b)
	part := b[:n]
	if p.state == inTrailers && done && len(p.section.buf) == 0 && n <= p.limit {
		p.keepTrailers(part)
		p.finish()
		return n
	}
	if p.state == inTrailers {
		if _, cut := p.section.collect(part, p.limit, p.memory); cut != event.ReasonNone {
			p.takeTrailers(cut)
			p.section.release(p.memory)
			p.state = inTrailersRest
		} else if done {
			p.keepTrailers(p.section.buf)
			p.section.release(p.memory)
		}
	}
	if done {
		p.finish()
	}
	return n
}

// takeTrailers keeps the complete lines of a trailer section whose rest will
// not be kept or not come.
func (p *Parser) takeTrailers(r event.Reason) {
	p.msg.Missing = p.msg.Missing.With(r)
	p.msg.Body.Size = p.size
	if p.state == inTrailers {
		p.keepTrailers(p.section.buf[:bytes.LastIndexByte(p.section.buf, '\n')+1])
	}
}

// keepTrailers parses a trailer section. Fields in it never frame anything
// (RFC 9110 section 6.5.1).
func (p *Parser) keepTrailers(section []byte) {
	if p.section.lines == 0 {
		return
	}
	lines := bytes.Count(section, []byte{'\n'})
	cost := len(section) + fieldBytes*lines
	if p.section.folded {
		cost += len(section)
	}
	if !p.memory.Take(cost) {
		p.msg.Missing = p.msg.Missing.With(event.ReasonMemoryBudget)
		return
	}
	p.msg.Held += cost
	unused := framing{length: -1}
	trailers, valid := parseFields(string(section), make(message.Fields, 0, lines), &unused)
	p.msg.Trailers = trailers
	if !valid {
		p.msg.Missing = p.msg.Missing.With(event.ReasonMalformed)
	}
}

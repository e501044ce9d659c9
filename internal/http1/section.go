package http1

import (
	"bytes"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// section finds the end of a header or trailer section, the first empty line,
// across calls. While everything is in one call nothing is copied.
type section struct {
	buf    []byte // what came in earlier calls
	size   int64  // bytes so far
	lines  int    // complete lines so far, without the empty one
	folded bool   // a line begins with white space
	length int    // of the line in progress
	first  byte   // of the line in progress
	tail   tail   // beyond the limit
}

func (s *section) reset() {
	*s = section{buf: s.buf[:0]}
}

// release gives the buffer back.
func (s *section) release(memory Memory) {
	if s.buf != nil {
		memory.Give(cap(s.buf))
		s.buf = nil
	}
}

// scan returns how many bytes of b belong to the section, and whether it ends
// there. A line ends with LF; a CR before it belongs to the line end (RFC 9112
// section 2.2).
func (s *section) scan(b []byte) (n int, done bool) {
	for n < len(b) {
		if s.length == 0 {
			s.first = b[n]
			if s.first == ' ' || s.first == '\t' {
				s.folded = true
			}
		}
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			s.length += len(b) - n
			n = len(b)
			break
		}
		length := s.length + i
		s.length = 0
		n += i + 1
		if length == 0 || length == 1 && s.first == '\r' {
			done = true
			break
		}
		s.lines++
	}
	s.size += int64(n)
	return n, done
}

// collect appends b up to the limit, as far as the budget allows. It returns
// how much was taken, and why not all.
func (s *section) collect(b []byte, limit int, memory Memory) (n int, r event.Reason) {
	n = len(b)
	if room := limit - len(s.buf); n > room {
		n, r = max(room, 0), event.ReasonHeaderLimit
	}
	need := len(s.buf) + n
	if need <= cap(s.buf) {
		s.buf = append(s.buf, b[:n]...)
		return n, r
	}
	size := min(max(need, 2*cap(s.buf), 512), max(limit, need))
	if !memory.Take(size) {
		return 0, event.ReasonMemoryBudget
	}
	grown := append(make([]byte, 0, size), s.buf...)
	grown = append(grown, b[:n]...)
	s.release(memory)
	s.buf = grown
	return n, r
}

// tailBytes is how much of one line beyond the limit is looked at: enough for
// every sane value of a field that frames the body.
const tailBytes = 256

// tail reads the lines of a section that are not kept, only for the fields
// that frame the body. Its memory is fixed and not part of the budget.
type tail struct {
	line []byte
	long bool // the line is longer than tailBytes
	skip bool // the line in progress is not a field line
}

// read takes bytes of the section and gives complete lines to f.
func (t *tail) read(b []byte, f *framing) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		part := b
		if i >= 0 {
			part = b[:i]
		}
		if room := tailBytes - len(t.line); len(part) > room {
			part, t.long = part[:room], true
		}
		t.line = append(t.line, part...)
		if i < 0 {
			return
		}
		if !t.skip {
			f.line(t.line, t.long)
		}
		t.line, t.long, t.skip = t.line[:0], false, false
		b = b[i+1:]
	}
}

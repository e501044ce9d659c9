package http1

import (
	"bytes"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// maxMethod bounds a method token, bytes. RFC 9110 gives no limit; the bound
// keeps arbitrary text from being collected as the start of a request.
const maxMethod = 256

var tokenByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// startLine is a parsed request line or status line (RFC 9112 sections 3 and
// 4). The offsets are into the line.
type startLine struct {
	kind      message.Kind
	minor     byte // of HTTP/1.x, a digit
	methodEnd int
	target    int // first byte of the target
	targetEnd int
	status    int
	phrase    int
	doubtful  bool // understood, but not as the grammar has it
}

// protocol returns the version as sent.
func (s startLine) protocol() string {
	switch s.minor {
	case '1':
		return "HTTP/1.1"
	case '0':
		return "HTTP/1.0"
	default:
		return "HTTP/1." + string(rune(s.minor))
	}
}

// parseStartLine reads a line without its line end. kind 0 takes both kinds:
// "/" is not a token byte, so no request line begins like a status line.
func parseStartLine(line []byte, kind message.Kind) (startLine, bool) {
	if kind == 0 {
		kind = message.Request
		if bytes.HasPrefix(line, []byte("HTTP/")) {
			kind = message.Response
		}
	}
	if kind == message.Response {
		return parseStatusLine(line)
	}
	return parseRequestLine(line)
}

func parseRequestLine(line []byte) (s startLine, ok bool) {
	s.kind = message.Request
	trimmed := bytes.TrimRight(line, " \t")
	s.doubtful = len(trimmed) != len(line)
	line = trimmed
	s.methodEnd = methodLength(line)
	last := bytes.LastIndexByte(line, ' ')
	if s.methodEnd <= 0 || last <= s.methodEnd {
		return s, false
	}
	if s.minor, ok = version(line[last+1:]); !ok {
		return s, false
	}
	s.target, s.targetEnd = s.methodEnd+1, last
	for s.target < s.targetEnd && line[s.target] == ' ' {
		s.target++
		s.doubtful = true
	}
	for _, c := range line[s.target:s.targetEnd] {
		// A space inside is what some clients send and what some servers
		// take; a control byte is never part of a target.
		if c <= ' ' || c == 0x7f {
			s.doubtful = true
			break
		}
	}
	return s, s.target < s.targetEnd
}

// methodLength returns the length of the method token at the start of the
// line, 0 when there is none, -1 when the line ends first.
func methodLength(line []byte) int {
	for i, c := range line {
		if i > maxMethod {
			return 0
		}
		if c == ' ' {
			return i
		}
		if !tokenByte[c] {
			return 0
		}
	}
	return -1
}

func parseStatusLine(line []byte) (s startLine, ok bool) {
	s.kind = message.Response
	if len(line) < len("HTTP/1.1 200") || line[8] != ' ' {
		return s, false
	}
	if s.minor, ok = version(line[:8]); !ok {
		return s, false
	}
	i := 9
	for i < len(line) && line[i] == ' ' {
		i++
		s.doubtful = true
	}
	if len(line) < i+3 || line[i] < '1' || line[i] > '9' || !digit(line[i+1]) || !digit(line[i+2]) {
		return s, false
	}
	s.status = int(line[i]-'0')*100 + int(line[i+1]-'0')*10 + int(line[i+2]-'0')
	s.phrase = i + 3
	if s.phrase < len(line) {
		if line[s.phrase] != ' ' {
			return s, false
		}
		s.phrase++
	}
	return s, true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// version takes HTTP/1.x: a higher minor version is still read as HTTP/1.1
// (RFC 9110 section 2.5).
func version(b []byte) (minor byte, ok bool) {
	if len(b) != 8 || string(b[:7]) != "HTTP/1." || !digit(b[7]) {
		return 0, false
	}
	return b[7], true
}

// plausible reports whether a line that has not ended yet can become a start
// line, judged by its method or version.
func plausible(prefix []byte, kind message.Kind) bool {
	const status = "HTTP/1."
	n := min(len(prefix), len(status))
	if kind != message.Request && string(prefix[:n]) == status[:n] {
		return true
	}
	return kind != message.Response && methodLength(prefix) != 0
}

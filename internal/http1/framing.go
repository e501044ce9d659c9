package http1

import (
	"math"
	"strings"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// framing collects what a head says about the length of its body. The zero
// value needs length -1.
type framing struct {
	length     int64 // of Content-Length; -1 when there is none
	lengths    int   // Content-Length values seen
	conflict   bool  // they differ, or one is no number
	transfer   bool  // there is a Transfer-Encoding
	chunked    int   // how often chunked stands in it
	last       bool  // chunked is the last coding
	other      bool  // it has another coding
	doubt      bool  // written in a way that recipients read differently
	upgrade    bool  // there is an Upgrade field
	continuing bool  // the last line read by line was one of the above
}

const (
	nameLength   = "content-length"
	nameTransfer = "transfer-encoding"
	nameUpgrade  = "upgrade"
)

// frames reports whether a field with the name has to do with the length.
func frames(name string) bool {
	return len(name) == len(nameLength) && strings.EqualFold(name, nameLength) ||
		len(name) == len(nameTransfer) && strings.EqualFold(name, nameTransfer)
}

// field takes one field.
func (f *framing) field(name, value string) {
	switch {
	case len(name) == len(nameLength) && strings.EqualFold(name, nameLength):
		f.contentLength(value)
	case len(name) == len(nameTransfer) && strings.EqualFold(name, nameTransfer):
		f.transferEncoding(value)
	case len(name) == len(nameUpgrade) && strings.EqualFold(name, nameUpgrade):
		f.upgrade = true
	}
}

// folded takes the name of a field that is spread over several lines: some
// recipients stop reading at the first one.
func (f *framing) folded(name string) {
	if frames(name) {
		f.doubt = true
	}
}

// suspect takes a name that is not a token. When its letters spell a field
// that frames the body, some recipient may read it as that field.
func (f *framing) suspect(name string) {
	letters := make([]byte, 0, len(nameTransfer))
	for i := range len(name) {
		if c := name[i] | 0x20; c >= 'a' && c <= 'z' {
			if len(letters) == cap(letters) {
				return
			}
			letters = append(letters, c)
		}
	}
	switch string(letters) {
	case "contentlength", "transferencoding":
		f.doubt = true
	}
}

// line takes a line that is not kept; long says that its end was cut off.
func (f *framing) line(line []byte, long bool) {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	text := string(line)
	if isFold(text) {
		f.doubt = f.doubt || f.continuing
		return
	}
	name, value, ok := cutField(text)
	if !ok {
		f.suspect(name)
	}
	f.continuing = frames(name)
	if long && f.continuing {
		f.doubt = true
		value = "" // a cut value is no value
	}
	f.field(name, value)
}

// contentLength takes a value of Content-Length: digits only (RFC 9110 section
// 8.6). A list of equal values counts as that value (RFC 9112 section 6.3).
func (f *framing) contentLength(value string) {
	for more := true; more; {
		var item string
		item, value, more = strings.Cut(value, ",")
		n, ok := decimal(trimSpace(item))
		if !ok || f.lengths > 0 && n != f.length {
			f.conflict = true
		}
		f.length = n
		f.lengths++
	}
}

// decimal reads digits without sign. ok is false as well for numbers that no
// recipient can count to.
func decimal(s string) (n int64, ok bool) {
	for i := range len(s) {
		if !digit(s[i]) || n > (math.MaxInt64-9)/10 {
			return -1, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	if s == "" {
		return -1, false
	}
	return n, true
}

// transferEncoding takes a value of Transfer-Encoding (RFC 9112 section 6.1).
func (f *framing) transferEncoding(value string) {
	if f.transfer {
		f.doubt = true // a second line: some recipients read only one
	}
	f.transfer = true
	for more := true; more; {
		var coding string
		coding, value, more = strings.Cut(value, ",")
		coding = trimSpace(coding)
		f.last = strings.EqualFold(coding, "chunked")
		switch {
		case f.last:
			f.chunked++
		case !isToken(coding):
			// Parameters, quotes, control bytes, nothing at all: nothing that
			// is in use, but known from smuggling.
			f.doubt = true
			f.other = true
		default:
			f.other = true
		}
	}
}

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// shape is how the end of a body is found.
type shape uint8

const (
	shapeNone    shape = iota // there is no body
	shapeLength               // after a known number of bytes
	shapeChunked              // by the last chunk
	shapeClose                // by the end of the connection
	shapeUnknown              // not at all
)

// frame is the decision on one message.
type frame struct {
	shape   shape
	length  int64         // of shapeLength
	missing event.Reasons // marks of the message
	upgrade bool          // HTTP/1 ends with this message
	// doubt: another recipient may see the end of this message elsewhere, so
	// every later message of the direction is in doubt as well.
	doubt bool
}

// decide applies RFC 9112 section 6.3. method is of the message itself, or of
// the request that a response answers ("" when unknown). Where the RFC lets
// or makes recipients differ, the decision is the one of the RFC, marked
// ambiguous_length.
func decide(kind message.Kind, method string, status int, minor byte, f framing) frame {
	if kind == message.Response {
		if d, ok := decideBodiless(method, status, f); ok {
			return d
		}
	}
	d := frame{doubt: f.doubt}
	switch {
	case f.transfer:
		// Transfer-Encoding overrides Content-Length; both together, and
		// either with HTTP/1.0, is faulty framing (section 6.1).
		d.doubt = d.doubt || f.lengths > 0 || minor == '0' || f.chunked > 1 || !f.last
		switch {
		case f.last:
			d.shape = shapeChunked
		case kind == message.Response:
			d.shape = shapeClose
		default:
			d.shape = shapeUnknown
		}
		if f.other {
			// The body is given as it is below chunked: still encoded.
			d.missing = d.missing.With(event.ReasonDecodeFailed)
		}
	case f.conflict:
		d.shape, d.doubt = shapeUnknown, true
	case f.lengths > 0:
		d.shape, d.length = shapeLength, f.length
		if f.lengths > 1 {
			// Every recipient that takes it reads the same length.
			d.missing = d.missing.With(event.ReasonAmbiguousLength)
		}
	case kind == message.Response:
		d.shape = shapeClose
	}
	if d.doubt {
		d.missing = d.missing.With(event.ReasonAmbiguousLength)
	}
	return d
}

// decideBodiless takes the responses that end with their head, whatever their
// fields say. A length that must not be there may still mislead a recipient.
func decideBodiless(method string, status int, f framing) (frame, bool) {
	switch {
	case method == "HEAD" || status == 304:
		return frame{}, true
	case status < 200 || status == 204:
		d := frame{upgrade: status == 101}
		if f.length > 0 || f.conflict || f.transfer {
			d.missing, d.doubt = event.Of(event.ReasonAmbiguousLength), true
		}
		return d, true
	case method == "CONNECT" && status < 300:
		return frame{upgrade: true}, true
	default:
		return frame{}, false
	}
}

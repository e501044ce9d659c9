// Package message holds the nouns of HTTP: one request or response with its
// fields and body, independent of the protocol version that carried it.
//
// It owns no behaviour beyond looking things up. Parsers fill a [Message],
// later stages read it; nothing in it aliases a buffer of the capture side.
package message

import (
	"strings"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// Kind tells requests from responses.
type Kind uint8

const (
	Request Kind = iota + 1
	Response
)

// String returns "request" or "response".
func (k Kind) String() string {
	if k == Request {
		return "request"
	}
	return "response"
}

// Field is one header or trailer field as it was sent: case kept, surrounding
// white space removed from the value, folded lines joined by one space.
type Field struct{ Name, Value string }

// Fields is a header or trailer section: order and repetitions kept.
type Fields []Field

// Get returns the value of the first field with the name, in any case.
func (f Fields) Get(name string) (value string, ok bool) {
	for i := range f {
		if strings.EqualFold(f[i].Name, name) {
			return f[i].Value, true
		}
	}
	return "", false
}

// Values returns the values of all fields with the name, in order.
func (f Fields) Values(name string) []string {
	var values []string
	for i := range f {
		if strings.EqualFold(f[i].Name, name) {
			values = append(values, f[i].Value)
		}
	}
	return values
}

// SizeUnknown is the size of what could not be counted.
const SizeUnknown = -1

// Body is the content of a message after transfer coding and before content
// coding is undone.
type Body struct {
	// Bytes is the part that was kept: always a prefix, without holes.
	Bytes []byte
	// Size is the true length in bytes, whether kept or not; SizeUnknown when
	// the end was not seen.
	Size int64
	// Missing says why Bytes is shorter than Size. Bytes that were not asked
	// for are not missing.
	Missing event.Reasons
}

// Message is one request or one response.
type Message struct {
	Kind     Kind
	Protocol string // as sent, for example "HTTP/1.1"

	Method string // requests: as sent
	Target string // requests: the request target as sent

	Status int    // responses: the code that was sent
	Phrase string // responses: the reason phrase, may be empty

	Fields   Fields
	Trailers Fields
	Body     Body

	// HeadSize is the length of the start line and the header section on the
	// wire with the empty line, bytes.
	HeadSize int64

	First   event.Stamp   // of the first byte
	End     uint64        // ns, CLOCK_BOOTTIME, of the last byte that was seen
	Missing event.Reasons // what is missing or doubtful outside Body.Bytes
	// Upgrade is set on a response after which the connection no longer
	// carries HTTP/1 (101, or 2xx to CONNECT).
	Upgrade bool

	// Held is what the message occupies of the memory budget, bytes. Whoever
	// ends its life gives it back.
	Held int
}

package record

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// exchange is one transaction with everything that its records show, found
// out once for all of them. The encoder uses one over and over.
type exchange struct {
	*transaction.Transaction
	process *transaction.Process // nil: unknown
	key     transaction.ProcessKey
	level   transaction.Level
	offset  int64 // ns, from kernel time to Unix time

	url          transaction.URL
	direction    transaction.Direction
	completeness transaction.Completeness
	missing      event.Reasons
	trace        transaction.Trace
	traced       bool

	start, end uint64        // ns, CLOCK_BOOTTIME; 0 when unknown
	duration   time.Duration // unknown when negative, as the next
	firstByte  time.Duration

	serverAddress string // "" when unknown
	serverPort    int64  // 0 when unknown
	connectionID  string
	requestID     string

	request, response content
}

// content is the body of one message as an object shows it.
type content struct {
	bytes   []byte // content codings undone, or as on the wire; valid until the next exchange
	size    int64  // on the wire; message.SizeUnknown
	shown   bool   // the level shows bodies and there is one
	binary  bool   // bytes are not UTF-8
	cut     bool   // bytes are not all of it
	decoded bool   // codings were undone
}

// observe fills x.
func (e *Encoder) observe(t *transaction.Transaction, p *transaction.Process, level transaction.Level) *exchange {
	x := &e.exchange
	*x = exchange{Transaction: t, process: p, key: t.Process(), level: level, offset: e.offset}
	x.start, x.end = t.StartTime(), t.EndTime()
	x.duration, x.firstByte = orUnknown(t.Duration()), orUnknown(t.TimeToFirstByte())
	x.url = t.URL()
	x.direction = t.Direction()
	x.completeness, x.missing = t.Completeness(level)
	x.trace, x.traced = t.Trace()
	x.serverAddress, x.serverPort = e.server(t.Connection, &x.url)
	x.requestID, x.connectionID = e.requestID(t)

	var doubts event.Reasons
	x.request, doubts = e.content(t.Request, level, &e.bodies[0])
	x.mark(doubts)
	x.response, doubts = e.content(t.Response, level, &e.bodies[1])
	x.mark(doubts)
	if !x.isText() {
		x.mark(event.Of(event.ReasonNotUTF8))
	}
	return x
}

func orUnknown(d time.Duration, ok bool) time.Duration {
	if !ok {
		return -1
	}
	return d
}

// mark adds what came up when the object was made. A body of which only a
// prefix is shown leaves the record truncated, everything else incomplete.
func (x *exchange) mark(doubts event.Reasons) {
	if doubts == 0 {
		return
	}
	x.missing |= doubts
	if doubts.Without(event.ReasonBodyLimit) != 0 {
		x.completeness = transaction.Incomplete
	} else if x.completeness == transaction.Complete {
		x.completeness = transaction.Truncated
	}
}

// content returns the body of m as the level shows it, decoded into scratch.
func (e *Encoder) content(m *message.Message, level transaction.Level, scratch *[]byte) (c content, doubts event.Reasons) {
	c.size = message.SizeUnknown
	if m == nil {
		return c, 0
	}
	c.size = m.Body.Size
	if level < transaction.LevelFull || c.size == 0 {
		return c, 0
	}
	c.shown = true
	c.bytes = m.Body.Bytes
	c.cut = m.Body.Missing != 0 || int64(len(c.bytes)) != c.size
	if codings := contentCodings(m.Fields); len(codings) > 0 && len(c.bytes) > 0 {
		doubts = e.undo(&c, codings, scratch)
	} else {
		c.binary = !isText(c.bytes, c.cut)
	}
	if c.cut && !c.binary {
		c.bytes = wholeCharacters(c.bytes)
	}
	if c.cut && m.Body.Missing == 0 && doubts == 0 {
		doubts = event.Of(event.ReasonBodyLimit) // was not kept, although this level shows it
	}
	return c, doubts
}

// undo undoes the codings of c. What is cut or malformed stays as it was on
// the wire, and the reasons say so.
func (e *Encoder) undo(c *content, codings []string, scratch *[]byte) event.Reasons {
	c.binary = true // whatever the bytes look like, they are not the text
	if c.cut {
		return event.Of(event.ReasonDecodeFailed)
	}
	if *scratch == nil {
		*scratch = make([]byte, 0, minScratch)
	}
	out, cut, err := e.decoder.decode((*scratch)[:0], c.bytes, codings, e.options.BodyLimit)
	if *scratch = out; cap(out) > maxScratch {
		*scratch = nil
	}
	if err != nil {
		return event.Of(event.ReasonDecodeFailed)
	}
	c.bytes, c.cut, c.decoded = out, cut, true
	c.binary = !isText(out, cut)
	if cut {
		return event.Of(event.ReasonBodyLimit)
	}
	return 0
}

// What is kept of the memory of a decoded body or an object for the next one.
const (
	minScratch = 16 << 10
	maxScratch = 4 << 20
)

// isText reports whether b is UTF-8. Where it was cut, the beginning of one
// more character at its end is no fault.
func isText(b []byte, cut bool) bool {
	if cut {
		b = wholeCharacters(b)
	}
	return utf8.Valid(b)
}

// wholeCharacters returns b without the beginning of a character at its end.
func wholeCharacters(b []byte) []byte {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i]
			}
			break
		}
	}
	return b
}

// isText reports whether everything that the level shows outside the bodies
// is UTF-8, so that it can be shown byte for byte.
func (x *exchange) isText() bool {
	for _, m := range [...]*message.Message{x.Request, x.Response} {
		if m == nil {
			continue
		}
		if !utf8.ValidString(m.Target) || !utf8.ValidString(m.Method) || !utf8.ValidString(m.Phrase) {
			return false
		}
		for _, fields := range [...]message.Fields{m.Fields, m.Trailers} {
			for i := range fields {
				f := &fields[i]
				if x.level < transaction.LevelHeaders && !isShown(f.Name) {
					continue
				}
				if !utf8.ValidString(f.Value) || !utf8.ValidString(f.Name) {
					return false
				}
			}
		}
	}
	return true
}

// isShown reports whether the value of a field is shown below the level that
// shows all fields.
func isShown(name string) bool {
	switch len(name) {
	case len("host"):
		return strings.EqualFold(name, "host")
	case len("user-agent"):
		return strings.EqualFold(name, "user-agent")
	case len("content-type"):
		return strings.EqualFold(name, "content-type")
	}
	return false
}

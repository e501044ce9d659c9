package record

import (
	"net/netip"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// maxLineURL bounds the URL in a readable line, bytes; the attribute has it
// whole.
const maxLineURL = 512

// requestLine returns the readable line of a request:
//
//	GET http://example.test/a?b=1 200 12.3ms 1.2kB ingress nginx[123]
//
// It is made of redacted values only, and of one line whatever they hold.
func (e *Encoder) requestLine(x *exchange) string {
	b := appendExchange(e.line[:0], x)
	if x.duration >= 0 {
		b = appendDuration(append(b, ' '), x.duration)
	}
	if x.response.size >= 0 {
		b = appendSize(append(b, ' '), uint64(x.response.size))
	}
	if name := x.direction.String(); name != "" {
		b = append(append(b, ' '), name...)
	}
	b = appendProcess(b, source{x.key, x.process})
	if x.completeness != transaction.Complete {
		b = append(append(b, ' '), x.completeness.String()...)
		b = appendReasons(b, x.missing)
	}
	return e.keep(b)
}

// artifactLine returns the readable line of an artifact record:
//
//	artifact 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 1.2kB GET http://example.test/ 200
func (e *Encoder) artifactLine(x *exchange, digest string) string {
	b := append(append(e.line[:0], "artifact "...), digest...)
	b = appendSize(append(b, ' '), uint64(len(e.object.buf)))
	return e.keep(appendExchange(append(b, ' '), x))
}

// connectionLine returns the readable line of a connection:
//
//	connection 10.0.0.1:40000 to 10.0.0.2:80 client http1 3 transactions 1.2kB sent 4.5kB received 1.5s curl[123]
func (e *Encoder) connectionLine(c *transaction.Connection, p *transaction.Process) string {
	b := e.line[:0]
	b = append(b, "connection "...)
	switch {
	case c.Unix:
		b = appendWord(append(b, "unix "...), c.Path)
	default:
		b = appendEnd(b, c.Local)
		b = appendEnd(append(b, " to "...), c.Remote)
	}
	switch c.Role {
	case event.RoleClient:
		b = append(b, " client"...)
	case event.RoleServer:
		b = append(b, " server"...)
	}
	b = append(append(b, ' '), c.Protocol.String()...)
	b = strconv.AppendUint(append(b, ' '), c.Transactions, 10)
	b = append(b, " transactions "...)
	b = append(appendSize(b, c.Sent), " sent "...)
	b = append(appendSize(b, c.Received), " received"...)
	if d := lifetime(c); d >= 0 {
		b = appendDuration(append(b, ' '), d)
	}
	b = appendProcess(b, source{c.Process, p})
	b = appendReasons(b, c.Missing)
	return e.keep(b)
}

func appendEnd(b []byte, end netip.AddrPort) []byte {
	if !end.IsValid() {
		return append(b, '-')
	}
	return end.AppendTo(b)
}

// keep returns the line and keeps its memory for the next one.
func (e *Encoder) keep(b []byte) string {
	e.line = b
	return string(b)
}

// appendExchange appends method, URL and status; '-' stands for what is not
// known, as in access logs.
func appendExchange(b []byte, x *exchange) []byte {
	method, url := "-", "-"
	if r := x.Request; r != nil {
		method, url = r.Method, r.Target
		if x.url.Full != "" {
			url = x.url.Full
		}
	}
	b = appendWord(b, method)
	b = appendWord(append(b, ' '), url)
	b = append(b, ' ')
	if x.Response == nil {
		return append(b, '-')
	}
	return strconv.AppendInt(b, int64(x.Response.Status), 10)
}

// appendWord appends at most maxLineURL bytes of s. What would end the line, move
// the cursor of a terminal or is no UTF-8 is percent-encoded.
func appendWord(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		if i >= maxLineURL {
			return append(b, "…"...)
		}
		c := s[i]
		if c > ' ' && c < 0x7f {
			b = append(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.IsSpace(r) {
			for _, c := range []byte(s[i : i+n]) {
				b = append(b, '%', upperDigits[c>>4], upperDigits[c&15])
			}
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return b
}

func appendProcess(b []byte, s source) []byte {
	pid := s.pid()
	if s.process == nil || s.process.ExecutableName == "" {
		if pid != 0 {
			b = strconv.AppendUint(append(b, " pid "...), uint64(pid), 10)
		}
		return b
	}
	b = appendWord(append(b, ' '), s.process.ExecutableName)
	if pid != 0 {
		b = strconv.AppendUint(append(b, '['), uint64(pid), 10)
		b = append(b, ']')
	}
	return b
}

func appendReasons(b []byte, missing event.Reasons) []byte {
	for i, name := range missing.Names() {
		if i == 0 {
			b = append(b, ": "...)
		} else {
			b = append(b, ", "...)
		}
		b = append(b, name...)
	}
	return b
}

// appendDuration appends a time with three digits: 12.3ms.
func appendDuration(b []byte, d time.Duration) []byte {
	switch {
	case d < time.Millisecond:
		return append(appendThree(b, float64(d)/1e3), "µs"...)
	case d < time.Second:
		return append(appendThree(b, float64(d)/1e6), "ms"...)
	default:
		return append(appendThree(b, float64(d)/1e9), 's')
	}
}

// appendSize appends a number of bytes with three digits, in decimal units.
func appendSize(b []byte, size uint64) []byte {
	switch {
	case size < 1e3:
		return append(strconv.AppendUint(b, size, 10), 'B')
	case size < 1e6:
		return append(appendThree(b, float64(size)/1e3), "kB"...)
	case size < 1e9:
		return append(appendThree(b, float64(size)/1e6), "MB"...)
	default:
		return append(appendThree(b, float64(size)/1e9), "GB"...)
	}
}

// appendThree appends v with three digits, as far as they are needed.
func appendThree(b []byte, v float64) []byte {
	switch {
	case v < 10:
		return strconv.AppendFloat(b, v, 'f', 2, 64)
	case v < 100:
		return strconv.AppendFloat(b, v, 'f', 1, 64)
	default:
		return strconv.AppendFloat(b, v, 'f', 0, 64)
	}
}

package record

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// appendTextObject appends the object of the format text: a block of lines
// «# key: value» with what is known about the transaction, then the request
// and the response as HTTP/1 would write them, with the bodies decoded.
func appendTextObject(d *document, x *exchange) {
	d.buf = appendTextMetadata(d.buf, x)
	if r := x.Request; r != nil {
		b := d.buf
		b = append(b, '\n')
		b = append(appendLineText(b, r.Method), ' ')
		b = append(appendLineText(b, r.Target), ' ')
		b = append(appendLineText(b, r.Protocol), '\n')
		d.buf = appendTextMessage(b, x, r, &x.request)
	}
	if r := x.Response; r != nil {
		b := d.buf
		b = append(b, '\n')
		b = append(appendLineText(b, r.Protocol), ' ')
		b = strconv.AppendInt(b, int64(r.Status), 10)
		if r.Phrase != "" {
			b = appendLineText(append(b, ' '), r.Phrase)
		}
		d.buf = appendTextMessage(append(b, '\n'), x, r, &x.response)
	}
}

func appendTextMetadata(b []byte, x *exchange) []byte {
	if x.start != 0 {
		b = append(x.appendTime(append(b, "# transaction_time: "...)), '\n')
	}
	b = appendTextMillis(b, "duration_ms", x.duration)
	b = appendTextMillis(b, "time_to_first_byte_ms", x.firstByte)
	b = appendTextLine(b, "direction", x.direction.String())
	b = appendTextLine(b, "completeness", x.completeness.String())
	for _, reason := range x.missing.Names() {
		b = appendTextLine(b, "missing", reason)
	}
	if pid := (source{x.key, x.process}).pid(); pid != 0 {
		b = appendTextInt(b, "process_id", int64(pid))
	}
	if p := x.process; p != nil {
		b = appendTextLine(b, "process_exe", p.ExecutablePath)
		b = appendTextLine(b, "container_id", p.ContainerID)
	}
	sent, received := x.wireBytes()
	b = appendTextInt(b, "bytes_sent", sent)
	b = appendTextInt(b, "bytes_received", received)
	b = appendTextLine(b, "connection_id", x.connectionID)
	b = appendTextLine(b, "request_id", x.requestID)
	b = appendTextLine(b, "endpoint_id", x.endpoint())
	b = appendTextLine(b, "url", x.url.Full)
	b = appendTextContent(b, "request", &x.request)
	return appendTextContent(b, "response", &x.response)
}

func appendTextContent(b []byte, message string, c *content) []byte {
	b = appendTextInt(b, message+".body_size", c.size)
	if len(c.bytes) > 0 {
		b = appendTextLine(b, message+".body_encoding", c.encoding())
	}
	if c.cut {
		b = appendTextLine(b, message+".body_truncated", "true")
	}
	return b
}

func appendTextLine(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, "# "...), name...), ": "...)
	return append(appendLineText(b, value), '\n')
}

func appendTextInt(b []byte, name string, value int64) []byte {
	if value < 0 {
		return b
	}
	b = append(append(append(b, "# "...), name...), ": "...)
	return append(strconv.AppendInt(b, value, 10), '\n')
}

func appendTextMillis(b []byte, name string, value time.Duration) []byte {
	if value < 0 {
		return b
	}
	b = append(append(append(b, "# "...), name...), ": "...)
	return append(appendMillis(b, uint64(value)), '\n')
}

// appendTextMessage appends fields, an empty line and the body.
func appendTextMessage(b []byte, x *exchange, m *message.Message, c *content) []byte {
	if x.showsFields() {
		b = append(appendTextFields(b, m.Fields), '\n')
	}
	if len(c.bytes) > 0 {
		if c.binary {
			b = base64.StdEncoding.AppendEncode(b, c.bytes)
		} else {
			b = append(b, c.bytes...)
		}
		b = append(b, '\n')
	}
	if x.showsFields() && len(m.Trailers) > 0 {
		b = appendTextFields(append(b, '\n'), m.Trailers)
	}
	return b
}

func appendTextFields(b []byte, fields message.Fields) []byte {
	for i := range fields {
		b = append(appendLineText(b, fields[i].Name), ": "...)
		b = append(appendLineText(b, fields[i].Value), '\n')
	}
	return b
}

// appendLineText appends s as a part of one line: control characters other
// than the tab are percent-encoded, what is no UTF-8 becomes U+FFFD.
func appendLineText(b []byte, s string) []byte {
	for i, r := range s {
		switch {
		case r < ' ' && r != '\t' || r == 0x7f:
			c := s[i]
			b = append(b, '%', upperDigits[c>>4], upperDigits[c&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

const upperDigits = "0123456789ABCDEF"

package record

import (
	"strconv"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// appendJSONObject appends the document of the format json. Its keys and their
// order are a contract: docs/record-format.md.
func appendJSONObject(d *document, x *exchange) {
	d.open('{')
	d.key("metadata")
	d.open('{')
	appendMetadata(d, x)
	d.key("tags")
	d.open('[')
	d.close(']')
	d.close('}')
	if x.Request != nil {
		d.key("request")
		appendRequest(d, x)
	}
	if x.Response != nil {
		d.key("response")
		appendResponse(d, x)
	}
	if x.start != 0 {
		d.key("transaction_time")
		d.buf = append(d.buf, '"')
		d.buf = append(x.appendTime(d.buf), '"')
	}
	d.millis("duration_ms", x.duration)
	d.millis("time_to_first_byte_ms", x.firstByte)
	d.known("direction", x.direction.String())
	d.string("completeness", x.completeness.String())
	appendMissing(d, "missing", x.missing)
	d.close('}')
}

// appendMetadata appends the members of metadata up to tags.
func appendMetadata(d *document, x *exchange) {
	if pid := (source{x.key, x.process}).pid(); pid != 0 {
		d.key("process_id")
		d.buf = append(d.buf, '"')
		d.buf = strconv.AppendUint(d.buf, uint64(pid), 10)
		d.buf = append(d.buf, '"')
	}
	if p := x.process; p != nil {
		executable := p.ExecutablePath
		if executable == "" {
			executable = p.ExecutableName
		}
		d.known("process_exe", executable)
		d.known("container_id", p.ContainerID)
	}
	sent, received := x.wireBytes()
	d.size("bytes_sent", sent)
	d.size("bytes_received", received)
	d.string("connection_id", x.connectionID)
	d.string("request_id", x.requestID)
	d.known("endpoint_id", x.endpoint())
}

func appendRequest(d *document, x *exchange) {
	r := x.Request
	d.open('{')
	d.string("method", r.Method)
	d.known("url", x.url.Full)
	d.known("scheme", x.url.Scheme)
	d.known("path", x.url.Path)
	d.known("query", x.url.Query)
	d.known("authority", x.url.Authority)
	d.string("protocol", r.Protocol)
	d.known("user_agent", field(r, "user-agent"))
	d.known("content_type", field(r, "content-type"))
	appendMessage(d, x, r, &x.request)
	d.close('}')
}

func appendResponse(d *document, x *exchange) {
	r := x.Response
	d.open('{')
	d.int("status", int64(r.Status))
	d.string("protocol", r.Protocol)
	d.known("content_type", field(r, "content-type"))
	appendMessage(d, x, r, &x.response)
	d.close('}')
}

// appendMessage appends what requests and responses have in common: fields
// and body, as far as the level shows them.
func appendMessage(d *document, x *exchange, m *message.Message, c *content) {
	if x.showsFields() {
		appendFields(d, "headers", m.Fields)
		if len(m.Trailers) > 0 {
			appendFields(d, "trailers", m.Trailers)
		}
	}
	if len(c.bytes) > 0 {
		d.key("body")
		if c.binary {
			d.buf = appendJSONBase64(d.buf, c.bytes)
		} else {
			d.buf = appendJSONString(d.buf, c.bytes)
		}
		d.string("body_encoding", c.encoding())
	}
	d.size("body_size", c.size)
	if c.shown {
		d.bool("body_truncated", c.cut)
	}
}

// encoding returns how an object shows the bytes.
func (c *content) encoding() string {
	if c.binary {
		return "base64"
	}
	return "utf-8"
}

func appendFields(d *document, name string, fields message.Fields) {
	d.key(name)
	d.open('[')
	for i := range fields {
		d.comma()
		d.open('{')
		d.string("name", fields[i].Name)
		d.string("value", fields[i].Value)
		d.close('}')
	}
	d.close(']')
}

func appendMissing(d *document, name string, missing event.Reasons) {
	d.key(name)
	d.open('[')
	for _, reason := range missing.Names() {
		d.comma()
		d.buf = appendJSONString(d.buf, reason)
	}
	d.close(']')
}

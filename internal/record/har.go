package record

import (
	"net/url"
	"strings"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// appendHAR appends the object of the format har: HTTP Archive 1.2 with one
// entry. What the format has no place for stands in keys that begin with '_',
// which readers must ignore (HAR 1.2, custom fields). The format asks for
// values where nothing is known; they are what browsers export then: "", 0 for
// the status and the timings, -1 for sizes.
func (e *Encoder) appendHAR(d *document, x *exchange) {
	d.open('{')
	d.key("log")
	d.open('{')
	d.string("version", "1.2")
	d.key("creator")
	d.open('{')
	d.string("name", e.options.ScopeName)
	d.string("version", e.options.ScopeVersion)
	d.close('}')
	d.key("entries")
	d.open('[')
	d.comma()
	appendEntry(d, x)
	d.close(']')
	d.close('}')
	d.close('}')
}

func appendEntry(d *document, x *exchange) {
	d.open('{')
	d.key("startedDateTime")
	d.buf = append(d.buf, '"')
	if x.start != 0 {
		d.buf = x.appendTime(d.buf)
	} else {
		d.buf = append(d.buf, "1970-01-01T00:00:00Z"...)
	}
	d.buf = append(d.buf, '"')
	send, wait, receive := timings(x.Transaction)
	d.millis("time", send+wait+receive)
	d.key("request")
	appendHARRequest(d, x)
	d.key("response")
	appendHARResponse(d, x)
	d.key("cache")
	d.open('{')
	d.close('}')
	d.key("timings")
	d.open('{')
	d.millis("send", send)
	d.millis("wait", wait)
	d.millis("receive", receive)
	d.close('}')
	if c := x.Connection; !c.Unix {
		if end := serverEnd(c); end.IsValid() {
			d.string("serverIPAddress", end.Addr().Unmap().String())
		}
	}
	d.string("connection", x.connectionID)
	d.key("_metadata")
	d.open('{')
	appendMetadata(d, x)
	d.close('}')
	d.known("_direction", x.direction.String())
	d.string("_completeness", x.completeness.String())
	appendMissing(d, "_missing", x.missing)
	d.close('}')
}

// timings splits the time of a transaction. A response that began before its
// request ended leaves nothing to wait.
func timings(t *transaction.Transaction) (send, wait, receive time.Duration) {
	start, end := t.StartTime(), t.EndTime()
	if t.Request == nil {
		return 0, 0, time.Duration(end - start)
	}
	first := max(t.FirstByteTime(), start)
	if t.Response == nil {
		first = end
	}
	sent := min(max(t.Request.End, start), first)
	return time.Duration(sent - start), time.Duration(first - sent), time.Duration(max(end, first) - first)
}

func appendHARRequest(d *document, x *exchange) {
	r := x.Request
	if r == nil {
		r = &message.Message{Body: message.Body{Size: message.SizeUnknown}}
	}
	address := x.url.Full
	if address == "" {
		address = r.Target
	}
	d.open('{')
	d.string("method", r.Method)
	d.string("url", address)
	d.string("httpVersion", r.Protocol)
	d.key("cookies")
	d.open('[')
	if x.showsFields() {
		for _, value := range r.Fields.Values("cookie") {
			for pair := range strings.SplitSeq(value, ";") {
				appendCookie(d, pair)
			}
		}
	}
	d.close(']')
	appendHARFields(d, x, r)
	d.key("queryString")
	appendQuery(d, x.url.Query)
	if c := &x.request; len(c.bytes) > 0 {
		d.key("postData")
		d.open('{')
		d.string("mimeType", field(r, "content-type"))
		appendHARText(d, c, "_encoding")
		if c.cut {
			d.bool("_truncated", true)
		}
		d.close('}')
	}
	appendHARSizes(d, r)
	d.close('}')
}

func appendHARResponse(d *document, x *exchange) {
	r := x.Response
	if r == nil {
		r = &message.Message{Body: message.Body{Size: message.SizeUnknown}}
	}
	d.open('{')
	d.int("status", int64(r.Status))
	d.string("statusText", r.Phrase)
	d.string("httpVersion", r.Protocol)
	d.key("cookies")
	d.open('[')
	if x.showsFields() {
		for _, value := range r.Fields.Values("set-cookie") {
			pair, _, _ := strings.Cut(value, ";")
			appendCookie(d, pair)
		}
	}
	d.close(']')
	appendHARFields(d, x, r)
	d.key("content")
	appendHARContent(d, r, &x.response)
	location := ""
	if x.showsFields() {
		location = field(r, "location")
	}
	d.string("redirectURL", location)
	appendHARSizes(d, r)
	if x.Response == nil {
		d.string("_error", errorType(x))
	}
	d.close('}')
}

// appendHARContent appends the body of a response. size is that of the decoded
// body, -1 when it is not known.
func appendHARContent(d *document, r *message.Message, c *content) {
	d.open('{')
	size := c.size
	switch {
	case c.decoded && !c.cut:
		size = int64(len(c.bytes))
	case size > 0 && len(contentCodings(r.Fields)) > 0:
		size = -1
	}
	d.int("size", max(size, -1))
	if c.decoded && !c.cut {
		d.int("compression", size-c.size)
	}
	d.string("mimeType", field(r, "content-type"))
	if len(c.bytes) > 0 {
		appendHARText(d, c, "encoding")
	}
	if c.cut {
		d.bool("_truncated", true)
	}
	d.close('}')
}

// appendHARText appends a body; encoding is the key that says how.
func appendHARText(d *document, c *content, encoding string) {
	if !c.binary {
		d.key("text")
		d.buf = appendJSONString(d.buf, c.bytes)
		return
	}
	d.key("text")
	d.buf = appendJSONBase64(d.buf, c.bytes)
	d.string(encoding, "base64")
}

func appendHARFields(d *document, x *exchange, m *message.Message) {
	if !x.showsFields() {
		d.key("headers")
		d.buf = append(d.buf, "[]"...)
		return
	}
	appendFields(d, "headers", m.Fields)
	if len(m.Trailers) > 0 {
		appendFields(d, "_trailers", m.Trailers)
	}
}

func appendHARSizes(d *document, m *message.Message) {
	head := m.HeadSize
	if head <= 0 {
		head = -1
	}
	d.int("headersSize", head)
	d.int("bodySize", max(m.Body.Size, -1))
}

// appendCookie appends one «name=value». A value without a name is what
// redaction leaves of a field: it is no cookie.
func appendCookie(d *document, pair string) {
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		return
	}
	d.comma()
	d.open('{')
	d.string("name", strings.TrimSpace(name))
	d.string("value", strings.TrimSpace(value))
	d.close('}')
}

// appendQuery appends the parameters of a query, decoded where they can be.
func appendQuery(d *document, query string) {
	d.open('[')
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		d.comma()
		d.open('{')
		d.string("name", unescape(name))
		d.string("value", unescape(value))
		d.close('}')
	}
	d.close(']')
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

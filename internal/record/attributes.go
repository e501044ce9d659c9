package record

import (
	"net/netip"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// The number of attributes that the kinds of records usually have; more grow
// the map.
const (
	requestAttributes    = 30
	artifactAttributes   = 18
	connectionAttributes = 27
)

// head fills everything of a record but its body and its attributes.
func (e *Encoder) head(record plog.LogRecord, x *exchange, kind string) {
	record.SetEventName(eventName(kind))
	record.SetTimestamp(timestamp(x.start, x.offset))
	// What is observed is the transaction as a whole: its last byte.
	record.SetObservedTimestamp(timestamp(x.end, x.offset))
	severity, name := severityOf(x.Response)
	record.SetSeverityNumber(severity)
	record.SetSeverityText(name)
	if x.traced {
		record.SetTraceID(pcommon.TraceID(x.trace.TraceID))
		record.SetSpanID(pcommon.SpanID(x.trace.SpanID))
		record.SetFlags(plog.LogRecordFlags(x.trace.Flags))
	}
}

// eventName returns the EventName of a kind of record.
func eventName(kind string) string {
	switch kind {
	case typeRequest:
		return "qtap.request"
	case typeConnection:
		return "qtap.connection"
	case typeArtifactRecord:
		return "qtap.artifact_record"
	default:
		return "qtap.artifact"
	}
}

func severityOf(response *message.Message) (severity plog.SeverityNumber, name string) {
	switch {
	case response == nil || response.Status >= 500:
		return plog.SeverityNumberError, "ERROR"
	case response.Status >= 400:
		return plog.SeverityNumberWarn, "WARN"
	default:
		return plog.SeverityNumberInfo, "INFO"
	}
}

// request fills a record of the type request.
func (e *Encoder) request(record plog.LogRecord, x *exchange, digest string) {
	e.head(record, x, typeRequest)
	record.Body().SetStr(e.requestLine(x))
	m := record.Attributes()
	m.EnsureCapacity(requestAttributes)
	m.PutStr("event.type", typeRequest)
	e.exchangeAttributes(m, x)
	e.urlAttributes(m, &x.url)
	m.PutStr("network.protocol.name", "http")
	e.peerAttributes(m, x.Connection)
	for i, c := range [...]*content{&x.request, &x.response} {
		if c.size >= 0 {
			m.PutInt([...]string{"http.request.body.size", "http.response.body.size"}[i], c.size)
		}
	}
	if x.Request != nil {
		if agent, ok := x.Request.Fields.Get("user-agent"); ok {
			known(m, "user_agent.original", agent)
		}
	}
	known(m, "error.type", errorType(x))
	if x.firstByte >= 0 {
		m.PutDouble("qtap.time_to_first_byte_ms", millis(x.firstByte))
	}
	m.PutBool("qtap.tls", isTLS(x.Connection))
	tlsAttributes(m, x.Connection)
	known(m, "qtap.artifact.digest", digest)
}

// exchangeAttributes puts what all records of a transaction have.
func (e *Encoder) exchangeAttributes(m pcommon.Map, x *exchange) {
	if x.Request != nil {
		method := x.Request.Method
		if isKnownMethod(method) {
			m.PutStr("http.request.method", method)
		} else {
			m.PutStr("http.request.method", "_OTHER")
		}
	}
	if x.Response != nil {
		m.PutInt("http.response.status_code", int64(x.Response.Status))
	}
	known(m, "url.full", x.url.Full)
	known(m, "server.address", x.serverAddress)
	known(m, "network.protocol.version", x.version())
	known(m, "qtap.direction", x.direction.String())
	if x.duration >= 0 {
		m.PutDouble("qtap.duration_ms", millis(x.duration))
	}
	m.PutStr("qtap.connection.id", x.connectionID)
	m.PutStr("qtap.request.id", x.requestID)
	m.PutStr("qtap.capture.source", x.Connection.Source.String())
	m.PutStr("qtap.completeness", x.completeness.String())
	putReasons(m, x.missing)
}

// urlAttributes puts what only a request record has of the URL and the method.
func (e *Encoder) urlAttributes(m pcommon.Map, u *transaction.URL) {
	known(m, "url.scheme", u.Scheme)
	known(m, "url.path", u.Path)
	known(m, "url.query", u.Query)
	if r := e.exchange.Request; r != nil && !isKnownMethod(r.Method) {
		known(m, "http.request.method_original", r.Method)
	}
	if port := e.exchange.serverPort; port != 0 {
		m.PutInt("server.port", port)
	}
}

// peerAttributes puts the two ends of a connection, as far as they are known.
func (e *Encoder) peerAttributes(m pcommon.Map, c *transaction.Connection) {
	if c.Unix {
		m.PutStr("network.transport", "unix")
		known(m, "network.peer.address", c.Path)
		return
	}
	m.PutStr("network.transport", "tcp")
	switch c.Role {
	case event.RoleServer:
		e.putEnd(m, "client.address", "client.port", c.Remote)
	case event.RoleClient:
		e.putEnd(m, "client.address", "client.port", c.Local)
	}
	e.putEnd(m, "network.peer.address", "network.peer.port", c.Remote)
	e.putEnd(m, "network.local.address", "network.local.port", c.Local)
}

func (e *Encoder) putEnd(m pcommon.Map, address, port string, end netip.AddrPort) {
	if !end.IsValid() {
		return
	}
	m.PutStr(address, e.addresses.text(end.Addr()))
	m.PutInt(port, int64(end.Port()))
}

// artifactRecord fills a record of the type artifact_record.
func (e *Encoder) artifactRecord(record plog.LogRecord, x *exchange, digest string) {
	e.head(record, x, typeArtifactRecord)
	record.Body().SetStr(e.artifactLine(x, digest))
	e.artifactAttributes(record.Attributes(), x, typeArtifactRecord, digest)
}

// artifactAttributes puts the attributes of an artifact and of its record.
func (e *Encoder) artifactAttributes(m pcommon.Map, x *exchange, kind, digest string) {
	m.EnsureCapacity(artifactAttributes)
	m.PutStr("event.type", kind)
	e.exchangeAttributes(m, x)
	m.PutStr("artifact.type", artifactType)
	m.PutStr("artifact.digest", digest)
	if len(e.accessURL) > 0 {
		known(m, "artifact.url", e.accessURL.of(digest))
	}
	m.PutStr("artifact.content_type", e.options.Format.ContentType())
	m.PutInt("artifact.size_bytes", int64(len(e.object.buf)))
}

func putReasons(m pcommon.Map, missing event.Reasons) {
	if missing == 0 {
		return
	}
	names := missing.Names()
	s := m.PutEmptySlice("qtap.missing")
	s.EnsureCapacity(len(names))
	for _, name := range names {
		s.AppendEmpty().SetStr(name)
	}
}

// isKnownMethod reports whether the method is one that the semantic
// conventions name: those of RFC 9110 and PATCH. Methods are case-sensitive.
func isKnownMethod(method string) bool {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return true
	}
	return false
}

// version returns the protocol version without its name: "1.1".
func (x *exchange) version() string {
	for _, m := range [...]*message.Message{x.Request, x.Response} {
		if m != nil {
			_, version, _ := strings.Cut(m.Protocol, "/")
			return version
		}
	}
	return ""
}

// statusTexts are the error types of status codes: text without allocation.
var statusTexts = func() (texts [200]string) {
	const digits = "0123456789"
	for i := range texts {
		code := 400 + i
		texts[i] = string([]byte{digits[code/100], digits[code/10%10], digits[code%10]})
	}
	return texts
}()

// errorType returns the value of error.type, "" when there was no error: the
// status code, of 4xx only where we are the client, because for the server
// they are no error (semantic conventions); without a response the reason.
func errorType(x *exchange) string {
	if x.Response == nil {
		for _, r := range [...]event.Reason{event.ReasonConnectionClosed, event.ReasonIdle, event.ReasonShutdown} {
			if x.missing.Has(r) {
				return r.String()
			}
		}
		return event.ReasonNoResponse.String()
	}
	status := x.Response.Status
	if status < 400 || status >= 600 || status < 500 && x.direction == transaction.Ingress {
		return ""
	}
	return statusTexts[status-400]
}

// isTLS reports whether the connection is encrypted, which is known from where
// its bytes were read.
func isTLS(c *transaction.Connection) bool {
	return c.Source != event.SourceSocket || c.Protocol == event.ProtocolTLS
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }

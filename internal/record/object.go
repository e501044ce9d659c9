package record

import (
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// format returns the object of x in the configured format, valid until the
// next one.
func (e *Encoder) format(x *exchange) []byte {
	d := &e.object
	d.buf, d.next = d.buf[:0], false
	switch e.options.Format {
	case FormatText:
		appendTextObject(d, x)
	case FormatHAR:
		e.appendHAR(d, x)
	default:
		appendJSONObject(d, x)
	}
	return d.buf
}

// wireBytes returns the bytes that the process sent and received for the
// transaction: heads and bodies without the framing of chunks; negative when
// not known.
func (x *exchange) wireBytes() (sent, received int64) {
	sent, received = messageBytes(x.Request), messageBytes(x.Response)
	switch x.Connection.Role {
	case event.RoleClient:
		return sent, received
	case event.RoleServer:
		return received, sent
	default:
		return -1, -1
	}
}

func messageBytes(m *message.Message) int64 {
	if m == nil || m.Body.Size < 0 || m.HeadSize <= 0 {
		return -1
	}
	return m.HeadSize + m.Body.Size
}

// endpoint returns who was asked: the authority of the URL, else the address
// of the server.
func (x *exchange) endpoint() string {
	if x.url.Authority != "" {
		return x.url.Authority
	}
	return x.serverAddress
}

// appendTime appends the start of the transaction (RFC 3339, UTC); nothing
// when it is not known.
func (x *exchange) appendTime(b []byte) []byte {
	if x.start == 0 {
		return b
	}
	return time.Unix(0, int64(timestamp(x.start, x.offset))).UTC().AppendFormat(b, time.RFC3339Nano)
}

// field returns the value of the first field with the name, "" when there is
// none.
func field(m *message.Message, name string) string {
	value, _ := m.Fields.Get(name)
	return value
}

// showsFields reports whether the level shows header and trailer fields.
func (x *exchange) showsFields() bool { return x.level >= transaction.LevelHeaders }

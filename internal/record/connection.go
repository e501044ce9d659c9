package record

import (
	"time"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// Connection builds the record of a connection that has ended, or that is no
// longer followed. p is the process that was first seen to use it, nil when
// nothing but its key is known. Neither is kept.
func (e *Encoder) Connection(c *transaction.Connection, p *transaction.Process) {
	record := e.records(source{c.Process, p}).AppendEmpty()
	record.SetEventName(eventName(typeConnection))
	began := opened(c)
	record.SetTimestamp(timestamp(began, e.offset))
	record.SetObservedTimestamp(timestamp(max(c.Closed, began), e.offset))
	record.SetSeverityNumber(plog.SeverityNumberInfo)
	record.SetSeverityText("INFO")
	record.Body().SetStr(e.connectionLine(c, p))

	m := record.Attributes()
	m.EnsureCapacity(connectionAttributes)
	m.PutStr("event.type", typeConnection)
	if c.Protocol == event.ProtocolHTTP1 || c.Protocol == event.ProtocolHTTP2 {
		m.PutStr("network.protocol.name", "http")
	}
	e.peerAttributes(m, c)
	if address, port := e.server(c, &transaction.URL{}); address != "" {
		known(m, "server.address", address)
		if port != 0 {
			m.PutInt("server.port", port)
		}
	}
	if c.Reset {
		m.PutStr("error.type", "connection_reset")
	}
	known(m, "qtap.direction", c.Direction().String())
	if d := lifetime(c); d >= 0 {
		m.PutDouble("qtap.duration_ms", millis(d))
	}
	m.PutStr("qtap.connection.id", e.connectionID(c.ID))
	m.PutStr("qtap.capture.source", c.Source.String())
	m.PutBool("qtap.tls", isTLS(c))
	tlsAttributes(m, c)
	m.PutInt("qtap.bytes_sent", int64(c.Sent))
	m.PutInt("qtap.bytes_received", int64(c.Received))
	m.PutInt("qtap.transactions", int64(c.Transactions))
	known(m, "qtap.opaque", opaque(c))
	putReasons(m, c.Missing)

	e.batch.Connections++
	e.batch.Bytes += eventBytes
}

// opaque returns why nothing of the connection could be read, "" when it could.
func opaque(c *transaction.Connection) string {
	if c.Protocol == event.ProtocolHTTP2 && c.Transactions == 0 {
		return c.Protocol.String()
	}
	return c.Opaque
}

// opened returns when the connection was established, or else first seen.
func opened(c *transaction.Connection) uint64 {
	if c.Opened != 0 {
		return c.Opened
	}
	return c.FirstSeen
}

// lifetime returns how long the connection lived; negative when not known.
func lifetime(c *transaction.Connection) time.Duration {
	if c.Opened == 0 || c.Closed < c.Opened {
		return -1
	}
	return time.Duration(c.Closed - c.Opened)
}

package record

import (
	"crypto/tls"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// versions are the values of tls.protocol.version.
var versions = map[uint16]string{
	tls.VersionTLS10: "1.0", tls.VersionTLS11: "1.1", tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3",
}

// tlsAttributes puts what the hellos of the connection say, by the names of
// the semantic conventions.
func tlsAttributes(m pcommon.Map, c *transaction.Connection) {
	if version := versions[c.TLS.Version]; version != "" {
		m.PutStr("tls.protocol.name", "tls")
		m.PutStr("tls.protocol.version", version)
		m.PutStr("tls.cipher", tls.CipherSuiteName(c.TLS.Cipher))
	}
	known(m, "tls.next_protocol", c.TLS.Protocol)
	known(m, "tls.client.server_name", c.TLS.ServerName)
}

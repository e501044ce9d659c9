package handshake

import (
	"bytes"
	"strings"
)

// Extensions (IANA TLS ExtensionType values).
const (
	extensionServerName        = 0
	extensionALPN              = 16
	extensionSupportedVersions = 43
)

// retryRandom is the random of a ServerHello that is a HelloRetryRequest (RFC
// 8446 section 4.1.3).
var retryRandom = []byte{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

// cursor takes fields off a message. After the first one that is not there it
// gives nothing.
type cursor struct {
	b      []byte
	failed bool
}

func (c *cursor) take(n int) []byte {
	if c.failed || n > len(c.b) {
		c.failed = true
		return nil
	}
	taken := c.b[:n]
	c.b = c.b[n:]
	return taken
}

// number takes a big-endian number of 1 or 2 bytes.
func (c *cursor) number(bytes int) int {
	n := 0
	for _, b := range c.take(bytes) {
		n = n<<8 | int(b)
	}
	return n
}

// vector takes a length of so many bytes, and as many bytes as it says.
func (c *cursor) vector(lengthBytes int) cursor {
	n := c.number(lengthBytes)
	taken := c.take(n)
	return cursor{b: taken, failed: c.failed}
}

func (c *cursor) more() bool { return !c.failed && len(c.b) > 0 }

// client reads a ClientHello: version, random, session id, cipher suites,
// compression methods, extensions.
func (r *Reader) client(body []byte) {
	c := cursor{b: body}
	c.take(2 + 32)
	c.vector(1)
	c.vector(2)
	c.vector(1)
	extensions := c.vector(2)
	for extensions.more() {
		kind := extensions.number(2)
		content := extensions.vector(2)
		if kind != extensionServerName || content.failed {
			continue
		}
		// RFC 6066 section 3: a list of which only the type host_name exists.
		names := content.vector(2)
		if nameType := names.number(1); nameType != 0 {
			continue
		}
		name := names.vector(2)
		if text := string(name.b); !name.failed && isHostName(text) {
			r.facts.ServerName = strings.ToLower(text)
		}
	}
}

// server reads a ServerHello: version, random, session id, cipher suite,
// compression method, extensions. It returns false for a HelloRetryRequest.
func (r *Reader) server(body []byte) bool {
	c := cursor{b: body}
	version := c.number(2)
	if bytes.Equal(c.take(32), retryRandom) {
		return false
	}
	c.vector(1)
	cipher := c.number(2)
	c.take(1)
	if c.failed {
		return true
	}
	protocol := ""
	extensions := c.vector(2)
	for extensions.more() {
		kind := extensions.number(2)
		content := extensions.vector(2)
		switch {
		case content.failed:
		case kind == extensionSupportedVersions && len(content.b) == 2:
			version = content.number(2)
		case kind == extensionALPN:
			// RFC 7301 section 3.1: a list with exactly one name.
			names := content.vector(2)
			if name := names.vector(1); !name.failed && isToken(name.b) {
				protocol = strings.ToLower(string(name.b))
			}
		}
	}
	r.facts.Version, r.facts.Cipher, r.facts.Protocol = uint16(version), uint16(cipher), protocol
	return true
}

// isHostName accepts what RFC 6066 allows: ASCII names without a final dot.
// Underscores are common in the names of containers.
func isHostName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, b := range []byte(label) {
			if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
				return false
			}
		}
	}
	return true
}

// isToken accepts the printable names that are registered ("h2", "http/1.1").
func isToken(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

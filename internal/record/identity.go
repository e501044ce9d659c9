package record

import (
	"net/netip"
	"strconv"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// server returns the name or address of the server and its port: what the
// request says, else the end of the connection that answers, if it is known.
func (e *Encoder) server(c *transaction.Connection, u *transaction.URL) (address string, port int64) {
	if u.Host != "" {
		return u.Host, urlPort(u)
	}
	if c.Unix {
		return c.Path, 0
	}
	end := serverEnd(c)
	if c.TLS.ServerName != "" {
		return c.TLS.ServerName, int64(end.Port()) // 0 when the end is not known
	}
	if !end.IsValid() {
		return "", 0
	}
	return e.addresses.text(end.Addr()), int64(end.Port())
}

// serverEnd returns the end of the connection that answers, not valid when it
// is not known.
func serverEnd(c *transaction.Connection) netip.AddrPort {
	switch c.Role {
	case event.RoleClient:
		return c.Remote
	case event.RoleServer:
		return c.Local
	default:
		return netip.AddrPort{}
	}
}

// urlPort returns the port of a URL with a host: that of its scheme when it
// names none (RFC 9110, section 4.2).
func urlPort(u *transaction.URL) int64 {
	switch {
	case u.Port != 0:
		return int64(u.Port)
	case u.Scheme == "http":
		return 80
	case u.Scheme == "https":
		return 443
	default:
		return 0
	}
}

// connectionID returns the id of a connection: the session and the number in
// hexadecimal.
func (e *Encoder) connectionID(id uint64) string {
	return string(e.appendConnectionID(id))
}

func (e *Encoder) appendConnectionID(id uint64) []byte {
	b := e.id[:0]
	b = append(b, e.options.Session...)
	if len(b) > 0 {
		b = append(b, '-')
	}
	e.id = strconv.AppendUint(b, id, 16)
	return e.id
}

// requestID returns the id of a transaction, which is the connection's and its
// place there, and the connection's.
func (e *Encoder) requestID(t *transaction.Transaction) (request, connection string) {
	b := e.appendConnectionID(t.Connection.ID)
	length := len(b)
	e.id = strconv.AppendUint(append(b, '-'), t.Sequence, 10)
	request = string(e.id)
	return request, request[:length]
}

// addresses remembers the text of IP addresses: a host has few of its own, and
// busy peers come again. Each address has one place, which the next one with
// the same place takes over.
type addresses [256]struct {
	address netip.Addr
	text    string
}

// text returns the address as text; IPv4-mapped IPv6 as IPv4.
func (a *addresses) text(address netip.Addr) string {
	bytes := address.As16()
	place := byte(0)
	for _, b := range bytes[8:] {
		place = place*31 + b
	}
	entry := &a[place]
	if entry.text == "" || entry.address != address {
		entry.address, entry.text = address, address.Unmap().String()
	}
	return entry.text
}

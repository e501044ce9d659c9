package transaction

import (
	"net/netip"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// Direction of a transaction, seen from this host.
type Direction uint8

const (
	DirectionUnknown Direction = iota // the role or the peer's address is not known
	Ingress                           // a local process answers
	EgressInternal                    // a local process asks, within the own network
	EgressExternal                    // a local process asks, outside of it
)

var directionNames = [...]string{"", "ingress", "egress-internal", "egress-external"}

// String returns the value of the attribute qtap.direction, "" when unknown.
func (d Direction) String() string { return directionNames[d] }

// Direction returns the direction of the connection's transactions.
func (c *Connection) Direction() Direction {
	switch {
	case c.Role == event.RoleServer:
		return Ingress
	case c.Role != event.RoleClient:
		return DirectionUnknown
	case c.Unix:
		return EgressInternal
	case !c.Remote.IsValid():
		return DirectionUnknown
	case internal(c.Remote.Addr()):
		return EgressInternal
	default:
		return EgressExternal
	}
}

// Direction returns the direction of the transaction.
func (t *Transaction) Direction() Direction { return t.Connection.Direction() }

// sharedAddresses is RFC 6598: carrier-grade NAT, also used inside clouds.
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

// internal reports whether an address is not one of the public Internet:
// loopback and unspecified, RFC 1918, RFC 4193, link-local, RFC 6598.
func internal(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsUnspecified() || a.IsPrivate() || a.IsLinkLocalUnicast() || sharedAddresses.Contains(a)
}

// Process returns the process that did its part of the transaction: who sent
// the response, or else received the request, on the server's side; who sent
// the request, or else received the response, on the client's.
func (t *Transaction) Process() ProcessKey {
	first, second := t.Request, t.Response
	if t.Connection.Role == event.RoleServer {
		first, second = second, first
	}
	if first != nil && first.First.PID != 0 {
		return ProcessKey{PID: first.First.PID, Generation: first.First.Generation}
	}
	if second != nil && second.First.PID != 0 {
		return ProcessKey{PID: second.First.PID, Generation: second.First.Generation}
	}
	return t.Connection.Process
}

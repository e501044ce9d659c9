// Package transaction joins the messages of a connection to transactions and
// tells what follows from them: direction, times, URL, completeness.
//
// It owns the nouns Transaction, Connection and Process, and [Pairing], which
// takes the messages that the parsers of both directions find and gives each
// request with its response, by order and by kernel time. It reads no bytes,
// imports no parser, and never invents what was not seen: a message without
// its counterpart is given as it is, marked.
package transaction

import (
	"net/netip"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// Transaction is one request with its response. One of the two may be nil
// when it was not seen; Missing then says why.
type Transaction struct {
	Connection *Connection
	Sequence   uint64 // counts the transactions of the connection from 1
	Request    *message.Message
	Response   *message.Message
	Interim    int           // 1xx responses before Response, not counting 101
	Missing    event.Reasons // of the pairing; the messages have their own
}

// Connection is one socket of a local process and its peer. Of a connection
// between two local processes both ends are seen, as two connections.
type Connection struct {
	ID        uint64
	Handle    uint64 // the kernel's key, never shown
	Opened    uint64 // ns, CLOCK_BOOTTIME; 0 when unknown
	FirstSeen uint64 // ns, CLOCK_BOOTTIME
	Late      bool   // open before it was first seen
	Role      event.Role
	Protocol  event.Protocol
	Source    event.CaptureSource
	Unix      bool
	Local     netip.AddrPort // not valid when unknown, and for Unix sockets
	Remote    netip.AddrPort
	Path      string // Unix: path of the listening socket, "@name" when abstract, "" when unnamed
	NetNS     uint32
	Process   ProcessKey // who was first seen to use it
	TLS       TLS
	Opaque    string // why its TLS could not be read; "" when it could or when there is none

	Sent, Received uint64 // bytes that the application moved, as far as known
	Transactions   uint64
	Closed         uint64 // ns, CLOCK_BOOTTIME; 0 while open
	Reset          bool   // the end was not an orderly one
	Missing        event.Reasons
}

// TLS is what the first messages of an encrypted connection say. Unknown
// fields are zero.
type TLS struct {
	Version    uint16 // negotiated, 0x0303 for TLS 1.2
	Cipher     uint16 // chosen, IANA number
	ServerName string // that the client asks for
	Protocol   string // chosen by ALPN, where it is not encrypted (TLS 1.2)
}

// ProcessKey identifies one image of one process.
type ProcessKey struct {
	PID        uint32
	Generation uint64
}

// Process is what is known of a process. Unknown fields are empty.
type Process struct {
	PID            uint32
	ExecutableName string
	ExecutablePath string
	Owner          string // user name, or the number where it has none
	ContainerID    string
	PodUID         string
}

package event

// Kind tells which record follows a [Header].
type Kind uint8

const (
	// KindOpen introduces a connection. It precedes the first KindData of
	// the connection and is not sent for connections that carry nothing of
	// interest.
	KindOpen Kind = iota + 1
	// KindData is bytes that an application sent or received.
	KindData
	// KindFinish is the end of one direction of a connection.
	KindFinish
	// KindClose is the end of a connection. Nothing follows it.
	KindClose
	// KindProcess describes a process at its first traffic. It precedes the
	// first KindData of that process.
	KindProcess
	// KindMark is written by a [Source] in user space: every record older
	// than its time has been delivered.
	KindMark
	// KindLoss is written by a [Source] in user space: what the kernel side
	// counted as turned away since the last KindLoss.
	KindLoss
	// KindBind tells that the TLS session which a connection stands for uses
	// the socket of another connection. That one gives nothing more; its
	// close comes under the session's.
	KindBind
	// KindHandshake is first bytes of a TLS connection as they are on the
	// wire. It is laid out like KindData.
	KindHandshake
	// KindHello is made in user space of what KindHandshake carried.
	KindHello
)

// Direction of bytes, seen from the process that moved them.
type Direction uint8

const (
	Send Direction = iota
	Receive
)

// String returns "send" or "receive".
func (d Direction) String() string {
	if d == Send {
		return "send"
	}
	return "receive"
}

// Opposite returns the other direction.
func (d Direction) Opposite() Direction { return d ^ 1 }

// Role of the local socket in the connection.
type Role uint8

const (
	// RoleUnknown is the role of a connection that was open before the start.
	RoleUnknown Role = iota
	RoleClient
	RoleServer
)

// Protocol is what the first bytes of a connection looked like to the kernel.
type Protocol uint8

const (
	ProtocolUnknown Protocol = iota
	ProtocolHTTP1
	ProtocolHTTP2
	ProtocolTLS
)

// String returns the name used in records.
func (p Protocol) String() string {
	switch p {
	case ProtocolHTTP1:
		return "http1"
	case ProtocolHTTP2:
		return "http2"
	case ProtocolTLS:
		return "tls"
	default:
		return "unknown"
	}
}

// CaptureSource is where plaintext was read. Its String is the value of the
// attribute qtap.capture.source.
type CaptureSource uint8

const (
	SourceSocket CaptureSource = iota
	SourceOpenSSL
	SourceGo
	SourceGnuTLS
	SourceNSS
)

// String returns the value of the attribute qtap.capture.source.
func (s CaptureSource) String() string {
	switch s {
	case SourceSocket:
		return "socket"
	case SourceOpenSSL:
		return "openssl"
	case SourceGo:
		return "go"
	case SourceGnuTLS:
		return "gnutls"
	case SourceNSS:
		return "nss"
	default:
		return "unknown"
	}
}

// Flags of a [Header].
type Flags uint8

const (
	// FlagLate: the connection was open before it was first seen, so bytes
	// before Position 0 may exist.
	FlagLate Flags = 1 << iota
	// FlagAdopted (Data): the bytes between the end of the previous Data in
	// this direction and Position were deliberately not submitted, because
	// they did not look like a supported protocol. This one does.
	FlagAdopted
	// FlagLost (Data, Finish, Close): a record of this direction (of either
	// for Close) was refused by a full ring since the last one delivered.
	FlagLost
	// FlagReset (Finish, Close): the end was not an orderly one.
	FlagReset
	// FlagBegins (Data): Position is the first byte of what one call moved.
	// A call's later pieces come without it.
	FlagBegins
)

// Header begins every record. Size 40 bytes, little endian, no padding.
type Header struct {
	Length     uint32 // of the whole record with payload, bytes
	Kind       Kind
	Flags      Flags
	CPU        uint16
	Time       uint64 // ns, CLOCK_BOOTTIME
	Connection uint64 // unique while the kernel side is loaded; 0 when none
	Generation uint64 // tells apart processes that had the same PID and images of one process; 0 when unknown
	PID        uint32 // thread group, as the initial PID namespace numbers it; 0 when unknown
	TID        uint32
}

// Open is the record of KindOpen. Header.Time is the time of first interest.
// Of a connection with TLS a second one comes when its plaintext can be read:
// Source and Protocol are then those of the plaintext. Family is 0 while the
// socket of a TLS session is not known.
type Open struct {
	Header
	Handle     uint64 // the kernel's key of the connection; never leaves the process
	Opened     uint64 // ns, CLOCK_BOOTTIME, when the connection was established; 0 when unknown
	NetNS      uint32 // inode number of the network namespace
	UID        uint32 // effective user of the process
	Family     uint16 // AF_UNIX 1, AF_INET 2, AF_INET6 10
	LocalPort  uint16 // host order
	RemotePort uint16 // host order
	Role       Role
	Protocol   Protocol
	Local      [16]byte // AF_INET: first 4 bytes
	Remote     [16]byte
	Path       string // AF_UNIX: path of the listening socket, "@name" when abstract, "" when unnamed; at most 107 bytes
	Source     CaptureSource
}

// Bind is the record of KindBind. Header.Connection is the session's.
type Bind struct {
	Header
	Socket uint64 // the connection that the socket had until now
}

// Hello is the record of KindHello: what the first messages of a TLS
// connection say. Unknown fields are zero.
type Hello struct {
	Header
	Version    uint16 // the negotiated one, 0x0303 for TLS 1.2
	Cipher     uint16 // the chosen one, IANA number
	ServerName string // that the client asks for
	Protocol   string // that the server chose by ALPN, where it says so in the open (TLS 1.2)
}

// Data is the record of KindData: Size bytes starting at Position, of which
// the first len(Payload) are here. The rest is missing for Reason.
type Data struct {
	Header
	Position  uint64 // of the first byte in its direction; 0 is the first byte of the connection, or the first one seen (FlagLate)
	Size      uint32
	Direction Direction
	Source    CaptureSource
	Reason    Reason // why Payload is shorter than Size; ReasonNone when it is not
	Payload   []byte // aliases the record
}

// End returns the position after the last byte.
func (d *Data) End() uint64 { return d.Position + uint64(d.Size) }

// Finish is the record of KindFinish: no bytes at or after Position follow in
// Direction.
type Finish struct {
	Header
	Position  uint64
	Direction Direction
}

// Close is the record of KindClose, with the final positions: what the
// application sent and received.
type Close struct {
	Header
	Sent     uint64
	Received uint64
}

// Process is the record of KindProcess, taken in the kernel in the context of
// the process, so it is right for processes that have ended since.
type Process struct {
	Header
	UID      uint32
	PPID     uint32
	Comm     string   // at most 15 bytes
	Exe      []string // path components of the executable, innermost first, crossing mounts; nil when unreadable
	CgroupV2 []string // names of the control groups, innermost first, root left out
	CgroupV1 []string // the same in a version 1 hierarchy; nil where none is used
}

// Mark is the record of KindMark. Every record with an earlier Header.Time was
// delivered before it. Wall maps kernel time to the calendar.
type Mark struct {
	Header
	Wall int64 // ns since the Unix epoch at Header.Time
}

// Loss is the record of KindLoss: counts since the previous one.
type Loss struct {
	Header
	Counts [NumCounters]uint64
}

// Stamp says when bytes were moved, by whom, and where they were read.
type Stamp struct {
	Time       uint64 // ns, CLOCK_BOOTTIME
	Generation uint64
	PID        uint32
	Source     CaptureSource
	Begins     bool // the bytes are the first ones of a call (FlagBegins)
}

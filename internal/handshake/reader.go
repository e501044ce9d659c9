package handshake

import "github.com/qtapreceiver/qtapreceiver/internal/event"

const (
	recordHeaderBytes  = 5
	messageHeaderBytes = 4
	recordChangeCipher = 20 // RFC 8446 section 5.1; before a second hello only
	recordHandshake    = 22
	clientHello        = 1 // RFC 8446 section 4
	serverHello        = 2
	// maxBytes is what the kernel side copies of each direction.
	maxBytes = 4096
)

// Facts is what the hellos say. Unknown fields are zero.
type Facts struct {
	Version    uint16 // negotiated, 0x0303 for TLS 1.2
	Cipher     uint16 // chosen, IANA number
	ServerName string // that the client asks for, a valid host name
	Protocol   string // chosen by ALPN, where it is not encrypted
}

// Reader takes one connection. The zero value is ready.
type Reader struct {
	facts Facts
	sides [2]side
}

// side is one direction: handshake messages without their record headers.
type side struct {
	next     uint64 // position of the next byte
	header   []byte // of a record, while it is not whole
	left     int    // bytes of the current record that have not come
	passes   bool   // the current record has no messages
	messages []byte
	skipped  int // bytes of messages that were read
	done     bool
}

// Take takes the next bytes of a direction. It reports whether everything is
// known that will be: both hellos, or bytes that make them unreadable.
func (r *Reader) Take(d *event.Data) (done bool) {
	s := &r.sides[d.Direction&1]
	if !s.done {
		s.done = d.Position != s.next || !s.records(d.Payload) || int(d.Size) != len(d.Payload)
		s.next = d.End()
		if r.messages(s) {
			s.done = true
		}
	}
	return r.sides[0].done && r.sides[1].done
}

// Facts returns what is known so far.
func (r *Reader) Facts() Facts { return r.facts }

// records takes record headers away; false when no hello can follow.
func (s *side) records(b []byte) bool {
	for len(b) > 0 {
		if s.left == 0 {
			n := min(len(b), recordHeaderBytes-len(s.header))
			s.header = append(s.header, b[:n]...)
			b = b[n:]
			if len(s.header) < recordHeaderBytes {
				return true
			}
			s.passes = s.header[0] == recordChangeCipher
			if s.header[0] != recordHandshake && !s.passes || s.header[1] != 3 {
				return false
			}
			s.left = int(s.header[3])<<8 | int(s.header[4])
			s.header = s.header[:0]
			continue
		}
		n := min(len(b), s.left)
		if len(s.messages)+n > maxBytes {
			return false
		}
		if !s.passes {
			s.messages = append(s.messages, b[:n]...)
		}
		s.left -= n
		b = b[n:]
	}
	return true
}

// messages reads the messages that are whole; true when the hello of this
// direction was read, or cannot come.
func (r *Reader) messages(s *side) bool {
	for {
		rest := s.messages[s.skipped:]
		if len(rest) < messageHeaderBytes {
			return false
		}
		length := int(rest[1])<<16 | int(rest[2])<<8 | int(rest[3])
		if length > maxBytes {
			return true
		}
		if len(rest) < messageHeaderBytes+length {
			return false
		}
		body := rest[messageHeaderBytes : messageHeaderBytes+length]
		switch rest[0] {
		case clientHello:
			r.client(body)
			return true
		case serverHello:
			if !r.server(body) {
				// A request to try again (RFC 8446 section 4.1.4): the real one follows,
				// after a record that is no handshake in compatibility mode.
				s.skipped += messageHeaderBytes + length
				continue
			}
			return true
		default:
			return true
		}
	}
}

package event

import "math/bits"

// Reason says why something is missing. Its String is a value of the
// attribute qtap.missing.
type Reason uint8

// The first block is also used by the kernel side (bpf/event.h); its numbers
// are part of the ABI and of recordings.
const (
	ReasonNone       Reason = 0
	ReasonBodyLimit  Reason = 1 // the copy budget or body_limit_bytes
	ReasonSendfile   Reason = 2 // sendfile or splice moved the bytes past user space
	ReasonUnreadable Reason = 3 // the buffer could not be read, or the call discarded the bytes (MSG_TRUNC)
	ReasonRingFull   Reason = 4 // the ring buffer refused the record
	ReasonNotSeen    Reason = 5 // moved by a call that is not watched, for example io_uring

	ReasonJoinedLate       Reason = 8  // before the start, or before the connection was recognised
	ReasonMemoryBudget     Reason = 9  // limits.memory_mib or a bound of a stage
	ReasonConnectionClosed Reason = 10 // the connection ended first
	ReasonHeaderLimit      Reason = 11 // header section over the limit
	ReasonMalformed        Reason = 12 // not a valid message
	ReasonAmbiguousLength  Reason = 13 // more than one message length was given
	ReasonNoRequest        Reason = 14 // the request was not seen
	ReasonNoResponse       Reason = 15 // no response was seen
	ReasonIdle             Reason = 16 // nothing moved for the idle time
	ReasonShutdown         Reason = 17 // the receiver stopped first
	ReasonDecodeFailed     Reason = 18 // the content coding could not be undone; the body is as on the wire
	ReasonPipelined        Reason = 19 // pairing of request and response is not certain
	ReasonNotUTF8          Reason = 20 // bytes that are not UTF-8 are shown as U+FFFD
	numReasons                    = 21
)

var reasonNames = [numReasons]string{
	ReasonBodyLimit:        "body_limit",
	ReasonSendfile:         "sendfile",
	ReasonUnreadable:       "unreadable",
	ReasonRingFull:         "ring_full",
	ReasonNotSeen:          "not_seen",
	ReasonJoinedLate:       "joined_late",
	ReasonMemoryBudget:     "memory_budget",
	ReasonConnectionClosed: "connection_closed",
	ReasonHeaderLimit:      "header_limit",
	ReasonMalformed:        "malformed",
	ReasonAmbiguousLength:  "ambiguous_length",
	ReasonNoRequest:        "no_request",
	ReasonNoResponse:       "no_response",
	ReasonIdle:             "idle",
	ReasonShutdown:         "shutdown",
	ReasonDecodeFailed:     "decode_failed",
	ReasonPipelined:        "pipelined",
	ReasonNotUTF8:          "not_utf8",
}

// String returns the name used in records, or "unknown".
func (r Reason) String() string {
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons is a set of [Reason]. The zero value is empty.
type Reasons uint32

// Of returns the set of the given reasons. ReasonNone adds nothing.
func Of(reasons ...Reason) Reasons {
	var s Reasons
	for _, r := range reasons {
		s = s.With(r)
	}
	return s
}

// With returns the set with r added. ReasonNone adds nothing.
func (s Reasons) With(r Reason) Reasons {
	if r == ReasonNone {
		return s
	}
	return s | 1<<r
}

// Without returns the set with r removed.
func (s Reasons) Without(r Reason) Reasons { return s &^ (1 << r) }

// Has reports whether r is in the set.
func (s Reasons) Has(r Reason) bool { return r != ReasonNone && s&(1<<r) != 0 }

// Names returns the names in ascending order of their numbers; nil when empty.
func (s Reasons) Names() []string {
	if s == 0 {
		return nil
	}
	names := make([]string, 0, bits.OnesCount32(uint32(s)))
	for ; s != 0; s &= s - 1 {
		names = append(names, Reason(bits.TrailingZeros32(uint32(s))).String())
	}
	return names
}

// Gap is a hole in one direction of a connection: the bytes at positions
// From up to and without To were moved and are not known.
type Gap struct {
	From, To uint64
	Reason   Reason
}

// Len returns the number of bytes in the hole.
func (g Gap) Len() uint64 { return g.To - g.From }

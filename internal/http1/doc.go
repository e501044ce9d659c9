// Package http1 is an incremental parser for one direction of an HTTP/1.x
// connection (RFC 9112, RFC 9110): bytes, gaps and the end go in, messages
// come out.
//
// It owns the framing: where a message begins and ends, what its head says
// and which part of its body is kept. It takes bytes in order, holes as
// [event.Gap] values and the end of the direction, and gives each
// [message.Message] to a [Sink]. It never pairs messages, never undoes a
// content coding, never guesses a boundary: whenever the end of a message is
// not certain, the message is marked and synchronisation is either given up
// or the doubt is carried on to every later message (see framing.go and
// resync.go).
//
// The states, in the order in which a message passes them:
//
//	atStart ─> inHead ─> inHeadRest ─┬─> inLength ─────────────────────┐
//	   ^          (over the limit)   ├─> inChunkSize <─> inChunkData   │
//	   │                             │      └─> inTrailers ─> …Rest ───┤
//	   │                             └─> untilClose (ends with Close)  │
//	   └──────────────────────────────── message done ─────────────────┘
//	lost:   the position of the next message is unknown (resync.go)
//	opaque: what follows is not HTTP/1
//	closed: nothing follows
package http1

package pipeline

import (
	"net/netip"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/stream"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// connection is what a shard holds of one connection. Parsers and pairing are
// made at the first bytes, so that one that never speaks costs little.
type connection struct {
	noun    transaction.Connection
	shard   *shard
	lanes   [2]lane // by event.Direction
	pairing *transaction.Pairing

	moved        uint64      // ns, CLOCK_BOOTTIME: when it last moved something
	newer, older *connection // recency
	early        earlyData   // plaintext of TLS that came before its cause
	waits        bool        // in shard.waiting
	closed       bool        // the close record came
	ignored      bool        // the source was asked for no more bytes
	gone         bool        // forgotten by the shard
}

func newConnection(s *shard, id uint64) *connection {
	c := &connection{shard: s, noun: transaction.Connection{ID: id}}
	for d := range c.lanes {
		c.lanes[d] = lane{connection: c, direction: event.Direction(d)}
	}
	return c
}

// address families, as the kernel numbers them.
const (
	familyUnix = 1
	familyIPv4 = 2
	familyIPv6 = 10
)

// introduce takes what is known of the connection from outside its bytes.
func (c *connection) introduce(o *event.Open) {
	n := &c.noun
	n.Handle, n.Opened, n.NetNS, n.Protocol = o.Handle, o.Opened, o.NetNS, o.Protocol
	n.Late = n.Late || o.Flags&event.FlagLate != 0
	n.Unix, n.Path = o.Family == familyUnix, o.Path
	n.Local = addressOf(o.Family, &o.Local, o.LocalPort)
	n.Remote = addressOf(o.Family, &o.Remote, o.RemotePort)
	n.Source = o.Source
	c.introduceRole(o.Role)
	if n.FirstSeen == 0 || o.Time < n.FirstSeen {
		n.FirstSeen = o.Time
	}
	if n.Process.PID == 0 {
		n.Process = transaction.ProcessKey{PID: o.PID, Generation: o.Generation}
	}
}

// introduceSession takes what the plaintext of a TLS session says of it. The
// record of a write has the time at which its call began: it can come before
// the open record of the session, which another call of it caused, while the
// connection is known as TLS that is not read.
func (c *connection) introduceSession(d *event.Data) {
	n := &c.noun
	n.Source = d.Source
	if n.Protocol == event.ProtocolTLS {
		n.Protocol = event.ProtocolUnknown
		n.Late = n.Late || d.Flags&event.FlagLate != 0
	}
}

// introduceRole takes the role that the kernel knows. Bytes that came before,
// because a full ring had refused the open record at first, may have suggested
// another one: then they were misread.
func (c *connection) introduceRole(role event.Role) {
	learnt := c.noun.Role
	if role == event.RoleUnknown || role == learnt {
		return
	}
	if learnt != event.RoleUnknown {
		c.interrupt(event.ReasonRingFull)
	}
	c.noun.Role = role
}

// addressOf returns an address that is not valid when nothing is known.
func addressOf(family uint16, bytes *[16]byte, port uint16) netip.AddrPort {
	var address netip.Addr
	switch family {
	case familyIPv4:
		address = netip.AddrFrom4([4]byte(bytes[:4]))
	case familyIPv6:
		address = netip.AddrFrom16(*bytes).Unmap()
	default:
		return netip.AddrPort{}
	}
	if port == 0 && address.IsUnspecified() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(address, port)
}

// readable reports whether there is a parser for what the bytes looked like.
func (c *connection) readable() bool {
	return c.noun.Protocol == event.ProtocolUnknown || c.noun.Protocol == event.ProtocolHTTP1
}

func (c *connection) data(d *event.Data) {
	n := &c.noun
	moved := &n.Sent
	if d.Direction == event.Receive {
		moved = &n.Received
	}
	*moved = max(*moved, d.End())
	if d.Source != event.SourceSocket {
		c.introduceSession(d)
	}
	if n.Process.PID == 0 {
		n.Process = transaction.ProcessKey{PID: d.PID, Generation: d.Generation}
	}
	if c.isEarly(d) && c.early.hold(d) {
		c.shard.wait(c)
		return
	}
	if d.Direction == event.Receive {
		c.read(d)
		return
	}
	for held := c.early.first(); held != nil && held.Time < d.Time; held = c.early.first() {
		c.early.take()
		c.read(held) // it was no answer to what is sent only now
	}
	c.read(d)
	for held := c.early.first(); held != nil && !c.overtakes(); held = c.early.first() {
		c.early.take()
		c.read(held)
	}
}

// read gives bytes to the stream of their direction.
func (c *connection) read(d *event.Data) {
	if c.readable() {
		c.lanes[d.Direction].stream().Data(d)
		c.settle()
	}
}

func (c *connection) finish(f *event.Finish) {
	c.readEarly()
	if c.readable() {
		c.lanes[f.Direction].stream().Finish(f)
		c.settle()
	}
}

func (c *connection) close(e *event.Close) {
	c.readEarly()
	n := &c.noun
	c.closed = true
	n.Sent, n.Received = max(n.Sent, e.Sent), max(n.Received, e.Received)
	n.Closed = e.Time
	n.Reset = e.Flags&event.FlagReset != 0
	if c.readable() {
		lost := e.Flags&event.FlagLost != 0
		at := event.Stamp{Time: e.Time}
		c.lanes[event.Send].end(stream.End{Position: e.Sent, Known: true, Orderly: !n.Reset, Lost: lost}, at)
		// That the peer finished its direction is known from its finish alone.
		c.lanes[event.Receive].end(stream.End{Position: e.Received, Known: true, Lost: lost}, at)
	}
	c.settle()
}

// advance tells the streams of a mark.
func (c *connection) advance(mark uint64) {
	if held := c.early.first(); held != nil && mark > held.Time+overtaking {
		c.readEarly()
	}
	for d := range c.lanes {
		if s := c.lanes[d].bytes; s != nil {
			s.Advance(mark)
		}
	}
	c.settle()
}

func (c *connection) isWaiting() bool {
	return c.early.first() != nil || c.lanes[0].isWaiting() || c.lanes[1].isWaiting()
}

// open returns the number of transactions in progress.
func (c *connection) open() int {
	if c.pairing == nil {
		return 0
	}
	return c.pairing.Open()
}

// settle draws the consequences of what the streams have just given.
func (c *connection) settle() {
	switch {
	case c.hasEnded():
		c.end(event.ReasonConnectionClosed)
	case c.isWaiting():
		c.shard.wait(c)
	}
	c.considerIgnoring()
}

// hasEnded reports whether nothing can follow. Of a Unix connection that is
// known by the ends of both directions alone.
func (c *connection) hasEnded() bool {
	over := c.closed || c.noun.Unix
	return over && !c.gone && c.lanes[0].isOver(c.closed) && c.lanes[1].isOver(c.closed)
}

// considerIgnoring asks the source for no more bytes when they are of no use:
// neither direction is HTTP, or no request can be read and none waits for its
// response.
func (c *connection) considerIgnoring() {
	if c.ignored || c.gone || !c.lanes[0].opaque && !c.lanes[1].opaque {
		return
	}
	requests := &c.lanes[event.Send]
	if c.noun.Role == event.RoleServer {
		requests = &c.lanes[event.Receive]
	}
	known := c.noun.Role != event.RoleUnknown
	if c.lanes[0].opaque && c.lanes[1].opaque || known && requests.opaque && c.open() == 0 {
		c.ignored = true
		c.lanes[0].opaque, c.lanes[1].opaque = true, true
		c.shard.source.Ignore(c.noun.ID, c.noun.Handle)
	}
}

// interrupt gives the transactions in progress, marked with the reason. What
// follows is read from the next message that begins with a call.
func (c *connection) interrupt(r event.Reason) {
	for d := range c.lanes {
		c.lanes[d].interrupt(r)
	}
	if c.pairing != nil {
		c.pairing.Close(false, r)
		c.pairing = nil
	}
	c.noun.Missing = c.noun.Missing.With(r)
}

// giveUp ends a connection that may still be open, for a reason of our own.
func (c *connection) giveUp(r event.Reason) {
	c.readEarly()
	c.interrupt(r)
	c.end(r)
}

// drop forgets the connection without a record: another stands for it.
func (c *connection) drop() {
	c.shard.forget(c)
	for d := range c.lanes {
		c.lanes[d].release()
	}
}

// end gives what is left and then the connection itself.
func (c *connection) end(r event.Reason) {
	if c.gone {
		return
	}
	c.shard.forget(c)
	for d := range c.lanes {
		c.lanes[d].release()
	}
	if c.pairing != nil {
		c.pairing.Close(!c.noun.Reset, r)
	}
	if c.noun.Closed == 0 && r == event.ReasonConnectionClosed {
		c.noun.Closed = c.moved // a Unix connection whose directions have ended
	}
	c.shard.emitConnection(&c.noun)
}

// Keep implements transaction.Owner.
func (c *connection) Keep(t *transaction.Transaction, m *message.Message) int64 {
	if c.noun.Protocol == event.ProtocolUnknown {
		c.noun.Protocol = event.ProtocolHTTP1 // the kernel did not wait to be certain
	}
	if !c.shard.policy.Wanted(&c.noun, t) {
		return 0
	}
	return c.shard.policy.Keep(t, m)
}

// Emit implements transaction.Owner.
func (c *connection) Emit(t *transaction.Transaction) { c.shard.emit(t) }

// Opaque implements transaction.Owner.
func (c *connection) Opaque(d event.Direction) { c.lanes[d].stop() }

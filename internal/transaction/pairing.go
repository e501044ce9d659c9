package transaction

import (
	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// maxOutstanding bounds the requests of one connection that wait for their
// response, so that a client that pipelines without end costs bounded memory.
// Clients that pipeline on purpose stay far below.
const maxOutstanding = 128

// Owner is whose connection a [Pairing] serves.
type Owner interface {
	// Keep is asked when a head is complete: how many bytes of m's body to
	// keep, in the meaning of http1.Sink.Head. m is t.Request or t.Response.
	Keep(t *Transaction, m *message.Message) int64
	// Emit takes a transaction that ended. It and its messages, with the
	// memory they hold, belong to the owner from here on.
	Emit(t *Transaction)
	// Opaque says that what follows in a direction is not HTTP/1. After an
	// upgrade it is called for both directions; the parser of the direction
	// must then be stopped.
	Opaque(d event.Direction)
}

// Pairing joins the messages of one connection. Not safe for concurrent use.
//
// HTTP/1.x answers in order, so the first response belongs to the first
// request that waits. That holds as long as every message was seen. A response
// is never given to a request that began after it. Once messages were missed,
// requests that waited are given up, and on a connection whose client was seen
// not to wait for answers the order proves nothing any more: all that it gives
// from then on is marked pipelined.
type Pairing struct {
	connection *Connection
	owner      Owner
	sides      [2]Side
	open       []exchange // by begin of the request
	known      bool       // the direction of requests is known
	requests   event.Direction
	lost       bool   // messages may have been missed
	piped      bool   // a request began before the one before it was answered
	mute       bool   // no response can follow
	orphan     uint64 // ns, start of the last response whose request was not seen
	opaque     [2]bool
}

// exchange is a transaction in progress.
type exchange struct {
	*Transaction
	requestDone  bool
	responseDone bool
	givenUp      bool // no response is expected any more
}

func (e *exchange) waits() bool { return e.Response == nil && !e.givenUp }

func (e *exchange) ended() bool { return e.requestDone && (e.responseDone || e.givenUp) }

// NewPairing returns a pairing for the connection, which it keeps up to date:
// Role, Transactions, Missing.
func NewPairing(c *Connection, owner Owner) *Pairing {
	p := &Pairing{connection: c, owner: owner}
	for d := range p.sides {
		p.sides[d] = Side{pairing: p, direction: event.Direction(d)}
	}
	return p
}

// Sink returns what takes the messages of a direction: an http1.Sink.
func (p *Pairing) Sink(d event.Direction) *Side { return &p.sides[d&1] }

// Open returns the number of transactions that began and were not given yet.
func (p *Pairing) Open() int { return len(p.open) }

// Unanswered reports whether a whole request waits for the end of its response.
func (p *Pairing) Unanswered() bool {
	for i := range p.open {
		if e := &p.open[i]; e.requestDone && !e.responseDone && !e.givenUp {
			return true
		}
	}
	return false
}

// Close gives everything that is outstanding, marked with the reason and,
// where none began, with no_response. Both parsers must have been closed
// before, so that no message is in progress any more; one that is all the same
// is given as far as it is known, and stays with its parser.
func (p *Pairing) Close(orderly bool, reason event.Reason) {
	if !orderly && reason == event.ReasonConnectionClosed {
		p.connection.Reset = true
	}
	for len(p.open) > 0 {
		e := &p.open[0]
		e.Missing = e.Missing.With(reason)
		if e.Response == nil {
			e.Missing = e.Missing.With(event.ReasonNoResponse)
		}
		if !e.requestDone {
			e.Request = snapshot(e.Request)
		}
		if e.Response != nil && !e.responseDone {
			e.Response = snapshot(e.Response)
		}
		p.emit(0)
	}
	p.mute = true
}

// snapshot copies a message that its parser still works on. The copy holds no
// memory of the budget: the parser gives that back.
func snapshot(m *message.Message) *message.Message {
	c := *m
	c.Held = 0
	c.Body.Size = message.SizeUnknown
	return &c
}

// begin adds a transaction. The returned pointer is valid until the next one.
func (p *Pairing) begin() *exchange {
	p.connection.Transactions++
	p.open = append(p.open, exchange{Transaction: &Transaction{
		Connection: p.connection,
		Sequence:   p.connection.Transactions,
	}})
	return &p.open[len(p.open)-1]
}

// emit gives the transaction at i.
func (p *Pairing) emit(i int) {
	t := p.open[i].Transaction
	last := len(p.open) - 1
	copy(p.open[i:], p.open[i+1:])
	p.open[last] = exchange{}
	p.open = p.open[:last]
	if p.piped && (p.lost || p.connection.Late || p.connection.Missing != 0) {
		t.Missing = t.Missing.With(event.ReasonPipelined)
	}
	p.owner.Emit(t)
}

// giveUp expects no response any more for the requests that wait for one.
func (p *Pairing) giveUp(missing event.Reasons) {
	for i := 0; i < len(p.open); {
		e := &p.open[i]
		if e.waits() {
			e.givenUp = true
			e.Missing |= missing.With(event.ReasonNoResponse)
		}
		if e.ended() {
			p.emit(i)
		} else {
			i++
		}
	}
}

// next returns the request that the next response answers, nil when none
// waits.
func (p *Pairing) next() *exchange {
	for i := range p.open {
		if p.open[i].waits() {
			return &p.open[i]
		}
	}
	return nil
}

// waiting returns the number of requests that wait for a response.
func (p *Pairing) waiting() (n int) {
	for i := range p.open {
		if p.open[i].waits() {
			n++
		}
	}
	return n
}

// answersUnseen reports whether the response to a request that was missed is in
// progress. A client that waits for answers begins no request then.
func (p *Pairing) answersUnseen() bool {
	for i := range p.open {
		if p.open[i].Request == nil && !p.open[i].responseDone {
			return true
		}
	}
	return false
}

// learn takes the direction of the first message: who sends requests is the
// client, whoever opened the connection.
func (p *Pairing) learn(requests event.Direction) {
	if p.known {
		return
	}
	p.known, p.requests = true, requests
	p.mute = p.mute || p.opaque[requests.Opposite()]
	p.connection.Role = event.RoleServer
	if requests == event.Send {
		p.connection.Role = event.RoleClient
	}
}

func (p *Pairing) beginRequest(d event.Direction, m *message.Message) int64 {
	p.learn(d)
	p.piped = p.piped || p.answersUnseen()
	if len(p.open) >= maxOutstanding {
		p.lose(event.ReasonMemoryBudget)
	}
	e := p.begin()
	e.Request = m
	// A request that is delivered after a response to nothing, but began before
	// it, may be what that one answered. It must not take the next answer.
	if p.mute || d != p.requests || p.orphan != 0 && m.First.Time <= p.orphan {
		e.givenUp = true
		e.Missing = event.Of(event.ReasonNoResponse)
	}
	return p.owner.Keep(e.Transaction, m)
}

func (p *Pairing) beginResponse(d event.Direction, m *message.Message) int64 {
	p.learn(d.Opposite())
	e := p.next()
	if e != nil && (d == p.requests || e.Request.First.Time > m.First.Time) {
		e = nil
	}
	if interim(m) {
		if e != nil {
			e.Interim++
		}
		return 0
	}
	// Two that wait prove nothing yet: the answer to the first may be in a hole
	// that the next bytes will tell of. An answer with one waiting behind does.
	p.piped = p.piped || e != nil && p.waiting() > 1
	if e == nil {
		// Its request was missed, so others may have been.
		p.lost = true
		p.orphan = max(p.orphan, m.First.Time)
		e = p.begin()
		e.requestDone = true
		e.Missing = event.Of(event.ReasonNoRequest)
	}
	e.Response = m
	return p.owner.Keep(e.Transaction, m)
}

// interim reports whether a final response follows m.
func interim(m *message.Message) bool { return m.Status < 200 && m.Status != 101 }

func (p *Pairing) end(m *message.Message) {
	for i := range p.open {
		e := &p.open[i]
		switch m {
		case e.Request:
			e.requestDone = true
		case e.Response:
			e.responseDone = true
		default:
			continue
		}
		if e.ended() {
			p.emit(i)
		}
		return
	}
}

func (p *Pairing) lose(r event.Reason) {
	p.lost = true
	p.connection.Missing = p.connection.Missing.With(r)
	p.giveUp(event.Of(r))
}

// endHTTP is told that a direction carries no HTTP/1 any more.
func (p *Pairing) endHTTP(d event.Direction, upgraded bool) {
	p.opaque[d] = true
	if upgraded || p.known && d != p.requests {
		p.mute = true
		missing := event.Of(event.ReasonMalformed)
		if upgraded {
			missing = 0
		}
		p.giveUp(missing)
	}
	p.owner.Opaque(d)
	if upgraded {
		p.owner.Opaque(d.Opposite())
	}
}

// Side takes the messages of one direction. It has the methods of http1.Sink.
type Side struct {
	pairing   *Pairing
	direction event.Direction
	upgraded  bool
}

// Expect returns the method of the request that the next response answers.
func (s *Side) Expect() (method string, ok bool) {
	if e := s.pairing.next(); e != nil && s.direction != s.pairing.requests {
		return e.Request.Method, true
	}
	return "", false
}

// Head takes a message whose start line and fields are known. It returns how
// many bytes of the body to keep.
func (s *Side) Head(m *message.Message) (keep int64) {
	if m.Kind == message.Request {
		return s.pairing.beginRequest(s.direction, m)
	}
	return s.pairing.beginResponse(s.direction, m)
}

// Done takes a message that ended.
func (s *Side) Done(m *message.Message) {
	s.upgraded = m.Upgrade
	s.pairing.end(m)
}

// Lost is told that messages of the direction may have been missed. Requests
// that wait for a response are given up; a response that has begun belongs to
// its request all the same.
func (s *Side) Lost(r event.Reason) { s.pairing.lose(r) }

// Opaque is told that what follows in the direction is not HTTP/1.
func (s *Side) Opaque() { s.pairing.endHTTP(s.direction, s.upgraded) }

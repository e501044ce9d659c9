package pipeline

import (
	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/handshake"
)

// greetings reads the hellos of TLS connections. It stands before the shards,
// because a session and the connection of its socket may belong to different
// ones. It is used from one goroutine.
type greetings struct {
	reading  map[uint64]*handshake.Reader // by connection
	known    map[uint64]event.Hello       // for a later bind
	capacity int                          // of each
	hello    event.Hello                  // returned
}

func newGreetings(capacity int) *greetings {
	return &greetings{reading: map[uint64]*handshake.Reader{}, known: map[uint64]event.Hello{}, capacity: capacity}
}

// handshake takes a record of KindHandshake. It returns what the hellos say
// when that is complete, nil before; the result is valid until the next call.
// d is what the record is decoded into.
func (g *greetings) handshake(record []byte, d *event.Data) (*event.Hello, error) {
	if err := event.DecodeHandshake(record, d); err != nil {
		return nil, err
	}
	if _, isKnown := g.known[d.Connection]; isKnown {
		return nil, nil
	}
	reader := g.reading[d.Connection]
	if reader == nil {
		evict(g.reading, g.capacity)
		reader = &handshake.Reader{}
		g.reading[d.Connection] = reader
	}
	if !reader.Take(d) {
		return nil, nil
	}
	delete(g.reading, d.Connection)
	facts := reader.Facts()
	g.hello = event.Hello{
		Header:  event.Header{Time: d.Time, Connection: d.Connection, PID: d.PID, Generation: d.Generation},
		Version: facts.Version, Cipher: facts.Cipher, ServerName: facts.ServerName, Protocol: facts.Protocol,
	}
	evict(g.known, g.capacity)
	g.known[d.Connection] = g.hello
	return &g.hello, nil
}

// bind gives a session the hellos of its socket, and returns them; nil when
// they are not known.
func (g *greetings) bind(b *event.Bind) *event.Hello {
	hello, isKnown := g.known[b.Socket]
	if !isKnown {
		return nil
	}
	g.forget(b.Socket)
	g.hello = hello
	g.hello.Connection, g.hello.Time = b.Connection, b.Time
	g.known[b.Connection] = g.hello
	return &g.hello
}

// end drops a connection that has ended. It returns what one hello said when
// the other never came, nil otherwise.
func (g *greetings) end(connection, at uint64) *event.Hello {
	reader := g.reading[connection]
	g.forget(connection)
	if reader == nil || reader.Facts() == (handshake.Facts{}) {
		return nil
	}
	facts := reader.Facts()
	g.hello = event.Hello{
		Header:  event.Header{Time: at, Connection: connection},
		Version: facts.Version, Cipher: facts.Cipher, ServerName: facts.ServerName, Protocol: facts.Protocol,
	}
	return &g.hello
}

func (g *greetings) forget(connection uint64) {
	delete(g.reading, connection)
	delete(g.known, connection)
}

// evict makes room for one entry: any other goes, whose close was lost.
func evict[V any](m map[uint64]V, capacity int) {
	for key := range m {
		if len(m) < capacity {
			return
		}
		delete(m, key)
	}
}

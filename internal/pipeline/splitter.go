package pipeline

import (
	"sync"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// splitter divides the records of the source over the shards by connection.
// With one shard it passes batches on as they are; with several it copies
// records, which costs less than what follows by far. It runs on the
// goroutine of the source.
type splitter struct {
	shards    []*shard
	processes Processes
	parts     []*event.Batch // being filled, one per shard; nil when empty
	pool      sync.Pool
	process   event.Process
	greetings *greetings
	data      event.Data
	bind      event.Bind
	made      []byte // a record that is made here
	tally     tally
}

// partBytes is the size of the batches that are copied into. A record over it
// gets a batch of its own.
const partBytes = 256 << 10

func newSplitter(shards []*shard, processes Processes, capacity int) *splitter {
	s := &splitter{shards: shards, processes: processes, greetings: newGreetings(capacity), parts: make([]*event.Batch, len(shards))}
	s.pool.New = func() any {
		return &event.Batch{
			Records: make([]byte, 0, partBytes),
			Free: func(b *event.Batch) {
				b.Records = b.Records[:0]
				s.pool.Put(b)
			},
		}
	}
	return s
}

// deliver takes a batch of the source. It waits while a shard is busy.
func (s *splitter) deliver(batch *event.Batch) {
	if len(batch.Records) == 0 {
		batch.Release()
		return
	}
	s.tally.bytes.Add(uint64(len(batch.Records)))
	if len(s.shards) == 1 {
		s.shards[0].input <- batch
		return
	}
	for rest := batch.Records; len(rest) > 0; {
		var (
			record []byte
			err    error
		)
		if record, rest, err = event.Next(rest); err != nil {
			s.tally.malformed.Add(1)
			break
		}
		s.route(record)
	}
	batch.Release()
	for i := range s.parts {
		s.hand(i)
	}
}

// route copies a record to where it belongs. Processes are observed here,
// before any shard sees what they did.
func (s *splitter) route(record []byte) {
	switch event.KindOf(record) {
	case event.KindProcess:
		s.tally.records.Add(1)
		observe(record, &s.process, s.processes, &s.tally)
	case event.KindMark:
		for i := range s.shards {
			s.add(i, record)
		}
	case event.KindLoss:
		s.add(0, record)
	case event.KindHandshake:
		s.tally.records.Add(1)
		hello, err := s.greetings.handshake(record, &s.data)
		if err != nil {
			s.tally.malformed.Add(1)
		}
		s.greet(hello)
	case event.KindBind:
		if err := event.DecodeBind(record, &s.bind); err != nil {
			s.tally.malformed.Add(1)
			return
		}
		s.greet(s.greetings.bind(&s.bind))
		s.add(s.shardOf(s.bind.Socket), record)
	case event.KindClose:
		connection := event.ConnectionOf(record)
		s.greet(s.greetings.end(connection, event.TimeOf(record)))
		s.add(s.shardOf(connection), record)
	default:
		s.add(s.shardOf(event.ConnectionOf(record)), record)
	}
}

// greet hands on what the hellos of a connection say, unless it is nil.
func (s *splitter) greet(hello *event.Hello) {
	if hello != nil {
		s.made = event.AppendHello(s.made[:0], hello)
		s.add(s.shardOf(hello.Connection), s.made)
	}
}

// shardOf spreads connections evenly, whatever their low bits mean.
func (s *splitter) shardOf(connection uint64) int {
	const golden = 0x9e3779b97f4a7c15 // Knuth, The Art of Computer Programming, section 6.4
	return int((connection * golden >> 32) % uint64(len(s.shards)))
}

func (s *splitter) add(i int, record []byte) {
	if part := s.parts[i]; part != nil && len(part.Records)+len(record) > partBytes {
		s.hand(i)
	}
	if s.parts[i] == nil {
		s.parts[i] = s.pool.Get().(*event.Batch)
	}
	s.parts[i].Records = append(s.parts[i].Records, record...)
}

func (s *splitter) hand(i int) {
	if part := s.parts[i]; part != nil {
		s.parts[i] = nil
		s.shards[i].input <- part
	}
}

// close tells the shards that nothing follows.
func (s *splitter) close() {
	for _, shard := range s.shards {
		close(shard.input)
	}
}

// observe decodes a process record and gives it to who knows processes.
func observe(record []byte, p *event.Process, processes Processes, t *tally) {
	if err := event.DecodeProcess(record, p); err != nil {
		t.malformed.Add(1)
		return
	}
	processes.Observe(p)
}

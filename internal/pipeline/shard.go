package pipeline

import (
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/http1"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/policy"
	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/internal/stream"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// shard owns a part of the connections. Everything in it runs on the goroutine
// of run, except input and the counts.
type shard struct {
	input     chan *event.Batch
	source    event.Source
	processes Processes
	targets   Targets // may be nil
	policy    *policy.Policy
	encoder   *record.Encoder
	queue     *queue
	terms     stream.Terms
	limits    http1.Limits

	connections map[uint64]*connection
	capacity    int
	recent      recency
	waiting     []*connection // need marks
	greetings   *greetings    // nil when the splitter has them
	now         uint64        // ns, CLOCK_BOOTTIME: the last mark
	swept       uint64        // time of the last search for silent connections
	hasClock    bool
	countMarks  bool

	batchRecords, batchBytes int
	batchAge                 time.Duration
	timer                    *time.Timer // runs while records are pending
	timing                   bool

	// Decoded records; here, because they would escape to the heap.
	open    event.Open
	data    event.Data
	finish  event.Finish
	closing event.Close
	mark    event.Mark
	loss    event.Loss
	hello   event.Hello
	bind    event.Bind
	process event.Process

	tally tally
}

func newShard(p *Pipeline) (*shard, error) {
	encoder, err := record.NewEncoder(p.config.Record)
	if err != nil {
		return nil, err
	}
	s := &shard{
		input:        make(chan *event.Batch, inputBatches),
		source:       p.source,
		processes:    p.processes,
		targets:      p.config.Targets,
		policy:       p.config.Policy,
		encoder:      encoder,
		queue:        p.queue,
		limits:       http1.Limits{HeaderBytes: p.config.HeaderBytes},
		connections:  map[uint64]*connection{},
		capacity:     (p.config.Connections + p.config.Shards - 1) / p.config.Shards,
		countMarks:   len(p.shards) == 0, // every shard gets every mark
		batchRecords: p.config.BatchRecords,
		batchBytes:   p.config.BatchBytes,
		batchAge:     p.config.BatchAge,
		timer:        time.NewTimer(time.Hour),
	}
	s.terms.Budget = p.budget
	if p.config.Shards == 1 {
		s.greetings = newGreetings(p.config.Connections)
	}
	s.timer.Stop()
	return s, nil
}

// run takes batches until input is closed, then gives up what is open.
func (s *shard) run() {
	defer s.timer.Stop()
	for {
		select {
		case batch, ok := <-s.input:
			if !ok {
				s.shutdown()
				s.flush()
				return
			}
			s.take(batch.Records)
			batch.Release()
		case <-s.timer.C:
			s.timing = false
			s.flush()
		}
	}
}

// take takes the records of one batch.
func (s *shard) take(records []byte) {
	if !s.hasClock {
		s.findClock(records)
	}
	for len(records) > 0 {
		r, rest, err := event.Next(records)
		if err != nil {
			s.tally.malformed.Add(1)
			return
		}
		if err := s.takeRecord(r); err != nil {
			s.tally.malformed.Add(1)
		}
		records = rest
	}
}

func (s *shard) takeRecord(r []byte) error {
	kind := event.KindOf(r)
	if kind != event.KindMark || s.countMarks {
		s.tally.records.Add(1)
	}
	switch kind {
	case event.KindData:
		return s.takeData(r)
	case event.KindOpen:
		return s.takeOpen(r)
	case event.KindFinish:
		return s.takeFinish(r)
	case event.KindClose:
		return s.takeClose(r)
	case event.KindMark:
		return s.takeMark(r)
	case event.KindLoss:
		return s.takeLoss(r)
	case event.KindHandshake:
		return s.takeHandshake(r)
	case event.KindHello:
		return s.takeHello(r)
	case event.KindBind:
		return s.takeBind(r)
	case event.KindProcess:
		observe(r, &s.process, s.processes, &s.tally)
	}
	// A kind that is not known comes from a later version; it can be skipped.
	return nil
}

func (s *shard) takeData(r []byte) error {
	if err := event.DecodeData(r, &s.data); err != nil {
		return err
	}
	c := s.connections[s.data.Connection]
	if c == nil {
		c = s.adopt(&s.data)
	}
	s.touch(c, s.data.Time)
	c.data(&s.data)
	return nil
}

func (s *shard) takeOpen(r []byte) error {
	if err := event.DecodeOpen(r, &s.open); err != nil {
		return err
	}
	c := s.connections[s.open.Connection]
	if c == nil {
		c = s.add(s.open.Connection)
	}
	s.touch(c, s.open.Time)
	c.introduce(&s.open)
	if s.targets != nil && s.open.Protocol == event.ProtocolTLS {
		s.targets.Observe(s.open.PID)
	}
	return nil
}

func (s *shard) takeFinish(r []byte) error {
	if err := event.DecodeFinish(r, &s.finish); err != nil {
		return err
	}
	if c := s.connections[s.finish.Connection]; c != nil {
		s.touch(c, s.finish.Time)
		c.finish(&s.finish)
	}
	return nil
}

func (s *shard) takeClose(r []byte) error {
	if err := event.DecodeClose(r, &s.closing); err != nil {
		return err
	}
	if s.greetings != nil {
		if hello := s.greetings.end(s.closing.Connection, s.closing.Time); hello != nil {
			s.greet(hello)
		}
	}
	if c := s.connections[s.closing.Connection]; c != nil {
		s.touch(c, s.closing.Time)
		c.close(&s.closing)
	}
	return nil
}

// takeHandshake takes first bytes of TLS, where no splitter does.
func (s *shard) takeHandshake(r []byte) error {
	if s.greetings == nil {
		return nil // of a splitter with one shard less: never
	}
	hello, err := s.greetings.handshake(r, &s.data)
	if err != nil || hello == nil {
		return err
	}
	s.greet(hello)
	return nil
}

func (s *shard) takeHello(r []byte) error {
	if err := event.DecodeHello(r, &s.hello); err != nil {
		return err
	}
	s.greet(&s.hello)
	return nil
}

// greet notes what the hellos of a connection say.
func (s *shard) greet(h *event.Hello) {
	c := s.connections[h.Connection]
	if c == nil {
		c = s.add(h.Connection)
		c.noun.FirstSeen = h.Time
		s.touch(c, h.Time)
	}
	c.noun.TLS = transaction.TLS{Version: h.Version, Cipher: h.Cipher, ServerName: h.ServerName, Protocol: h.Protocol}
}

// takeBind drops the connection whose socket a session uses: from now on the
// session stands for it. Either may belong to another shard.
func (s *shard) takeBind(r []byte) error {
	if err := event.DecodeBind(r, &s.bind); err != nil {
		return err
	}
	if s.greetings != nil {
		if hello := s.greetings.bind(&s.bind); hello != nil {
			s.greet(hello)
		}
	}
	if c := s.connections[s.bind.Socket]; c != nil && s.bind.Socket != s.bind.Connection {
		c.drop()
	}
	return nil
}

func (s *shard) takeLoss(r []byte) error {
	if err := event.DecodeLoss(r, &s.loss); err != nil {
		return err
	}
	for i, n := range s.loss.Counts {
		s.tally.kernel[i].Add(n)
	}
	return nil
}

// takeMark takes the news that everything before a time has arrived.
func (s *shard) takeMark(r []byte) error {
	if err := event.DecodeMark(r, &s.mark); err != nil {
		return err
	}
	s.setClock(&s.mark)
	s.now = max(s.now, s.mark.Time)
	s.advance()
	s.sweep()
	return nil
}

func (s *shard) setClock(m *event.Mark) {
	s.hasClock = true
	s.encoder.SetClock(m.Wall - int64(m.Time)) // wraps for a damaged recording only
}

// findClock looks ahead for the first mark, because without one there is no
// time of day for what comes before it. A batch without a mark gets the time
// at which it came.
func (s *shard) findClock(records []byte) {
	var header event.Header
	for rest := records; len(rest) > 0; {
		r, next, err := event.Next(rest)
		if err != nil {
			break
		}
		if event.KindOf(r) == event.KindMark && event.DecodeMark(r, &s.mark) == nil {
			s.setClock(&s.mark)
			return
		}
		if event.DecodeHeader(r, &header) == nil {
			s.encoder.SetClock(time.Now().UnixNano() - int64(header.Time))
		}
		rest = next
	}
}

// emit encodes a transaction and gives its memory back.
func (s *shard) emit(t *transaction.Transaction) {
	held := 0
	for _, m := range [...]*message.Message{t.Request, t.Response} {
		if m != nil {
			held += m.Held
		}
	}
	if s.policy.Wanted(t.Connection, t) {
		level := s.policy.Level(t)
		completeness, _ := t.Completeness(level)
		s.tally.transactions[completeness].Add(1)
		s.policy.Redact(t)
		s.encoder.Transaction(t, s.processes.Lookup(t.Process()), level)
		s.pend()
	} else {
		s.tally.unwanted.Add(1)
	}
	s.terms.Budget.Give(held)
}

// opaque returns why the TLS of a connection was not read, "" when it was.
func (s *shard) opaque(c *transaction.Connection) string {
	switch {
	case c.Protocol != event.ProtocolTLS || c.Transactions > 0:
		return ""
	case c.Late:
		return "opened_before_start"
	case s.targets == nil:
		return c.Protocol.String()
	}
	if reason := s.targets.Reason(c.Process.PID, c.Opened); reason != "" {
		return reason
	}
	return "session_unbound"
}

// emitConnection encodes the event of a connection that ended.
func (s *shard) emitConnection(c *transaction.Connection) {
	c.Opaque = s.opaque(c)
	if s.policy.Wanted(c, nil) {
		s.encoder.Connection(c, s.processes.Lookup(c.Process))
		s.pend()
	}
}

// pend hands the pending records on when they are a batch, and otherwise makes
// sure that they do not wait for longer than the batch age.
func (s *shard) pend() {
	records, bytes := s.encoder.Pending()
	if records >= s.batchRecords || bytes >= s.batchBytes {
		s.flush()
	} else if !s.timing {
		s.timing = true
		s.timer.Reset(s.batchAge)
	}
}

func (s *shard) flush() {
	if s.timing {
		s.timing = false
		s.timer.Stop()
	}
	if records, _ := s.encoder.Pending(); records > 0 {
		s.queue.put(s.encoder.Take())
	}
}

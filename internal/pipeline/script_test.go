package pipeline

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/policy"
	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

const (
	millisecond = uint64(time.Millisecond)
	second      = uint64(time.Second)
	// scriptStart is when scripts begin, since the boot and since 1970.
	scriptStart = 1000 * second
	scriptWall  = 1_700_000_000_000_000_000
)

// script writes the records of a kernel side that never was. Every step takes
// one millisecond.
type script struct {
	records []byte
	now     uint64
	moved   map[uint64]*[2]uint64
	flags   event.Flags         // of the next data
	source  event.CaptureSource // of the next data
}

func newScript() *script { return &script{now: scriptStart, moved: map[uint64]*[2]uint64{}} }

func (s *script) header(id uint64) event.Header {
	s.now += millisecond
	return event.Header{Time: s.now, Connection: id, PID: 100, TID: 100, Generation: 1}
}

func (s *script) position(id uint64, d event.Direction) *uint64 {
	if s.moved[id] == nil {
		s.moved[id] = &[2]uint64{}
	}
	return &s.moved[id][d]
}

// open opens a TCP connection between 10.0.0.1 and 10.0.0.2.
func (s *script) open(id uint64, role event.Role, edit ...func(*event.Open)) *script {
	o := &event.Open{
		Header: s.header(id), Handle: id + 1<<32, Opened: s.now - millisecond/2, Family: familyIPv4,
		Role: role, Protocol: event.ProtocolHTTP1, LocalPort: 8080, RemotePort: 50000,
		Local: [16]byte{10, 0, 0, 1}, Remote: [16]byte{10, 0, 0, 2},
	}
	if role == event.RoleClient {
		o.LocalPort, o.RemotePort = o.RemotePort, o.LocalPort
	}
	for _, e := range edit {
		e(o)
	}
	s.records = event.AppendOpen(s.records, o)
	return s
}

func (s *script) move(id uint64, d event.Direction, payload string, size int) *script {
	h := s.header(id)
	h.Flags = event.FlagBegins | s.flags
	source := s.source
	s.flags, s.source = 0, event.SourceSocket
	at := s.position(id, d)
	s.records = event.AppendData(s.records, &event.Data{
		Header: h, Position: *at, Size: uint32(size), Direction: d, Payload: []byte(payload),
		Reason: event.ReasonBodyLimit, Source: source,
	})
	*at += uint64(size)
	return s
}

func (s *script) send(id uint64, text string) *script {
	return s.move(id, event.Send, text, len(text))
}

func (s *script) receive(id uint64, text string) *script {
	return s.move(id, event.Receive, text, len(text))
}

// lose moves bytes that the ring refused.
func (s *script) lose(id uint64, d event.Direction, n int) *script { //nolint:unparam // a connection, like all others
	*s.position(id, d) += uint64(n)
	s.flags = event.FlagLost
	return s
}

func (s *script) finish(id uint64, d event.Direction) *script {
	s.records = event.AppendFinish(s.records, &event.Finish{Header: s.header(id), Position: *s.position(id, d), Direction: d})
	return s
}

func (s *script) close(id uint64, flags ...event.Flags) *script {
	h := s.header(id)
	for _, f := range flags {
		h.Flags |= f
	}
	s.records = event.AppendClose(s.records, &event.Close{
		Header: h, Sent: *s.position(id, event.Send), Received: *s.position(id, event.Receive),
	})
	return s
}

func (s *script) process(pid uint32) *script {
	h := s.header(0)
	h.PID = pid
	s.records = event.AppendProcess(s.records, &event.Process{Header: h, Comm: "server", Exe: []string{"server", "bin"}})
	return s
}

// pass lets time go by and writes a mark.
func (s *script) pass(d time.Duration) *script {
	s.now += uint64(d)
	s.records = event.AppendMark(s.records, &event.Mark{
		Header: event.Header{Time: s.now}, Wall: int64(s.now-scriptStart) + scriptWall,
	})
	return s
}

func (s *script) loss(c event.Counter, n uint64) *script {
	l := event.Loss{Header: s.header(0)}
	l.Counts[c] = n
	s.records = event.AppendLoss(s.records, &l)
	return s
}

// get is a whole exchange on the server's side.
func (s *script) get(id uint64, path string) *script {
	return s.receive(id, "GET "+path+" HTTP/1.1\r\nHost: example.test\r\n\r\n").
		send(id, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

// tape is a source of batches that were written before. It ends with them, or
// with its context when it is told to stay.
type tape struct {
	batches [][]byte
	stay    bool
	err     error

	guard   sync.Mutex
	ignored []uint64
	taken   int // batches
}

func (s *tape) Run(ctx context.Context, deliver func(*event.Batch)) error {
	for _, records := range s.batches {
		deliver(&event.Batch{Records: records})
		s.guard.Lock()
		s.taken++
		s.guard.Unlock()
	}
	if s.stay {
		<-ctx.Done()
	}
	return s.err
}

func (s *tape) Ignore(connection, handle uint64) {
	s.guard.Lock()
	defer s.guard.Unlock()
	s.ignored = append(s.ignored, connection, handle)
}

func (s *tape) Close() error { return nil }

// registry knows the process 100.
type registry struct {
	guard    sync.Mutex
	observed []uint32
}

func (r *registry) Observe(p *event.Process) {
	r.guard.Lock()
	defer r.guard.Unlock()
	r.observed = append(r.observed, p.PID)
}

func (r *registry) Lookup(key transaction.ProcessKey) *transaction.Process {
	if key != (transaction.ProcessKey{PID: 100, Generation: 1}) {
		return nil
	}
	return &transaction.Process{PID: 100, ExecutableName: "server", ExecutablePath: "/usr/bin/server"}
}

// consumer keeps what is delivered.
type consumer struct {
	guard  sync.Mutex
	events []plog.LogRecord
	values []plog.LogRecord // artifacts
}

func (c *consumer) deliver(_ context.Context, b record.Batch) (int, error) {
	c.guard.Lock()
	defer c.guard.Unlock()
	c.events = appendRecords(c.events, b.Events)
	for _, artifact := range b.Artifacts {
		c.values = appendRecords(c.values, artifact)
	}
	return 0, nil
}

func appendRecords(records []plog.LogRecord, logs plog.Logs) []plog.LogRecord {
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				records = append(records, r)
			}
		}
	}
	return records
}

// ofType returns the events of a type.
func (c *consumer) ofType(name string) (records []plog.LogRecord) {
	c.guard.Lock()
	defer c.guard.Unlock()
	for _, r := range c.events {
		if text(r, "event.type") == name {
			records = append(records, r)
		}
	}
	return records
}

// text returns an attribute as text, "" when it is absent.
func text(r plog.LogRecord, key string) string {
	v, ok := r.Attributes().Get(key)
	if !ok {
		return ""
	}
	return v.AsString()
}

// requests returns a line for each request event.
func (c *consumer) requests() (lines []string) {
	for _, r := range c.ofType("request") {
		line := text(r, "http.request.method") + " " + text(r, "url.path") + " " + text(r, "http.response.status_code") +
			" " + text(r, "qtap.completeness")
		if missing := text(r, "qtap.missing"); missing != "" {
			line += " " + missing
		}
		lines = append(lines, line)
	}
	return lines
}

func configuration(tb testing.TB, level transaction.Level) Config {
	tb.Helper()
	rules, err := policy.New(policy.Config{Level: level, BodyLimit: 1 << 20})
	require.NoError(tb, err)
	return Config{
		Policy: rules,
		Record: record.Options{ServiceName: "qtap", Session: "s", BodyLimit: 1 << 20},
		Shards: 1,
	}
}

// play runs the records through a pipeline until they end.
func play(tb testing.TB, config Config, s *script) (*consumer, *tape, Stats) {
	tb.Helper()
	out, source := &consumer{}, &tape{batches: [][]byte{s.records}}
	p, err := New(config, source, &registry{}, out.deliver)
	require.NoError(tb, err)
	require.NoError(tb, p.Run(context.Background()))
	stats := p.Stats()
	require.Zero(tb, stats.Memory, "all memory is given back")
	require.Zero(tb, stats.Connections)
	require.Zero(tb, stats.QueueBytes)
	return out, source, stats
}

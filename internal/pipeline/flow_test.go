package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// traffic is n exchanges, each on a connection of its own.
func traffic(n int) *script {
	s := newScript()
	for id := range uint64(n) {
		s.open(id+1, event.RoleServer).get(id+1, fmt.Sprint("/", id)).close(id + 1)
	}
	return s.pass(0)
}

// start runs a pipeline in the background. The returned channel has the result
// of Run.
func start(t *testing.T, p *Pipeline) <-chan error {
	t.Helper()
	ran := make(chan error, 1)
	go func() { ran <- p.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Shutdown(ctx)
	})
	return ran
}

// await waits for something that another goroutine does.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 20*time.Second, time.Millisecond, what)
}

func TestManyShardsGiveWhatOneGives(t *testing.T) {
	s := traffic(300)
	results := map[int][]string{}
	for _, shards := range []int{1, 2, 5} {
		config := configuration(t, transaction.LevelSummary)
		config.Shards = shards
		out, _, stats := play(t, config, s)
		results[shards] = out.requests()
		sort.Strings(results[shards])
		assert.Len(t, results[shards], 300)
		assert.Equal(t, uint64(1201), stats.Records, "marks go to every shard and count once")
		assert.Equal(t, uint64(len(s.records)), stats.Bytes)
	}
	assert.Equal(t, results[1], results[2])
	assert.Equal(t, results[1], results[5])
}

func TestProcessesAreKnownBeforeTheirTraffic(t *testing.T) {
	for _, shards := range []int{1, 3} {
		config := configuration(t, transaction.LevelNone)
		config.Shards = shards
		known := &registry{}
		source := &tape{batches: [][]byte{newScript().process(7).process(8).records}}
		p, err := New(config, source, known, deliverNothing)
		require.NoError(t, err)
		require.NoError(t, p.Run(context.Background()))
		assert.Equal(t, []uint32{7, 8}, known.observed)
		assert.Equal(t, uint64(2), p.Stats().Records)
	}
}

func TestWhatTheKernelCountsIsSummedUp(t *testing.T) {
	for _, shards := range []int{1, 3} {
		config := configuration(t, transaction.LevelNone)
		config.Shards = shards
		_, _, stats := play(t, config, newScript().loss(event.BytesRefused, 5).loss(event.BytesRefused, 6))
		assert.Equal(t, uint64(11), stats.Kernel[event.BytesRefused])
	}
}

func TestDamagedRecordsAreCountedAndSkipped(t *testing.T) {
	for _, shards := range []int{1, 3} {
		config := configuration(t, transaction.LevelNone)
		config.Shards = shards
		s := newScript().open(1, event.RoleServer)
		for kind := event.KindOpen; kind <= event.KindLoss; kind++ {
			length := byte(event.HeaderBytes)
			s.records = append(append(s.records, length, 0, 0, 0, byte(kind)), make([]byte, event.HeaderBytes-5)...)
		}
		s.records = append(append(s.records, event.HeaderBytes, 0, 0, 0, 99), make([]byte, event.HeaderBytes-5)...)
		s.get(1, "/a")
		s.records = append(s.records, "not a record"...)
		out, _, stats := play(t, config, s)
		assert.Equal(t, []string{"GET /a 200 complete"}, out.requests())
		want := uint64(event.KindLoss) + 1
		if shards > 1 {
			want += 2 // a mark of every shard
		}
		assert.Equal(t, want, stats.Malformed)
	}
}

func TestASlowConsumerCostsRecordsAndNothingElse(t *testing.T) {
	config := configuration(t, transaction.LevelSummary)
	config.BatchRecords, config.QueueBatches = 1, 2
	release := make(chan struct{})
	source := &tape{batches: [][]byte{traffic(50).records}, stay: true}
	p, err := New(config, source, &registry{}, func(context.Context, record.Batch) (int, error) {
		<-release
		return 0, nil
	})
	require.NoError(t, err)
	ran := start(t, p)
	await(t, "the source is read although nothing is taken", func() bool {
		s := p.Stats()
		return s.Transactions[transaction.Complete] == 50 && s.Connections == 0
	})
	stats := p.Stats()
	assert.Equal(t, int64(2), stats.QueueBatches)
	assert.Zero(t, stats.Memory)
	// 50 times request, artifact_record and artifact, and 50 connections. One
	// batch is in the consumer's hands, two wait.
	dropped := stats.DroppedQueueFull
	assert.Greater(t, dropped, uint64(180))
	close(release)
	require.NoError(t, p.Shutdown(context.Background()))
	require.NoError(t, <-ran)
	stats = p.Stats()
	assert.Equal(t, uint64(200), dropped+stats.Requests+stats.ConnectionEvents+stats.ArtifactRecords+stats.Artifacts,
		"every record was either handed on or counted as dropped")
	assert.Zero(t, stats.DroppedShutdown)
}

func TestTheQueueIsBoundedInBytesToo(t *testing.T) {
	config := configuration(t, transaction.LevelNone)
	config.BatchRecords, config.QueueBytes = 1, 1
	taken, release := make(chan struct{}, 100), make(chan struct{})
	source := &tape{batches: [][]byte{traffic(10).records}, stay: true}
	p, err := New(config, source, &registry{}, func(context.Context, record.Batch) (int, error) {
		taken <- struct{}{}
		<-release
		return 0, nil
	})
	require.NoError(t, err)
	ran := start(t, p)
	await(t, "all but the batch that is being delivered are dropped", func() bool { return p.Stats().DroppedQueueFull == 19 })
	<-taken
	assert.Positive(t, p.Stats().QueueBytes)
	close(release)
	require.NoError(t, p.Shutdown(context.Background()))
	require.NoError(t, <-ran)
}

func TestARefusingConsumerIsCounted(t *testing.T) {
	config := configuration(t, transaction.LevelNone)
	config.BatchRecords = 1
	source := &tape{batches: [][]byte{traffic(10).records}}
	p, err := New(config, source, &registry{}, func(_ context.Context, b record.Batch) (int, error) {
		return b.Records(), errors.New("permanent: no")
	})
	require.NoError(t, err)
	require.NoError(t, p.Run(context.Background()))
	stats := p.Stats()
	assert.Equal(t, uint64(20), stats.DroppedRefused)
	assert.Zero(t, stats.DroppedQueueFull+stats.DroppedShutdown)
	assert.Equal(t, uint64(20), stats.Batches)
}

func TestRecordsDoNotWaitForAFullBatch(t *testing.T) {
	config := configuration(t, transaction.LevelNone)
	config.BatchAge = time.Millisecond
	out := &consumer{}
	source := &tape{batches: [][]byte{newScript().open(1, event.RoleServer).get(1, "/a").records}, stay: true}
	p, err := New(config, source, &registry{}, out.deliver)
	require.NoError(t, err)
	ran := start(t, p)
	await(t, "the request is delivered", func() bool { return len(out.ofType("request")) == 1 })
	require.NoError(t, p.Shutdown(context.Background()))
	require.NoError(t, <-ran)
	assert.Len(t, out.ofType("connection"), 1, "the shutdown gives what was open")
}

func TestShutdownDropsWhatIsNotDeliveredByItsDeadline(t *testing.T) {
	config := configuration(t, transaction.LevelNone)
	config.BatchRecords = 1
	var calls atomic.Int64
	source := &tape{batches: [][]byte{traffic(10).records}, stay: true}
	p, err := New(config, source, &registry{}, func(ctx context.Context, b record.Batch) (int, error) {
		calls.Add(1)
		<-ctx.Done()
		return b.Records(), ctx.Err()
	})
	require.NoError(t, err)
	ran := start(t, p)
	await(t, "a delivery hangs", func() bool { return calls.Load() == 1 && p.Stats().QueueBatches == 19 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = p.Shutdown(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "20 records were dropped")
	require.NoError(t, <-ran)
	assert.Equal(t, uint64(20), p.Stats().DroppedShutdown)
	assert.NoError(t, p.Shutdown(context.Background()), "a second shutdown is harmless")
}

func TestTheEndOfTheContextBoundsTheFlush(t *testing.T) {
	config := configuration(t, transaction.LevelNone)
	config.FlushTimeout = time.Millisecond
	source := &tape{batches: [][]byte{traffic(1).records}, stay: true}
	p, err := New(config, source, &registry{}, func(ctx context.Context, b record.Batch) (int, error) {
		<-ctx.Done()
		return b.Records(), ctx.Err()
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, p.Run(ctx))
	assert.Equal(t, uint64(2), p.Stats().DroppedShutdown)
}

func TestShutdownBeforeRunLeavesNothingToDo(t *testing.T) {
	p, err := New(configuration(t, transaction.LevelNone), &tape{stay: true}, &registry{}, deliverNothing)
	require.NoError(t, err)
	require.NoError(t, p.Shutdown(context.Background()))
	require.NoError(t, p.Run(context.Background()))
}

func TestAPipelineRunsOnce(t *testing.T) {
	p, err := New(configuration(t, transaction.LevelNone), &tape{stay: true}, &registry{}, deliverNothing)
	require.NoError(t, err)
	ran := start(t, p)
	await(t, "it runs", p.started.Load)
	require.ErrorIs(t, p.Run(context.Background()), errRunTwice)
	require.NoError(t, p.Shutdown(context.Background()))
	require.NoError(t, <-ran)
}

func TestAnErrorOfTheSourceEndsTheRunAfterAFlush(t *testing.T) {
	broken := errors.New("ring gone")
	out := &consumer{}
	source := &tape{batches: [][]byte{traffic(3).records}, err: broken}
	p, err := New(configuration(t, transaction.LevelNone), source, &registry{}, out.deliver)
	require.NoError(t, err)
	require.ErrorIs(t, p.Run(context.Background()), broken)
	assert.Len(t, out.requests(), 3)
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	_, err := New(Config{}, &tape{}, &registry{}, deliverNothing)
	require.EqualError(t, err, "configuring the pipeline: no policy")
	config := configuration(t, transaction.LevelNone)
	config.QueueBatches = -1
	_, err = New(config, &tape{}, &registry{}, deliverNothing)
	require.EqualError(t, err, "configuring the pipeline: a bound is negative")
	config = configuration(t, transaction.LevelNone)
	config.Record.AccessURL = "{{NONE}}"
	_, err = New(config, &tape{}, &registry{}, deliverNothing)
	require.ErrorContains(t, err, "configuring the records: ")
}

func TestTheOldestConnectionGoesWhenThereAreTooMany(t *testing.T) {
	config := configuration(t, transaction.LevelNone)
	config.Connections = 2
	s := newScript().open(1, event.RoleServer).open(2, event.RoleServer)
	s.receive(2, "GET /b HTTP/1.1\r\n\r\n").receive(1, "GET /a HTTP/1.1\r\n\r\n")
	s.open(3, event.RoleServer).get(3, "/c").send(1, "HTTP/1.1 204 No Content\r\n\r\n")
	out, _, stats := play(t, config, s.pass(0))
	assert.Equal(t, []string{
		`GET /b  incomplete ["memory_budget","no_response"]`, "GET /c 200 complete", "GET /a 204 complete",
	}, out.requests())
	assert.Equal(t, uint64(1), stats.Evicted)
}

func TestBodiesBeyondTheMemoryAreTruncated(t *testing.T) {
	config := configuration(t, transaction.LevelFull)
	config.MemoryBytes = 20_000
	s := newScript().open(1, event.RoleServer).open(2, event.RoleServer)
	long := "POST /a HTTP/1.1\r\nContent-Length: 15000\r\n\r\n" + strings.Repeat("x", 15000)
	s.receive(1, long).receive(2, strings.Replace(long, "/a", "/b", 1))
	for id := range uint64(2) {
		s.send(id+1, "HTTP/1.1 204 No Content\r\n\r\n").close(id + 1)
	}
	out, _, stats := play(t, config, s.pass(0))
	assert.Equal(t, []string{"POST /a 204 complete", `POST /b 204 truncated ["memory_budget"]`}, out.requests())
	assert.Positive(t, stats.MemoryRefused)
}

func TestTheSourceIsAskedToIgnoreWhatIsNotHTTP(t *testing.T) {
	cases := []struct {
		name string
		do   func(s *script)
		want []uint64
	}{
		{"after an upgrade", func(s *script) {
			s.receive(1, "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			s.send(1, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			s.receive(1, "x").send(1, "y")
		}, []uint64{1, 1 + 1<<32}},
		{"when neither side speaks it", func(s *script) {
			s.receive(1, "\x00\x01\x02\x03\r\n").send(1, "\x00\x01\x02\x03\r\n").receive(1, "\x00\x01\r\n")
		}, []uint64{1, 1 + 1<<32}},
		{"but not while it is HTTP", func(s *script) { s.get(1, "/") }, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScript().open(1, event.RoleServer)
			c.do(s)
			_, source, _ := play(t, configuration(t, transaction.LevelNone), s.pass(0))
			assert.Equal(t, c.want, source.ignored)
		})
	}
}

func TestAResponseInProgressIsReadToItsEndBeforeItsConnectionIsIgnored(t *testing.T) {
	s := newScript().open(1, event.RoleServer)
	s.send(1, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").receive(1, "\x00\x01\x02\x03\r\n").send(1, "cd")
	out, source, _ := play(t, configuration(t, transaction.LevelNone), s.pass(0))
	requests := out.ofType("request")
	require.Len(t, requests, 1)
	assert.Equal(t, "4", text(requests[0], "http.response.body.size"))
	assert.Equal(t, []uint64{1, 1 + 1<<32}, source.ignored)
}

func TestTenThousandIdleConnectionsCostLittle(t *testing.T) {
	const connections = 10_000
	config := configuration(t, transaction.LevelNone)
	config.Shards = 1
	s := newScript()
	for id := range uint64(connections) {
		s.open(id+1, event.RoleServer).get(id+1, "/")
	}
	source := &tape{batches: [][]byte{s.pass(0).records}, stay: true}
	before := heap()
	p, err := New(config, source, &registry{}, deliverNothing)
	require.NoError(t, err)
	ran := start(t, p)
	await(t, "all are open", func() bool {
		stats := p.Stats()
		return stats.Connections == connections && stats.Requests == connections
	})
	each := int64(heap()-before) / connections
	t.Logf("%d bytes each", each)
	assert.Less(t, each, int64(3<<10))
	require.NoError(t, p.Shutdown(context.Background()))
	require.NoError(t, <-ran)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

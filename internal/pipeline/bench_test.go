package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// loop is a source that delivers the same records again and again.
type loop struct {
	tape
	rounds int
}

func (l *loop) Run(ctx context.Context, deliver func(*event.Batch)) error {
	l.batches = l.batches[:1]
	for range l.rounds {
		if err := l.tape.Run(ctx, deliver); err != nil {
			return err
		}
	}
	return nil
}

// fields returns header fields of the length in bytes.
func fields(length int) string {
	var b strings.Builder
	b.WriteString("Host: shop.example.test\r\nAccept: application/json\r\n")
	for i := 0; b.Len() < length-40; i++ {
		fmt.Fprintf(&b, "X-Field-%d: some value of a field\r\n", i)
	}
	fmt.Fprintf(&b, "X-Rest: %s\r\n", strings.Repeat("x", max(0, length-b.Len()-10)))
	return b.String()
}

func deliverNothing(context.Context, record.Batch) (int, error) { return 0, nil }

// benchmark plays the script as often as needed for b.N transactions, from
// bytes of the kernel's records to plog.Logs in the hands of the consumer.
func benchmark(b *testing.B, level transaction.Level, s *script, perRound int) {
	b.Helper()
	config := configuration(b, level)
	config.QueueBatches, config.QueueBytes = 1<<16, 1<<40
	source := &loop{tape: tape{batches: [][]byte{s.records}}, rounds: (b.N + perRound - 1) / perRound}
	p, err := New(config, source, &registry{}, deliverNothing)
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	require.NoError(b, p.Run(context.Background()))
	b.StopTimer()
	stats := p.Stats()
	require.Equal(b, uint64(source.rounds*perRound), stats.Transactions[transaction.Complete])
	require.Zero(b, stats.DroppedQueueFull)
}

// BenchmarkGetAtSummary is a GET with 400 bytes of header fields each way on
// connections that are kept alive, one end of each watched.
func BenchmarkGetAtSummary(b *testing.B) {
	const connections, each = 8, 16
	s := newScript()
	for id := range uint64(connections) {
		s.open(id+1, event.RoleServer)
	}
	for range each {
		for id := range uint64(connections) {
			s.receive(id+1, "GET /cart/items?page=2 HTTP/1.1\r\n"+fields(400)+"\r\n")
			s.send(id+1, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Type: application/json\r\n"+fields(350)+"\r\n{\"ok\":true}")
		}
		s.pass(0)
	}
	for id := range uint64(connections) {
		s.close(id + 1)
	}
	benchmark(b, transaction.LevelSummary, s.pass(0), connections*each)
}

// BenchmarkBodiesAtHeaders is a response body of 64 KiB in four records, at a
// level that does not show it.
func BenchmarkBodiesAtHeaders(b *testing.B) {
	const each, size = 16, 64 << 10
	body := strings.Repeat("x", size/4)
	s := newScript().open(1, event.RoleServer)
	for range each {
		s.receive(1, "GET /image HTTP/1.1\r\n"+fields(200)+"\r\n")
		s.send(1, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
		s.send(1, body).send(1, body).send(1, body).send(1, body)
		s.pass(0)
	}
	b.SetBytes(size)
	benchmark(b, transaction.LevelHeaders, s.close(1).pass(0), each)
}

// BenchmarkBodiesAtFull is the same with the body in the object.
func BenchmarkBodiesAtFull(b *testing.B) {
	const each, size = 16, 64 << 10
	body := strings.Repeat("x", size/4)
	s := newScript().open(1, event.RoleServer)
	for range each {
		s.receive(1, "GET /image HTTP/1.1\r\n"+fields(200)+"\r\n")
		s.send(1, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
		s.send(1, body).send(1, body).send(1, body).send(1, body)
		s.pass(0)
	}
	b.SetBytes(size)
	benchmark(b, transaction.LevelFull, s.close(1).pass(0), each)
}

package pipeline

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/record"
)

// queue holds batches between the shards and the consumer, and delivers them.
type queue struct {
	batches  chan record.Batch
	capacity int64 // bytes
	bytes    atomic.Int64
	deliver  Deliver

	ctx    context.Context // of deliver; ends when nothing more may be delivered
	cancel context.CancelFunc

	requests, connections, artifactRecords, artifacts atomic.Uint64
	droppedFull, droppedRefused, droppedShutdown      atomic.Uint64
	delivered                                         atomic.Uint64
	time                                              atomic.Int64
}

func newQueue(batches int, bytes int64, deliver Deliver) *queue {
	q := &queue{batches: make(chan record.Batch, batches), capacity: bytes, deliver: deliver}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q
}

// put adds a batch, or drops and counts it when there is no room. It never
// waits. A single batch over the capacity has room in an empty queue.
func (q *queue) put(b record.Batch) {
	size := int64(b.Bytes)
	if held := q.bytes.Add(size); held > q.capacity && held > size {
		q.bytes.Add(-size)
		q.droppedFull.Add(uint64(b.Records()))
		return
	}
	select {
	case q.batches <- b:
	default:
		q.bytes.Add(-size)
		q.droppedFull.Add(uint64(b.Records()))
	}
}

// run delivers until close was called and the queue is empty.
func (q *queue) run() {
	defer q.cancel()
	for b := range q.batches {
		q.hand(b)
		q.bytes.Add(-int64(b.Bytes))
	}
}

func (q *queue) hand(b record.Batch) {
	all := b.Records()
	if q.ctx.Err() != nil {
		q.droppedShutdown.Add(uint64(all))
		return
	}
	counts := [...]int{b.Requests, b.Connections, b.ArtifactRecords, len(b.Artifacts)}
	start := time.Now()
	refused, err := q.deliver(q.ctx, b)
	q.time.Add(int64(time.Since(start)))
	q.delivered.Add(1)
	for i, counter := range [...]*atomic.Uint64{&q.requests, &q.connections, &q.artifactRecords, &q.artifacts} {
		counter.Add(uint64(counts[i]))
	}
	switch {
	case err == nil:
	case q.ctx.Err() != nil:
		q.droppedShutdown.Add(uint64(refused))
	default:
		q.droppedRefused.Add(uint64(refused))
	}
}

// close lets run end. Nothing may be put any more.
func (q *queue) close() { close(q.batches) }

// expire ends the context of deliver after the time. What is still held then
// is dropped and counted.
func (q *queue) expire(after time.Duration) {
	if after <= 0 {
		q.cancel()
		return
	}
	timer := time.AfterFunc(after, q.cancel)
	context.AfterFunc(q.ctx, func() { timer.Stop() })
}

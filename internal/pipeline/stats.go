package pipeline

import (
	"sync/atomic"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// Stats are the counts of a pipeline since its start, and what it holds now.
type Stats struct {
	Records   uint64 // taken from the source
	Bytes     uint64 // of these records
	Malformed uint64 // records that are damaged and were skipped
	Kernel    [event.NumCounters]uint64

	// Transactions that were reconstructed and are wanted, by their
	// transaction.Completeness; those that are not wanted are in Unwanted.
	Transactions [3]uint64
	Unwanted     uint64

	// Log records that were handed to the consumer, by kind.
	Requests         uint64
	ConnectionEvents uint64
	ArtifactRecords  uint64
	Artifacts        uint64

	// Log records that were dropped: the queue was full, the consumer refused
	// them (they are also counted as handed to it), the shutdown came first.
	DroppedQueueFull uint64
	DroppedRefused   uint64
	DroppedShutdown  uint64

	LateBytes     uint64 // bytes that came after their place was given up
	DoubtfulBytes uint64 // bytes whose position contradicted that of others
	PassedCalls   uint64 // calls passed over after a loss: not certainly the start of a message

	Connections         int64 // held now
	ConnectionsCapacity int64
	Evicted             uint64 // connections given up for want of room
	Forgotten           uint64 // connections given up because they were silent
	Memory              int64  // bytes of streams and bodies held now
	MemoryCapacity      int64
	MemoryRefused       uint64 // how often there was no memory

	QueueBatches         int64 // waiting for the consumer now
	QueueBatchesCapacity int64
	QueueBytes           int64
	QueueBytesCapacity   int64
	Batches              uint64        // handed to the consumer
	DeliveryTime         time.Duration // spent in the consumer, repetitions included
}

// tally is what a shard counts. Only its goroutine writes.
type tally struct {
	records, bytes, malformed    atomic.Uint64
	kernel                       [event.NumCounters]atomic.Uint64
	transactions                 [3]atomic.Uint64
	unwanted, evicted, forgotten atomic.Uint64
	passed                       atomic.Uint64
	connections                  atomic.Int64
}

// Stats returns a snapshot. It is cheap; its counts are not of one instant.
func (p *Pipeline) Stats() Stats {
	q := p.queue
	s := Stats{
		Requests:             q.requests.Load(),
		ConnectionEvents:     q.connections.Load(),
		ArtifactRecords:      q.artifactRecords.Load(),
		Artifacts:            q.artifacts.Load(),
		DroppedQueueFull:     q.droppedFull.Load(),
		DroppedRefused:       q.droppedRefused.Load(),
		DroppedShutdown:      q.droppedShutdown.Load(),
		ConnectionsCapacity:  int64(p.config.Connections),
		Memory:               p.budget.Used(),
		MemoryCapacity:       p.budget.Capacity(),
		MemoryRefused:        p.budget.Refused(),
		QueueBatches:         int64(len(q.batches)),
		QueueBatchesCapacity: int64(cap(q.batches)),
		QueueBytes:           q.bytes.Load(),
		QueueBytesCapacity:   q.capacity,
		Batches:              q.delivered.Load(),
		DeliveryTime:         time.Duration(q.time.Load()),
	}
	s.add(&p.splitter.tally)
	for _, shard := range p.shards {
		s.add(&shard.tally)
		s.LateBytes += shard.terms.Late.Load()
		s.DoubtfulBytes += shard.terms.Doubtful.Load()
	}
	return s
}

func (s *Stats) add(t *tally) {
	s.Records += t.records.Load()
	s.Bytes += t.bytes.Load()
	s.Malformed += t.malformed.Load()
	for i := range s.Kernel {
		s.Kernel[i] += t.kernel[i].Load()
	}
	for i := range s.Transactions {
		s.Transactions[i] += t.transactions[i].Load()
	}
	s.Unwanted += t.unwanted.Load()
	s.PassedCalls += t.passed.Load()
	s.Evicted += t.evicted.Load()
	s.Forgotten += t.forgotten.Load()
	s.Connections += t.connections.Load()
}

//go:build linux

package kernel

import (
	"sync"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// batchBytes holds the largest record many times over; a batch is handed on
// when it is full or when the rings are empty.
const batchBytes = 256 * 1024

// batches reuses delivered batches.
type batches struct{ pool sync.Pool }

func (b *batches) get() *event.Batch {
	if batch, ok := b.pool.Get().(*event.Batch); ok {
		batch.Records = batch.Records[:0]
		return batch
	}
	return &event.Batch{
		Records: make([]byte, 0, batchBytes),
		Free:    func(batch *event.Batch) { b.pool.Put(batch) },
	}
}

package stream

import "sync/atomic"

// Budget bounds the memory of all streams and bodies together. Sizes are
// bytes. Safe for concurrent use.
type Budget struct {
	capacity int64
	used     atomic.Int64
	refused  atomic.Uint64
}

// NewBudget returns a budget of the capacity, bytes.
func NewBudget(capacity int64) *Budget { return &Budget{capacity: capacity} }

// Take reserves memory. It reports false, and reserves nothing, when that
// would exceed the capacity.
func (b *Budget) Take(bytes int) bool {
	if b.used.Add(int64(bytes)) <= b.capacity {
		return true
	}
	b.used.Add(-int64(bytes))
	b.refused.Add(1)
	return false
}

// Give returns memory that Take reserved.
func (b *Budget) Give(bytes int) { b.used.Add(-int64(bytes)) }

// Used returns what is reserved now.
func (b *Budget) Used() int64 { return b.used.Load() }

// Capacity returns what can be reserved at most.
func (b *Budget) Capacity() int64 { return b.capacity }

// Refused counts how often Take reported false.
func (b *Budget) Refused() uint64 { return b.refused.Load() }

package stream

import (
	"math"
	"sync/atomic"
	"time"
)

// Terms are what the streams of a shard have in common. The counters are safe
// for concurrent use, the rest must not change while streams exist.
type Terms struct {
	// Budget pays for what is held.
	Budget *Budget
	// Margin is how far in time a mark must have passed what waits behind a
	// hole until the hole is given up; 0 is [DefaultMargin].
	Margin time.Duration
	// HeldBytes bounds what one stream holds; 0 is [DefaultHeldBytes].
	HeldBytes int

	// Late counts bytes that came after their place was given up, Doubtful
	// those whose position contradicted that of others.
	Late, Doubtful atomic.Uint64
}

const (
	// DefaultMargin is long against the races in which records of one
	// connection overtake each other, a few milliseconds, and short against
	// what a reader of records notices.
	DefaultMargin = 50 * time.Millisecond
	// DefaultHeldBytes is what a fast connection moves in that time.
	DefaultHeldBytes = 4 << 20

	// segmentBytes is what a held record costs besides its payload.
	segmentBytes = 96
	// maxSegments bounds the cost of keeping held records sorted.
	maxSegments = 1024
)

// after returns the time, ns, at which the wait for what is older than t ends.
func (t *Terms) after(since uint64) uint64 {
	margin := uint64(DefaultMargin)
	if t.Margin > 0 {
		margin = uint64(t.Margin)
	}
	return since + min(margin, math.MaxUint64-since)
}

func (t *Terms) heldBytes() int {
	if t.HeldBytes > 0 {
		return t.HeldBytes
	}
	return DefaultHeldBytes
}

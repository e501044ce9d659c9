//go:build linux

package kernel

import (
	"math"
	"runtime"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// busyPatience bounds the wait for a record that another CPU is filling. That
// takes microseconds, unless the host has taken the virtual CPU away.
const busyPatience = 2 * time.Millisecond

// drain passes all records of all rings whose time is at most horizon to emit,
// oldest first. It reports false when it had to stop before a record that was
// still being filled: then older records may follow later.
//
// Within one ring the order is that of submission. Between the rings of
// several CPUs the time decides; as every record is placed in its ring within
// microseconds of its time, a horizon a little in the past sees all of them.
func drain(rings []*ring, horizon uint64, emit func(record []byte)) (complete bool) {
	complete = true
	heads := make([][]byte, len(rings))
	for i, r := range rings {
		var ok bool
		heads[i], ok = next(r)
		complete = complete && ok
	}
	for {
		oldest, oldestTime := -1, uint64(math.MaxUint64)
		for i, head := range heads {
			if head == nil {
				continue
			}
			if at := event.TimeOf(head); at < oldestTime {
				oldest, oldestTime = i, at
			}
		}
		if oldest < 0 || oldestTime > horizon {
			break
		}
		r := rings[oldest]
		emit(heads[oldest][:lengthOf(heads[oldest])])
		r.take(heads[oldest])
		// Not for every record: the kernel's side would wait for the cache line.
		if r.unreleased() > uint64(len(r.data))/32 {
			r.release()
		}
		var ok bool
		heads[oldest], ok = next(r)
		complete = complete && ok
	}
	for _, r := range rings {
		r.release()
	}
	return complete
}

// next returns the ring's next record, and false when the kernel did not
// finish it in time.
func next(r *ring) (record []byte, ok bool) {
	record, busy := r.peek()
	if !busy {
		return record, true
	}
	for deadline := time.Now().Add(busyPatience); busy && time.Now().Before(deadline); {
		runtime.Gosched()
		record, busy = r.peek()
	}
	return record, !busy
}

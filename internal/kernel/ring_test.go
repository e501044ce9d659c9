//go:build linux

package kernel

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// memoryRing is a ring buffer that the test fills instead of the kernel.
type memoryRing struct {
	ring
	produced, consumed uint64
	size               int
}

func newMemoryRing(size int) *memoryRing {
	m := &memoryRing{size: size}
	m.data = make([]byte, 2*size)
	m.mask = uint64(size - 1)
	m.producer, m.consumer = &m.produced, &m.consumed
	return m
}

// put places a record of which the kernel has filled or discarded the bytes.
func (m *memoryRing) put(flags uint32, record []byte) (start uint64) {
	start = m.produced
	framed := binary.LittleEndian.AppendUint32(nil, uint32(len(record))|flags)
	framed = append(append(framed, 0, 0, 0, 0), record...)
	for i, b := range framed {
		at := (start + uint64(i)) & m.mask
		m.data[at], m.data[at+uint64(m.size)] = b, b
	}
	m.produced += stride(uint64(len(record)))
	return start
}

func at(time uint64) []byte {
	return event.AppendClose(nil, &event.Close{Header: event.Header{Time: time}})
}

func times(t *testing.T, horizon uint64, rings ...*memoryRing) (got []uint64, complete bool) {
	t.Helper()
	var plain []*ring
	for _, m := range rings {
		plain = append(plain, &m.ring)
	}
	complete = drain(plain, horizon, func(record []byte) { got = append(got, event.TimeOf(record)) })
	return got, complete
}

func TestRingsAreMergedByTimeUpToTheHorizon(t *testing.T) {
	a, b := newMemoryRing(4096), newMemoryRing(4096)
	for _, time := range []uint64{10, 30, 50} {
		a.put(0, at(time))
	}
	for _, time := range []uint64{20, 25, 60} {
		b.put(0, at(time))
	}
	got, complete := times(t, 40, a, b)
	require.Equal(t, []uint64{10, 20, 25, 30}, got)
	require.True(t, complete)
	got, _ = times(t, 100, a, b)
	require.Equal(t, []uint64{50, 60}, got)
	require.Equal(t, a.produced, a.consumed, "all places are given back")
}

func TestARecordBeingFilledHoldsItsRingBack(t *testing.T) {
	a, b := newMemoryRing(4096), newMemoryRing(4096)
	start := a.put(ringBusy, at(10))
	a.put(0, at(11))
	b.put(0, at(20))
	got, complete := times(t, 100, a, b)
	require.Equal(t, []uint64{20}, got)
	require.False(t, complete, "older records may follow, so no mark may be set")

	binary.LittleEndian.PutUint32(a.data[start:], uint32(len(at(10))))
	got, complete = times(t, 100, a, b)
	require.Equal(t, []uint64{10, 11}, got)
	require.True(t, complete)
}

func TestDiscardedRecordsAreSteppedOver(t *testing.T) {
	a := newMemoryRing(4096)
	a.put(ringDiscarded, make([]byte, 100))
	a.put(0, at(5))
	a.put(ringDiscarded, make([]byte, 7))
	got, _ := times(t, 100, a)
	require.Equal(t, []uint64{5}, got)
	require.Equal(t, a.produced, a.consumed)
}

func TestRecordsAreReadAcrossTheEndOfTheRing(t *testing.T) {
	a := newMemoryRing(128)
	for time := uint64(1); time < 20; time++ {
		a.put(0, at(time))
		got, _ := times(t, 100, a)
		require.Equal(t, []uint64{time}, got)
	}
}

func TestRingMemoryIsDividedIntoPowersOfTwo(t *testing.T) {
	for _, test := range []struct {
		name                string
		total, cpus         int
		wantRings, wantEach int
	}{
		{"one CPU has one ring", 16 << 20, 1, 1, 16 << 20},
		{"two CPUs share evenly", 16 << 20, 2, 2, 8 << 20},
		{"three CPUs share two rings", 16 << 20, 3, 2, 8 << 20},
		{"odd totals are rounded down", 17 << 20, 2, 2, 8 << 20},
		{"many CPUs share few large rings", 16 << 20, 128, 16, 1 << 20},
		{"a ring is never uselessly small", 1 << 16, 16, 16, minRingBytes},
	} {
		t.Run(test.name, func(t *testing.T) {
			rings, each := ringPlan(test.total, test.cpus)
			require.Equal(t, test.wantRings, rings)
			require.Equal(t, test.wantEach, each)
		})
	}
}

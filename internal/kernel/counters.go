//go:build linux

package kernel

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// readCounters sums the counts of all CPUs.
func readCounters(m *ebpf.Map) (sum [event.NumCounters]uint64, err error) {
	var perCPU []qtapCounts
	if err := m.Lookup(uint32(0), &perCPU); err != nil {
		return sum, fmt.Errorf("reading the counters of the kernel side: %w", err)
	}
	for _, counts := range perCPU {
		for i, count := range counts.Values {
			sum[i] += count
		}
	}
	return sum, nil
}

//go:build linux

package kernel

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bits and layout of a record's header in a ring buffer (include/uapi/linux/bpf.h,
// kernel/bpf/ringbuf.c): a 32-bit length with two flags, 32 bits for the kernel.
const (
	ringBusy        = 1 << 31
	ringDiscarded   = 1 << 30
	ringHeaderBytes = 8
)

// ring is the consumer side of one BPF ring buffer. It reads records in
// place and can look at the next one without taking it, which merging several
// rings by time needs and the reader of cilium/ebpf does not offer.
type ring struct {
	pages     [2][]byte // mappings: consumer position; producer position and data
	consumer  *uint64
	producer  *uint64
	data      []byte // mapped twice in a row, so no record is split
	mask      uint64
	position  uint64 // of the next record; published to the kernel by release
	published uint64
}

// openRing maps a ring buffer of the given size in bytes.
func openRing(fd, size int) (*ring, error) {
	page := os.Getpagesize()
	consumer, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the consumer page of a ring: %w", err)
	}
	producer, err := unix.Mmap(fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Munmap(consumer)
		return nil, fmt.Errorf("mapping the data pages of a ring: %w", err)
	}
	r := &ring{
		pages:    [2][]byte{consumer, producer},
		consumer: (*uint64)(unsafe.Pointer(&consumer[0])),
		producer: (*uint64)(unsafe.Pointer(&producer[0])),
		data:     producer[page:],
		mask:     uint64(size - 1),
	}
	r.position = atomic.LoadUint64(r.consumer)
	r.published = r.position
	return r, nil
}

func (r *ring) close() {
	_ = unix.Munmap(r.pages[0])
	_ = unix.Munmap(r.pages[1])
}

// peek returns the next record without taking it, nil when there is none. The
// bytes are valid until release. busy is true when the kernel is still filling
// the next record.
func (r *ring) peek() (record []byte, busy bool) {
	for r.position < atomic.LoadUint64(r.producer) {
		start := r.position & r.mask
		// The kernel publishes the record by this length, see bpf_ringbuf_commit.
		length := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[start])))
		if length&ringBusy != 0 {
			return nil, true
		}
		size := uint64(length &^ ringDiscarded)
		if length&ringDiscarded == 0 {
			return r.data[start+ringHeaderBytes:][:size:size], false
		}
		r.position += stride(size)
	}
	return nil, false
}

// take steps over the record that peek returned.
func (r *ring) take(record []byte) { r.position += stride(uint64(len(record))) }

// release gives the place of all taken records back to the kernel.
func (r *ring) release() {
	if r.published != r.position {
		r.published = r.position
		atomic.StoreUint64(r.consumer, r.position)
	}
}

// unreleased returns the bytes that were taken and not given back.
func (r *ring) unreleased() uint64 { return r.position - r.published }

func stride(size uint64) uint64 { return (size + ringHeaderBytes + 7) &^ 7 }

// lengthOf reads Header.Length: a record may occupy more of the ring.
func lengthOf(record []byte) int {
	return min(len(record), int(*(*uint32)(unsafe.Pointer(&record[0]))))
}

//go:build linux

package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/qtapreceiver/qtapreceiver/internal/executable"
)

// Sighting is a process that begins to use an executable file which the
// kernel side had not reported before, or which has changed since.
type Sighting struct {
	Device, Inode uint64 // as the kernel numbers them: super_block.s_dev, inode.i_ino
	PID           uint32
	IsExec        bool // the file is the executable; otherwise it is mapped
}

// sightingBytes is the size of struct sighting of bpf/sightings.h.
const sightingBytes = 24

// Sightings calls see for every sighting until ctx ends or the source is
// closed. They do not wait for the records: a probe that comes late misses
// the first request.
func (s *Source) Sightings(ctx context.Context, see func(Sighting)) error {
	reader, err := ringbuf.NewReader(s.objects.Sightings)
	if err != nil {
		return fmt.Errorf("reading the ring of sightings: %w", err)
	}
	defer reader.Close()
	defer context.AfterFunc(ctx, func() { _ = reader.Close() })()
	var record ringbuf.Record
	for {
		if err := reader.ReadInto(&record); err != nil {
			if errors.Is(err, ringbuf.ErrClosed) {
				return nil
			}
			return fmt.Errorf("reading the ring of sightings: %w", err)
		}
		if b := record.RawSample; len(b) >= sightingBytes {
			little := binary.LittleEndian
			see(Sighting{
				Inode: little.Uint64(b), Device: little.Uint64(b[8:]),
				PID: little.Uint32(b[16:]), IsExec: little.Uint32(b[20:]) != 0,
			})
		}
	}
}

// Forget makes the kernel side report the file again at its next use.
func (s *Source) Forget(device, inode uint64) error {
	s.guard.RLock()
	defer s.guard.RUnlock()
	if s.closed {
		return nil
	}
	err := s.objects.SeenFiles.Delete(struct{ Inode, Device uint64 }{inode, device})
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forgetting a file: %w", err)
	}
	return nil
}

// Attach probes the functions of a TLS library in a file, for all processes
// that run it, until what it returns is closed. The file stays the caller's
// and may be closed at once.
func (s *Source) Attach(file *os.File, finding executable.Finding) (io.Closer, error) {
	s.guard.RLock()
	defer s.guard.RUnlock()
	if s.closed {
		return nil, os.ErrClosed
	}
	return s.probes.attach(file, finding)
}

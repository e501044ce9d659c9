//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

const (
	// A wake-up per record would cost the target more than the copy, so the
	// reader looks by itself. Idle, it looks less often.
	shortestWait = 10 * time.Millisecond
	longestWait  = 100 * time.Millisecond
	// settle is how long after its time a record is certainly in its ring.
	settle = time.Millisecond
	// lossInterval is how often the counters of the kernel side are read.
	lossInterval = time.Second
)

// Source is the loaded and attached kernel side. It implements event.Source.
type Source struct {
	objects  *qtapObjects
	probes   *probes
	links    []link.Link
	rings    []*ring
	ringMaps []*ebpf.Map
	batches  batches

	attached    uint64 // ns, CLOCK_BOOTTIME: nothing is older
	epoll, wake int    // descriptors
	lastCounts  [event.NumCounters]uint64
	lastLoss    uint64

	guard  sync.RWMutex // Ignore against Close
	closed bool
}

// Open checks what the machine offers, loads and attaches. From then on the
// kernel submits records; Run reads them.
//
// Errors name what is missing and the way out, see [MissingError].
func Open(o Options) (*Source, error) {
	if err := checkRequirements(); err != nil {
		return nil, err
	}
	objects, rings, ringMaps, err := load(o)
	if err != nil {
		return nil, err
	}
	s := &Source{objects: objects, rings: rings, ringMaps: ringMaps, epoll: -1, wake: -1}
	s.probes = &probes{objects: objects, isMulti: hasUprobeMulti()}
	if err := s.openWaiting(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	programs := map[string]*ebpf.Program{
		"on_sys_exit":     objects.OnSysExit,
		"on_state_change": objects.OnStateChange,
		"on_exec":         objects.OnExec,
		"on_exit":         objects.OnExit,
	}
	s.attached = now()
	if s.links, err = attach(programs, o.Attached); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openWaiting makes one descriptor to wait on for all rings and for the end.
func (s *Source) openWaiting() (err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("making an epoll descriptor: %w", err)
	}
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("making an event descriptor: %w", err)
	}
	waited := []int{s.wake}
	for _, m := range s.ringMaps {
		waited = append(waited, m.FD())
	}
	for _, fd := range waited {
		// Edge-triggered: a ring that is not empty is readable all the time.
		interest := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}
		if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &interest); err != nil {
			return fmt.Errorf("waiting on a ring buffer: %w", err)
		}
	}
	return nil
}

// Run implements event.Source. It must be called at most once.
func (s *Source) Run(ctx context.Context, deliver func(*event.Batch)) error {
	stop := context.AfterFunc(ctx, func() { _, _ = unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer stop()
	// The clock comes first, so that whoever receives can date what follows.
	first := s.batches.get()
	first.Records = appendMark(first.Records, s.attached)
	deliver(first)
	wait := shortestWait
	for ctx.Err() == nil {
		if err := s.sleep(wait); err != nil {
			return err
		}
		records, err := s.pass(now()-uint64(settle), deliver)
		if err != nil {
			return err
		}
		if wait *= 2; wait > longestWait {
			wait = longestWait
		}
		if records > 0 {
			wait = shortestWait
		}
	}
	// No more records: what is in the rings now is all there is.
	s.detach()
	s.lastLoss = 0
	_, err := s.pass(math.MaxUint64, deliver)
	return err
}

// pass delivers all records up to the horizon, then a mark. It returns how
// many records there were.
func (s *Source) pass(horizon uint64, deliver func(*event.Batch)) (records int, err error) {
	batch := s.batches.get()
	complete := drain(s.rings, horizon, func(record []byte) {
		if len(batch.Records)+len(record) > cap(batch.Records) {
			deliver(batch)
			batch = s.batches.get()
		}
		batch.Records = append(batch.Records, record...)
		records++
	})
	at := min(horizon, now())
	if at-s.lastLoss >= uint64(lossInterval) {
		s.lastLoss = at
		if batch.Records, err = s.appendLoss(batch.Records, at); err != nil {
			batch.Release()
			return records, err
		}
	}
	if complete {
		batch.Records = appendMark(batch.Records, at)
	}
	deliver(batch)
	return records, nil
}

// appendMark adds that everything older than a time was delivered.
func appendMark(records []byte, at uint64) []byte {
	return event.AppendMark(records, &event.Mark{
		Header: event.Header{Time: at},
		Wall:   time.Now().UnixNano() - int64(now()-at),
	})
}

// appendLoss adds what the kernel side has counted since the last time.
func (s *Source) appendLoss(records []byte, at uint64) ([]byte, error) {
	counts, err := readCounters(s.objects.Counters)
	if err != nil {
		return records, err
	}
	loss := event.Loss{Header: event.Header{Time: at}}
	for i, count := range counts {
		loss.Counts[i] = count - s.lastCounts[i]
	}
	s.lastCounts = counts
	if loss.Counts == [event.NumCounters]uint64{} {
		return records, nil
	}
	return event.AppendLoss(records, &loss), nil
}

// sleep returns when a ring is filled to its wake-up level, when the context
// of Run ends, or after the wait.
func (s *Source) sleep(wait time.Duration) error {
	var events [maxRings + 1]unix.EpollEvent
	_, err := unix.EpollWait(s.epoll, events[:], int(wait.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("waiting for the ring buffers: %w", err)
	}
	return nil
}

// Ignore implements event.Source.
func (s *Source) Ignore(connection, handle uint64) {
	s.guard.RLock()
	defer s.guard.RUnlock()
	if s.closed {
		return
	}
	arguments := struct{ Handle, Connection uint64 }{handle, connection}
	// A hint: when it fails, the connection costs more and nothing is lost.
	_, _ = s.objects.Ignore.Run(&ebpf.RunOptions{Context: arguments})
}

func (s *Source) detach() {
	for _, l := range s.links {
		_ = l.Close()
	}
	s.links = nil
}

// Close implements event.Source.
func (s *Source) Close() error {
	s.guard.Lock()
	defer s.guard.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.detach()
	err := s.objects.Close()
	closeRings(s.rings, s.ringMaps)
	for _, fd := range []int{s.epoll, s.wake} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	if err != nil {
		return fmt.Errorf("closing the BPF objects: %w", err)
	}
	return nil
}

// now returns the clock of the records, ns.
func now() uint64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
		return 0
	}
	return uint64(at.Nano())
}

//go:build linux

package kernel

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// needsKernel skips a test that loads BPF programs where that cannot be done,
// and says why. CI must be able to, so there it fails.
func needsKernel(t testing.TB) {
	t.Helper()
	if err := checkRequirements(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("this test must not be skipped in CI: %v", err)
		}
		t.Skipf("needs the kernel: %v", err)
	}
}

// The verifier is what only a kernel has: a program that it refuses never runs.
func TestTheVerifierAcceptsEveryProgram(t *testing.T) {
	needsKernel(t)
	spec, err := loadQtap()
	require.NoError(t, err)
	collection, err := ebpf.NewCollection(spec)
	require.NoError(t, err)
	defer collection.Close()
	for name, program := range collection.Programs {
		info, err := program.Info()
		require.NoError(t, err)
		if instructions, ok := info.VerifiedInstructions(); ok {
			t.Logf("%s: %d instructions verified", name, instructions)
		}
	}
}

// seen is what was delivered of one direction of one connection.
type seen struct {
	bytes  []byte
	next   uint64
	broken string
}

// observed collects the records of the child's connections.
type observed struct {
	client, server map[uint64]*seen // by connection
	closed         map[uint64]event.Close
	counts         [event.NumCounters]uint64
}

func (o *observed) take(t *testing.T, pid uint32, record []byte) {
	switch event.KindOf(record) {
	case event.KindData:
		var data event.Data
		require.NoError(t, event.DecodeData(record, &data))
		if data.PID != pid {
			return
		}
		side := o.client
		if data.Direction == event.Receive {
			side = o.server
		}
		s := side[data.Connection]
		if s == nil {
			s = &seen{}
			side[data.Connection] = s
		}
		if data.Position != s.next || int(data.Size) != len(data.Payload) {
			s.broken = "a hole"
		}
		s.bytes = append(s.bytes, data.Payload...)
		s.next = data.End()
	case event.KindClose:
		var closed event.Close
		require.NoError(t, event.DecodeClose(record, &closed))
		o.closed[closed.Connection] = closed
	case event.KindLoss:
		var loss event.Loss
		require.NoError(t, event.DecodeLoss(record, &loss))
		for i, count := range loss.Counts {
			o.counts[i] += count
		}
	}
}

// observe runs the child under a source and returns what was seen of it.
func observe(t *testing.T, options Options) *observed {
	t.Helper()
	source, err := Open(options)
	require.NoError(t, err)
	defer func() { require.NoError(t, source.Close()) }()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1")
	child.Stderr = os.Stderr
	require.NoError(t, child.Start())
	pid := uint32(child.Process.Pid)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	go func() {
		defer cancel()
		if err := child.Wait(); err != nil {
			t.Errorf("the child: %v", err)
		}
	}()
	o := &observed{client: map[uint64]*seen{}, server: map[uint64]*seen{}, closed: map[uint64]event.Close{}}
	require.NoError(t, source.Run(ctx, func(batch *event.Batch) {
		defer batch.Release()
		for rest := batch.Records; len(rest) > 0; {
			var record []byte
			record, rest, err = event.Next(rest)
			require.NoError(t, err)
			o.take(t, pid, record)
		}
	}))
	return o
}

func defaults() Options {
	return Options{RingBytes: 32 << 20, Connections: 1024, CopyBudgetBytes: 64 << 20}
}

// Shows what a replay cannot: that the copies in the kernel are the bytes that
// the application moved, for every call and every size around a limit.
func TestEveryCallDeliversItsBytesAtTheirPosition(t *testing.T) {
	needsKernel(t)
	o := observe(t, defaults())
	want := childStream()
	for name, side := range map[string]map[uint64]*seen{"sent": o.client, "received": o.server} {
		require.Len(t, side, len(forms()), name)
		for connection, s := range side {
			require.Empty(t, s.broken, "%s on connection %x", name, connection)
			require.True(t, bytes.Equal(want, s.bytes), "%s on connection %x: %d bytes of %d", name, connection, len(s.bytes), len(want))
		}
	}
	require.Zero(t, o.counts[event.CallsRefused])
	require.Equal(t, o.counts[event.CallsSeen], o.counts[event.CallsSubmitted]+o.counts[event.CallsFiltered]+o.counts[event.CallsRefused])
	for connection := range o.client {
		require.EqualValues(t, len(want), o.closed[connection].Sent, "final position of what was sent")
	}
	for connection := range o.server {
		require.EqualValues(t, len(want), o.closed[connection].Received, "final position of what was received")
	}
}

func TestBeyondTheBudgetOnlySizesAreDelivered(t *testing.T) {
	needsKernel(t)
	options := defaults()
	options.CopyBudgetBytes = 5000
	o := observe(t, options)
	want := childStream()
	for _, side := range []map[uint64]*seen{o.client, o.server} {
		for connection, s := range side {
			require.EqualValues(t, len(want), s.next, "connection %x: sizes go on", connection)
			require.Equal(t, want[:5000], s.bytes, "connection %x", connection)
		}
	}
}

func TestAFullRingRefusesCountsAndMarks(t *testing.T) {
	needsKernel(t)
	options := defaults()
	options.RingBytes = 1 // the smallest rings there are
	source, err := Open(options)
	require.NoError(t, err)
	defer source.Close()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1")
	require.NoError(t, child.Run(), "nobody reads the rings, and the target does not notice")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o := &observed{client: map[uint64]*seen{}, server: map[uint64]*seen{}, closed: map[uint64]event.Close{}}
	var captured uint64
	require.NoError(t, source.Run(ctx, func(batch *event.Batch) {
		for rest := batch.Records; len(rest) > 0; {
			var record []byte
			record, rest, err = event.Next(rest)
			require.NoError(t, err)
			o.take(t, uint32(child.Process.Pid), record)
		}
	}))
	for _, side := range []map[uint64]*seen{o.client, o.server} {
		for _, s := range side {
			captured += uint64(len(s.bytes))
		}
	}
	require.NotZero(t, o.counts[event.CallsRefused])
	require.Equal(t, o.counts[event.CallsSeen], o.counts[event.CallsSubmitted]+o.counts[event.CallsFiltered]+o.counts[event.CallsRefused])
	total := uint64(2 * len(forms()) * len(childStream()))
	require.LessOrEqual(t, total, captured+o.counts[event.BytesRefused], "every byte is either delivered or counted")
}

//go:build linux

package kernel

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	// maxRings keeps rings large on machines with many CPUs: 16 MiB over 128
	// rings would leave each 128 KiB, which one burst fills.
	maxRings     = 16
	minRingBytes = 64 * 1024
)

// ringPlan divides the memory for rings: a power of two of rings, at most one
// per CPU, each of a power of two of bytes.
func ringPlan(totalBytes, cpus int) (rings, bytesEach int) {
	floorPower := func(n int) int { return 1 << (bits.Len(uint(max(n, 1))) - 1) }
	rings = floorPower(min(cpus, maxRings))
	bytesEach = floorPower(totalBytes / rings)
	return rings, max(bytesEach, minRingBytes, os.Getpagesize())
}

// load brings the programs and maps into the kernel, not attached yet.
func load(o Options) (objects *qtapObjects, rings []*ring, ringMaps []*ebpf.Map, err error) {
	spec, err := loadQtap()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("reading the embedded BPF object: %w", err)
	}
	count, size := ringPlan(o.RingBytes, runtime.NumCPU())
	settings := map[string]any{
		"copy_budget_bytes": o.CopyBudgetBytes,
		"ring_count":        uint32(count),
		"wakeup_bytes":      uint64(size / 8),
		"ignore_loopback":   o.IgnoreLoopback,
		"ignore_clients":    o.IgnoreClients,
		"ignore_servers":    o.IgnoreServers,
	}
	for name, value := range settings {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, nil, nil, fmt.Errorf("setting %s: %w", name, err)
		}
	}
	spec.Maps["connections"].MaxEntries = uint32(o.Connections)
	spec.Maps["tls_sessions"].MaxEntries = uint32(o.Connections)
	if !hasUprobeMulti() {
		// A program for perf events must not ask for the other kind.
		for _, name := range []string{"on_tls_call", "on_tls_return", "on_go_call", "on_go_return"} {
			spec.Programs[name].AttachType = ebpf.AttachNone
		}
	}

	defer func() {
		if err != nil {
			closeRings(rings, ringMaps)
			rings, ringMaps = nil, nil
		}
	}()
	outer := spec.Maps["rings"]
	for i := range count {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ring", Type: ebpf.RingBuf, MaxEntries: uint32(size)})
		if err != nil {
			return nil, rings, ringMaps, fmt.Errorf("making ring buffer %d of %d bytes: %w", i, size, explain(err))
		}
		ringMaps = append(ringMaps, m)
		r, err := openRing(m.FD(), size)
		if err != nil {
			return nil, rings, ringMaps, err
		}
		rings = append(rings, r)
		outer.Contents = append(outer.Contents, ebpf.MapKV{Key: uint32(i), Value: m})
	}
	objects = new(qtapObjects)
	if err := spec.LoadAndAssign(objects, nil); err != nil {
		return nil, rings, ringMaps, fmt.Errorf("loading the BPF programs: %w", explain(err))
	}
	if err := learn(objects.Learn); err != nil {
		_ = objects.Close()
		return nil, rings, ringMaps, err
	}
	return objects, rings, ringMaps, nil
}

// learn lets the kernel tell our own process and what a socket looks like,
// see bpf/settings.h.
func learn(program *ebpf.Program) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making a socket to learn from: %w", err)
	}
	defer unix.Close(fd)
	status, err := program.Run(&ebpf.RunOptions{Context: struct{ SocketFD uint32 }{uint32(fd)}})
	if err != nil {
		return fmt.Errorf("running the BPF program learn: %w", explain(err))
	}
	if status != 0 {
		return fmt.Errorf("the BPF program learn did not find the file of descriptor %d", fd)
	}
	return nil
}

func closeRings(rings []*ring, maps []*ebpf.Map) {
	for _, r := range rings {
		r.close()
	}
	for _, m := range maps {
		_ = m.Close()
	}
}

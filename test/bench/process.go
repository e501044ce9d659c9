//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startOn starts the process on these CPUs, on any when there is none. It
// dies with this program.
func startOn(cpus []int, command *exec.Cmd) error {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// A child inherits the CPUs of the thread that starts it, and dies with
		// that thread, which must therefore stay: it is not given back.
		runtime.LockOSThread()
		started <- func() error {
			if len(cpus) > 0 {
				var set unix.CPUSet
				for _, cpu := range cpus {
					set.Set(cpu)
				}
				if err := unix.SchedSetaffinity(0, &set); err != nil {
					return fmt.Errorf("choosing the CPUs of %s: %w", command.Path, err)
				}
			}
			if err := command.Start(); err != nil {
				return fmt.Errorf("starting %s: %w", command.Path, err)
			}
			return nil
		}()
		select {}
	}()
	return <-started
}

// cpuTime returns what the processes have used, those that ended left out.
func cpuTime(pids ...int) (sum time.Duration) {
	const tick = 10 * time.Millisecond // USER_HZ is 100, see proc_pid_stat(5)
	for _, pid := range pids {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// The name may hold spaces: fields are counted from its end.
		_, rest := cutLast(string(content), ')')
		fields := strings.Fields(rest)
		for _, field := range fields[11:13] { // utime and stime
			ticks, _ := strconv.ParseInt(field, 10, 64)
			sum += time.Duration(ticks) * tick
		}
	}
	return sum
}

// cutLast cuts around the last separator; without one, after is empty.
func cutLast(text string, separator byte) (before, after string) {
	if i := strings.LastIndexByte(text, separator); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, ""
}

// family returns the process and those that it started.
func family(pid int) []int {
	pids := []int{pid}
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for field := range strings.FieldsSeq(string(content)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// memory is what a process occupies, in bytes.
type memory struct {
	resident int64 // VmRSS: rings are mapped, and counted, twice
	once     int64 // the same with every page counted once
	own      int64 // of it what is neither of the program's file nor of a ring
	maps     int64 // eBPF maps and rings in the kernel, by its own account
}

func memoryOf(pid int) (m memory) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m.resident = field(string(status), "VmRSS:") << 10
	m.own = field(string(status), "RssAnon:") << 10
	rollup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	m.once = field(string(rollup), "\nPss:") << 10
	descriptors, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	seen := make(map[int64]bool)
	for _, path := range descriptors {
		content, _ := os.ReadFile(path)
		id := field(string(content), "map_id:")
		if id == 0 || seen[id] {
			continue
		}
		seen[id] = true
		m.maps += field(string(content), "memlock:")
	}
	return m
}

// named counts the processes of this name, as the kernel keeps it.
func named(name string) (count int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range paths {
		content, _ := os.ReadFile(path)
		if strings.TrimSpace(string(content)) == name {
			count++
		}
	}
	return count
}

// field returns the number after a name in a file of /proc, 0 without it.
func field(content, name string) int64 {
	_, rest, _ := strings.Cut(content, name)
	if words := strings.Fields(rest); len(words) > 0 {
		n, _ := strconv.ParseInt(words[0], 10, 64)
		return n
	}
	return 0
}

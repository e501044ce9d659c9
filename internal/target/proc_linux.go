package target

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

const (
	// tick is the unit of start times in /proc: USER_HZ is 100 on every
	// architecture that we are built for (include/uapi/asm-generic/param.h).
	tick = 10_000_000 // ns
	// generationSlack is what a generation may exceed the start time by: it is
	// the start time in ns plus the number of images the process has had.
	generationSlack = 100_000
	// procFileBytes is more than any of the files that are read here holds.
	procFileBytes = 64 << 10
)

func probeSystem(key transaction.ProcessKey) (facts, bool) { return probeProc("/proc", key) }

// probeProc reads the process from a proc file system. The start time is
// compared before and after, so that what lies between belongs to the process
// that the key means. What it cannot tell apart is an earlier image of the
// same process; Table refuses that where it has seen a later one.
func probeProc(root string, key transaction.ProcessKey) (facts, bool) {
	dir := filepath.Join(root, strconv.FormatUint(uint64(key.PID), 10))
	if !startedAs(dir, key.Generation) {
		return facts{}, false
	}
	f := facts{exe: executableOf(dir)}
	uid, err := effectiveUser(dir)
	if err != nil {
		return facts{}, false
	}
	f.uid = uid
	if content, err := readBounded(filepath.Join(dir, "cgroup")); err == nil {
		f.cgroupV2, f.cgroupV1 = parseCgroupFile(string(content))
	}
	return f, startedAs(dir, key.Generation)
}

// startedAs reports whether the process started when the generation says.
func startedAs(dir string, generation uint64) bool {
	content, err := readBounded(filepath.Join(dir, "stat"))
	if err != nil {
		return false
	}
	ticks, err := startTicks(content)
	if err != nil {
		return false
	}
	start := ticks * tick
	return generation >= start && generation < start+tick+generationSlack
}

// startTicks returns field 22 of proc_pid_stat(5). The command, field 2, may
// hold spaces and parentheses, so fields are counted from its last one.
func startTicks(stat []byte) (uint64, error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, fmt.Errorf("parsing stat: no command in %q", stat)
	}
	fields := bytes.Fields(stat[end+1:])
	const start = 22 - 3 // the first field after the command is number 3
	if len(fields) <= start {
		return 0, fmt.Errorf("parsing stat: %d fields after the command", len(fields))
	}
	ticks, err := strconv.ParseUint(string(fields[start]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parsing stat: %w", err)
	}
	return ticks, nil
}

// executableOf returns the path of the executable, or "" when it may not be
// read. The kernel adds " (deleted)" to the name of a removed file.
func executableOf(dir string) string {
	link := filepath.Join(dir, "exe")
	target, err := os.Readlink(link)
	if err != nil {
		return ""
	}
	if name, ok := strings.CutSuffix(target, " (deleted)"); ok {
		var stat syscall.Stat_t
		if syscall.Stat(link, &stat) == nil && stat.Nlink == 0 {
			return name
		}
	}
	return target
}

// effectiveUser returns the second number of the line Uid.
func effectiveUser(dir string) (uint32, error) {
	content, err := readBounded(filepath.Join(dir, "status"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(content, []byte("\nUid:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	numbers := bytes.Fields(line)
	if len(numbers) < 2 {
		return 0, fmt.Errorf("parsing status: no effective user in %q", line)
	}
	uid, err := strconv.ParseUint(string(numbers[1]), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("parsing status: %w", err)
	}
	return uint32(uid), nil
}

// parseCgroupFile returns the names of the version 2 control groups and those
// of the first version 1 hierarchy that is not at its root, innermost first.
func parseCgroupFile(content string) (v2, v1 []string) {
	for line := range strings.Lines(content) {
		hierarchy, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		_, path, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		names := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
		slices.Reverse(names)
		switch {
		case hierarchy == "0":
			v2 = names
		case len(v1) == 0:
			v1 = names
		}
	}
	return v2, v1
}

func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading process: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, procFileBytes))
	if err != nil {
		return nil, fmt.Errorf("reading process: %w", err)
	}
	return content, nil
}

package target

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// exePath stands for the executable of a process, whatever its path is.
const exePath = ""

// mapping is an executable file that a process has mapped.
type mapping struct {
	key    FileKey
	bounds string // "7f0000000000-7f0000001000", as in /proc/PID/map_files
	path   string // in the process's mount namespace
}

// maxMapsBytes bounds what is read of one process: about 100000 mappings.
const maxMapsBytes = 16 << 20

// pids returns all processes, in the order of the file system.
func (d *Discovery) pids() []uint32 {
	entries, err := os.ReadDir(d.options.ProcRoot)
	if err != nil {
		return nil
	}
	var pids []uint32
	for _, e := range entries {
		if pid, err := strconv.ParseUint(e.Name(), 10, 32); err == nil && uint32(pid) != d.own {
			pids = append(pids, uint32(pid))
		}
	}
	return pids
}

// mappings returns the executable files that a process has mapped, each once
// (proc_pid_maps(5)).
func (d *Discovery) mappings(pid uint32) ([]mapping, error) {
	content, err := os.ReadFile(filepath.Join(d.options.ProcRoot, strconv.FormatUint(uint64(pid), 10), "maps"))
	if err != nil {
		return nil, fmt.Errorf("reading what process %d has mapped: %w", pid, err)
	}
	content = content[:min(len(content), maxMapsBytes)]
	var all []mapping
	seen := map[FileKey]bool{}
	for len(content) > 0 {
		var line []byte
		line, content, _ = bytes.Cut(content, []byte{'\n'})
		m, ok := parseMapping(string(line))
		if ok && !seen[m.key] {
			seen[m.key] = true
			all = append(all, m)
		}
	}
	return all, nil
}

// parseMapping reads "bounds perms offset major:minor inode path"; false for
// what is not executable or not a file.
func parseMapping(line string) (mapping, bool) {
	fields := strings.SplitN(line, " ", 6)
	if len(fields) < 6 || len(fields[1]) < 3 || fields[1][2] != 'x' {
		return mapping{}, false
	}
	high, low, found := strings.Cut(fields[3], ":")
	major, err1 := strconv.ParseUint(high, 16, 32)
	minor, err2 := strconv.ParseUint(low, 16, 32)
	inode, err3 := strconv.ParseUint(fields[4], 10, 64)
	if !found || errors.Join(err1, err2, err3) != nil || inode == 0 {
		return mapping{}, false
	}
	path := strings.TrimLeft(fields[5], " ")
	return mapping{key: FileKey{Device: major<<20 | minor, Inode: inode}, bounds: fields[0], path: path}, strings.HasPrefix(path, "/")
}

// open opens a file of a process, as it is in its own mount namespace. The
// links of /proc lead to the file itself, so one that was deleted or replaced
// is found too; where privileges for them lack, the path must do.
func (d *Discovery) open(pid uint32, m mapping) (file *os.File, path string, err error) {
	folder := filepath.Join(d.options.ProcRoot, strconv.FormatUint(uint64(pid), 10))
	if m.path == exePath {
		path, _ = os.Readlink(filepath.Join(folder, "exe"))
		file, err = os.Open(filepath.Join(folder, "exe"))
		if err != nil {
			return nil, "", fmt.Errorf("opening the executable of process %d: %w", pid, err)
		}
		return file, path, nil
	}
	if file, err = os.Open(filepath.Join(folder, "map_files", m.bounds)); err == nil {
		return file, m.path, nil
	}
	linked := err
	file, err = os.Open(filepath.Join(folder, "root", strings.TrimSuffix(m.path, " (deleted)")))
	if err != nil {
		return nil, "", fmt.Errorf("opening %s of process %d: %w", m.path, pid, errors.Join(err, linked))
	}
	var status unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &status); err != nil || status.Ino != m.key.Inode {
		_ = file.Close()
		return nil, "", fmt.Errorf("opening %s of process %d: another file has its place: %w", m.path, pid, linked)
	}
	return file, m.path, nil
}

// stampOf tells a file from others, and its size.
func stampOf(file *os.File) (stamp, int64, error) {
	var status unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &status); err != nil {
		return stamp{}, 0, fmt.Errorf("looking at %s: %w", file.Name(), err)
	}
	if status.Mode&unix.S_IFMT != unix.S_IFREG {
		return stamp{}, 0, fmt.Errorf("looking at %s: not a regular file", file.Name())
	}
	return stamp{size: status.Size, changed: status.Ctim.Nano()}, status.Size, nil
}

// isGone reports whether the process has ended in between.
func isGone(err error) bool { return errors.Is(err, unix.ESRCH) }

// bootTime returns the clock of the records, ns.
func bootTime() uint64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
		return 0
	}
	return uint64(at.Nano())
}

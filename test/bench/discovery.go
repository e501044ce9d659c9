//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Enough copies for the 10 ms in which the kernel counts the time of a
	// process, and no more than a disk takes in a moment.
	copiesOfSmall, copiesOfLarge = 20, 4
	largeBytes                   = 20 << 20

	stormSeconds = 5
	stormRate    = 1000 // processes per second
	stormAtOnce  = 16
)

// examined is what a host runs: libraries and executables, with TLS code and
// without, small and large. Those that the machine lacks are left out.
var examined = []struct{ title, path string }{
	{"a library with TLS code", "libssl.so.3"},
	{"a library with TLS code", "libgnutls.so.30"},
	{"an executable without", "curl"},
	{"an executable without", "python3.11"},
	{"a Go executable", "go"},
	{"a stripped Go executable", "otelcol-qtap"},
	{"an executable with OpenSSL built in", "node"},
}

// measureDiscovery measures what it costs to look into a file that was never
// seen before, and what processes cost that run files which are known.
func measureDiscovery(s Setup) error {
	rows := []string{"CPU of the collector per new file\tMB\tms"}
	for _, x := range examined {
		path, err := locate(s, x.path)
		if err != nil {
			continue
		}
		status, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", path, err)
		}
		name := "Discovery/file=" + x.path
		for range max(1, s.rounds/2) {
			if err := discoverCopies(s, name, path, status.Size()); err != nil {
				return err
			}
		}
		rows = append(rows, fmt.Sprintf("%s (%s)\t%.1f\t%.1f", x.title, x.path, float64(status.Size())/1e6, s.report.Median(name, Watched, "cpu-ms/file")))
	}
	table("discovery: files that were never seen before", rows...)
	for range max(1, s.rounds/2) {
		if err := weatherStorm(s); err != nil {
			return err
		}
	}
	s.report.list(fmt.Sprintf("discovery: %d processes per second of a known executable", stormRate), "Storm",
		[]string{"processes/s", "collector-cpu-%"})
	return nil
}

// locate finds a program in PATH or a library where Debian has them.
func locate(s Setup, name string) (string, error) {
	if name == filepath.Base(s.collector) {
		return s.collector, nil
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.EvalSymlinks(path)
	}
	found, _ := filepath.Glob("/usr/lib/*-linux-gnu/" + name)
	if len(found) == 0 {
		return "", fmt.Errorf("%s: %w", name, os.ErrNotExist)
	}
	return filepath.EvalSymlinks(found[0])
}

// discoverCopies lets a process map copies of the file, each a file of its own
// for the collector, and waits until it has looked at them all.
func discoverCopies(s Setup, name, path string, size int64) error {
	copies := copiesOfSmall
	if size > largeBytes {
		copies = copiesOfLarge
	}
	dir, err := os.MkdirTemp("", "qtap-bench-")
	if err != nil {
		return fmt.Errorf("making a folder for copies: %w", err)
	}
	defer os.RemoveAll(dir)
	arguments := []string{"map"}
	for i := range copies {
		arguments = append(arguments, filepath.Join(dir, strconv.Itoa(i)))
		if err := copyFile(path, arguments[i+1]); err != nil {
			return err
		}
	}
	c, err := startCollector(s, Watch{})
	if err != nil {
		return err
	}
	defer c.Stop()
	settle(c.PID()) // those that run already
	before := cpuTime(c.PID())
	mapper := exec.Command(s.self, arguments...)
	mapper.Stderr = os.Stderr
	release, err := mapper.StdinPipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	output, err := mapper.StdoutPipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	if err := startOn(nil, mapper); err != nil {
		return err
	}
	defer func() { _ = mapper.Wait() }()
	defer release.Close()
	if !bufio.NewScanner(output).Scan() {
		return errors.New("the copies could not be mapped")
	}
	settle(c.PID())
	s.report.Add(name, Watched, "cpu-ms/file", float64((cpuTime(c.PID())-before).Microseconds())/1000/float64(copies))
	return nil
}

// settle waits until the process has used no more than a hundredth of a CPU
// for a while.
func settle(pid int) {
	const window = 500 * time.Millisecond
	for range 60 {
		before := cpuTime(pid)
		time.Sleep(window)
		if cpuTime(pid)-before <= window/50 {
			return
		}
	}
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying: %w", err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("copying: %w", err)
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close()); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return nil
}

// mapRole maps files as a loader does and keeps them until its standard input
// ends:
//
//	bench map FILE...
func mapRole(arguments []string) error {
	for _, path := range arguments {
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("mapping: %w", err)
		}
		if _, err := unix.Mmap(int(file.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE); err != nil {
			return fmt.Errorf("mapping %s: %w", path, err)
		}
		_ = file.Close()
	}
	fmt.Println("mapped")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// weatherStorm starts short processes at a rate and measures what the
// collector does meanwhile.
func weatherStorm(s Setup) error {
	c, err := startCollector(s, Watch{})
	if err != nil {
		return err
	}
	defer c.Stop()
	if err := exec.Command("true").Run(); err != nil { // known from now on
		return fmt.Errorf("starting a short process: %w", err)
	}
	settle(c.PID())
	before, begin := cpuTime(c.PID()), time.Now()
	var failed atomic.Value
	var storm sync.WaitGroup
	turns := make(chan struct{}) // the rate, whatever a single process takes
	for range stormAtOnce {
		storm.Go(func() {
			for range turns {
				if err := exec.Command("true").Run(); err != nil {
					failed.Store(err)
				}
			}
		})
	}
	started := 0
	for ; time.Since(begin) < stormSeconds*time.Second; started++ {
		time.Sleep(time.Until(begin.Add(time.Duration(started) * time.Second / stormRate)))
		turns <- struct{}{}
	}
	close(turns)
	storm.Wait()
	if err := failed.Load(); err != nil {
		return fmt.Errorf("starting a short process: %w", err.(error))
	}
	elapsed := time.Since(begin)
	s.report.Add("Storm", Watched, "processes/s", float64(started)/elapsed.Seconds())
	s.report.Add("Storm", Watched, "collector-cpu-%", 100*(cpuTime(c.PID())-before).Seconds()/elapsed.Seconds())
	return nil
}

//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// callCases is what is measured. The goals are those of the project, in
// nanoseconds added to one call; 0 where there is none.
var callCases = []struct {
	name, title string
	goal        float64
}{
	{"getppid", "a call of no interest (getppid)", 35},
	{"write-file", "file I/O (1 byte to /dev/null)", 70},
	{"tcp-200-other", "TCP send or receive of 200 B, not HTTP", 0},
	{"tcp-200-http", "TCP send or receive of 200 B, HTTP captured", 350},
	{"tcp-16000-other", "TCP send or receive of 16000 B, not HTTP", 0},
	{"tcp-16000-http", "TCP send or receive of 16000 B, HTTP captured", 0},
	{"tls-0-nothing", "a read of crypto/tls that moves nothing: two traps", 0},
	{"tls-200-other", "read or write of crypto/tls, 200 B, not HTTP", 0},
	{"tls-200-http", "read or write of crypto/tls, 200 B, HTTP captured", 0},
	{"tls-16000-http", "read or write of crypto/tls, 16000 B, HTTP captured", 0},
}

// measureCalls measures what is added to single system calls. A process makes
// them on the last CPU; the collector has the others.
func measureCalls(s Setup) error {
	cpus := runtime.NumCPU()
	if cpus < 2 {
		return errors.New("the collector needs a CPU of its own: there is only one")
	}
	caller, err := startCaller(s, cpus-1)
	if err != nil {
		return err
	}
	defer caller.Stop()
	others := make([]int, cpus-1)
	for i := range others {
		others[i] = i
	}
	var refused int64
	for range s.rounds {
		if err := caller.measureAll(s.report, Bare); err != nil {
			return err
		}
		c, err := startCollector(s, Watch{cpus: others})
		if err != nil {
			return err
		}
		err = caller.measureAll(s.report, Watched)
		t, settled := c.Settled()
		c.Stop()
		if err := errors.Join(err, settled); err != nil {
			return err
		}
		refused += t["kernel_calls_refused"]
	}
	rows := []string{"ns per call\tbare\twatched\tadded\tratio\tgoal"}
	for _, x := range callCases {
		name := callName(x.name)
		bare, watched := s.report.Median(name, Bare, "ns/call"), s.report.Median(name, Watched, "ns/call")
		goal := ""
		if x.goal > 0 {
			goal = fmt.Sprintf("%.0f", x.goal)
		}
		rows = append(rows, fmt.Sprintf("%s\t%.0f\t%.0f\t%.0f\t%.2f\t%s", x.title, bare, watched,
			s.report.MedianAdded(name, "ns/call"), watched/bare, goal))
	}
	table("calls: added to one system call", rows...)
	if refused > 0 {
		fmt.Printf("  %d calls were refused by a full ring: those cost less than the others\n", refused)
	}
	return nil
}

func callName(of string) string { return "Call/call=" + of }

// Caller is the process that makes the calls.
type Caller struct {
	command *exec.Cmd
	orders  io.WriteCloser
	results *bufio.Scanner
}

func startCaller(s Setup, cpu int) (*Caller, error) {
	command := exec.Command(s.self, "caller")
	command.Stderr = os.Stderr
	orders, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	results, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	if err := startOn([]int{cpu}, command); err != nil {
		return nil, err
	}
	return &Caller{command, orders, bufio.NewScanner(results)}, nil
}

// Stop ends the process.
func (c *Caller) Stop() {
	_ = c.orders.Close()
	_ = c.command.Wait()
}

func (c *Caller) measureAll(report *Report, state State) error {
	time.Sleep(200 * time.Millisecond) // whatever has just started comes to rest
	for _, x := range callCases {
		if _, err := fmt.Fprintln(c.orders, x.name); err != nil {
			return fmt.Errorf("asking for %s: %w", x.name, err)
		}
		if !c.results.Scan() {
			return fmt.Errorf("no result of %s", x.name)
		}
		ns, err := strconv.ParseFloat(strings.TrimSpace(c.results.Text()), 64)
		if err != nil {
			return fmt.Errorf("reading the result of %s: %w", x.name, err)
		}
		report.Add(callName(x.name), state, "ns/call", ns)
	}
	return nil
}

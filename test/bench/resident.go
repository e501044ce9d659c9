//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"
)

const (
	heldConnections = 10_000
	mebibyte        = 1 << 20
)

// measureStart measures how soon the collector watches, and what it uses while
// nothing happens.
func measureStart(s Setup) error {
	for range s.rounds {
		c, err := startCollector(s, Watch{})
		if err != nil {
			return err
		}
		s.report.Add("Start", Watched, "start-ms", c.started.Seconds()*1000)
		time.Sleep(time.Second)
		before, begin := cpuTime(c.PID()), time.Now()
		time.Sleep(3 * time.Second)
		s.report.Add("Start", Watched, "idle-cpu-%", 100*(cpuTime(c.PID())-before).Seconds()/time.Since(begin).Seconds())
		addMemory(s.report, "Start", memoryOf(c.PID()))
		c.Stop()
	}
	s.report.list("start: the collector alone", "Start", append([]string{"start-ms", "idle-cpu-%"}, memoryUnits...))
	return nil
}

var memoryUnits = []string{"resident-MiB", "resident-once-MiB", "resident-own-MiB", "kernel-maps-MiB"}

func addMemory(report *Report, name string, m memory) {
	report.Add(name, Watched, "resident-MiB", float64(m.resident)/mebibyte)
	report.Add(name, Watched, "resident-once-MiB", float64(m.once)/mebibyte)
	report.Add(name, Watched, "resident-own-MiB", float64(m.own)/mebibyte)
	report.Add(name, Watched, "kernel-maps-MiB", float64(m.maps)/mebibyte)
}

// measureMemory lets two processes of this host keep connections open on which
// one request was made: the collector follows both ends of each.
func measureMemory(s Setup) error {
	nginx, err := startNginx()
	if err != nil {
		return err
	}
	defer nginx.Stop()
	for range s.rounds {
		if err := holdConnections(s, nginx); err != nil {
			return err
		}
	}
	title := fmt.Sprintf("memory: %d idle connections, both ends watched", heldConnections)
	s.report.list(title, "Memory", append([]string{"followed-ends", "streams-MiB"}, memoryUnits...))
	return nil
}

// holdConnections is one round, with a collector of its own.
func holdConnections(s Setup, nginx *Nginx) error {
	c, err := startCollector(s, Watch{})
	if err != nil {
		return err
	}
	defer c.Stop()
	holder := exec.Command(s.self, "hold", nginx.address, strconv.Itoa(heldConnections))
	holder.Stderr = os.Stderr
	release, err := holder.StdinPipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	output, err := holder.StdoutPipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	if err := startOn(nil, holder); err != nil {
		return err
	}
	defer func() { _ = holder.Wait() }()
	defer release.Close()
	if !bufio.NewScanner(output).Scan() {
		return errors.New("the connections could not be opened")
	}
	t, err := c.Settled()
	if err != nil {
		return err
	}
	addMemory(s.report, "Memory", memoryOf(c.PID()))
	s.report.Add("Memory", Watched, "streams-MiB", float64(t["memory_used"])/mebibyte)
	s.report.Add("Memory", Watched, "followed-ends", float64(t["connections"]))
	return nil
}

// holdRole opens connections, makes one request on each and keeps them until
// its standard input ends:
//
//	bench hold ADDRESS CONNECTIONS
func holdRole(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("two arguments are needed")
	}
	count, err := strconv.Atoi(arguments[1])
	if err != nil {
		return fmt.Errorf("reading the number of connections: %w", err)
	}
	held := make([]net.Conn, count)
	buffer := make([]byte, 16<<10)
	for i := range held {
		if held[i], err = net.Dial("tcp", arguments[0]); err != nil {
			return fmt.Errorf("opening connection %d: %w", i, err)
		}
		if err := exchange(held[i], get(arguments[0], "/held"), buffer); err != nil {
			return fmt.Errorf("using connection %d: %w", i, err)
		}
	}
	fmt.Println("holding")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

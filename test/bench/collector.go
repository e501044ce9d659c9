//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// object is a part of a configuration. JSON is YAML, so it is written as JSON.
type object = map[string]any

const (
	readyLine   = "Everything is ready"
	readyWithin = 20 * time.Second
	stopWithin  = 20 * time.Second
)

// Collector is a running otelcol-qtap.
type Collector struct {
	dir       string
	telemetry string // address
	command   *exec.Cmd
	exited    chan struct{}
	started   time.Duration // from its execution until it was ready
}

// Watch is how a collector runs. The zero value: the receiver's defaults, to
// the nop exporter, on any CPU.
type Watch struct {
	receiver object
	count    int // count the requests of this port instead, see Counted
	cpus     []int
}

// startCollector returns when the collector watches.
func startCollector(s Setup, w Watch) (c *Collector, err error) {
	dir, err := os.MkdirTemp("", "qtap-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the collector: %w", err)
	}
	c = &Collector{dir: dir, exited: make(chan struct{})}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if c.telemetry, err = freeAddress(); err != nil {
		return c, err
	}
	content, err := json.MarshalIndent(c.config(w), "", "  ")
	if err != nil {
		return c, fmt.Errorf("encoding the configuration: %w", err)
	}
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return c, fmt.Errorf("writing the configuration: %w", err)
	}
	c.command = exec.Command(s.collector, "--config", path)
	output, err := c.command.StderrPipe()
	if err != nil {
		return c, fmt.Errorf("making a pipe: %w", err)
	}
	begin := time.Now()
	if err := startOn(w.cpus, c.command); err != nil {
		c.command = nil
		return c, err
	}
	ready := make(chan time.Time, 1)
	var last atomic.Value
	go func() {
		defer close(c.exited)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			last.Store(lines.Text())
			if strings.Contains(lines.Text(), readyLine) {
				ready <- time.Now()
			}
		}
		_ = c.command.Wait()
	}()
	select {
	case at := <-ready:
		c.started = at.Sub(begin)
		return c, nil
	case <-c.exited:
		return c, fmt.Errorf("the collector ended at its start: %v", last.Load())
	case <-time.After(readyWithin):
		return c, errors.New("the collector did not become ready")
	}
}

func (c *Collector) config(w Watch) object {
	receiver := w.receiver
	if receiver == nil {
		receiver = object{}
	}
	host, port, _ := net.SplitHostPort(c.telemetry)
	config := object{
		"receivers": object{"qtap": receiver},
		"exporters": object{"nop": object{}},
	}
	pipelines := object{"logs": object{"receivers": []string{"qtap"}, "exporters": []string{"nop"}}}
	if w.count != 0 {
		config["connectors"] = object{"count": countRequests(w.count)}
		config["exporters"] = object{"file": object{"path": c.countFile(), "flush_interval": "100ms"}}
		pipelines = object{
			"logs":    object{"receivers": []string{"qtap"}, "exporters": []string{"count"}},
			"metrics": object{"receivers": []string{"count"}, "exporters": []string{"file"}},
		}
	}
	config["service"] = object{
		"pipelines": pipelines,
		"telemetry": object{
			"logs": object{"level": "info"},
			"metrics": object{"level": "detailed", "readers": []object{{
				"pull": object{"exporter": object{"prometheus": object{
					"host": host, "port": json.Number(port), "without_units": true, "without_type_suffix": true,
				}}},
			}}},
		},
	}
	return config
}

// PID returns its process.
func (c *Collector) PID() int { return c.command.Process.Pid }

// Stop ends it in order and removes its folder.
func (c *Collector) Stop() {
	c.end()
	_ = os.RemoveAll(c.dir)
}

// end lets it flush everything. Its folder stays.
func (c *Collector) end() {
	if c.command != nil {
		_ = c.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.exited:
		case <-time.After(stopWithin):
			_ = c.command.Process.Kill()
			<-c.exited
		}
	}
}

// Telemetry is a snapshot of the receiver's own metrics, by the name without
// its prefix, summed over attributes.
type Telemetry map[string]int64

func (c *Collector) Telemetry() (Telemetry, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.telemetry+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("reading the collector's telemetry: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading the collector's telemetry: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the collector's telemetry: %w", err)
	}
	t := make(Telemetry)
	for line := range strings.Lines(string(content)) {
		name, ours := strings.CutPrefix(line, "otelcol_receiver_qtap_")
		if !ours {
			continue
		}
		name, text := cutLast(strings.TrimSpace(name), ' ')
		name, _, _ = strings.Cut(name, "{") // attributes
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("reading the collector's telemetry: %w", err)
		}
		t[name] += int64(value)
	}
	return t, nil
}

// Settled waits until what was observed is delivered, and returns the
// telemetry of then. The kernel's counters come every second.
func (c *Collector) Settled() (t Telemetry, err error) {
	for quiet, tries := 0, 0; quiet < 4 && tries < 40; tries++ {
		time.Sleep(500 * time.Millisecond)
		before := t
		if t, err = c.Telemetry(); err != nil {
			return nil, err
		}
		// Reading the telemetry is itself a request of a process of this host.
		if moved := t["transactions"] - before["transactions"]; moved <= 2 && t["queue_length"] == 0 {
			quiet++
		} else {
			quiet = 0
		}
	}
	return t, nil
}

// freeAddress returns an address of loopback on which nobody listens.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

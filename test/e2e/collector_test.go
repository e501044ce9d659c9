//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	readyWithin = 30 * time.Second // loading and attaching takes well under one
	stopWithin  = 20 * time.Second
	readyLine   = "Everything is ready"
)

// object is a part of a configuration. JSON is YAML, so it is written as JSON.
type object = map[string]any

// Collector is a running otelcol-qtap with its own folder: config.yaml,
// records.jsonl (everything that it emitted), output.log.
type Collector struct {
	*Journal
	Dir     string
	Metrics string // address of its own telemetry, host:port
	command *exec.Cmd
	exited  chan struct{} // closed when the process has ended
	err     error         // of Wait, once exited is closed
}

// Setup is how a collector runs. The zero value: as root, the receiver's
// defaults, records to the file that the Journal reads.
type Setup struct {
	Receiver     object
	UID          uint32 // 0 is root
	Capabilities []uintptr
}

// everything is the receiver's configuration of most tests: whole bodies, of
// any size that the tests use.
func everything() object {
	return object{
		"capture": object{"level": "full", "body_limit_bytes": 16 << 20},
		"limits":  object{"memory_mib": 512, "ring_mib": 64},
	}
}

// startCollector runs a collector and waits until it watches. The test ends
// it, unless it did so itself.
func startCollector(t testing.TB, receiver object) *Collector {
	t.Helper()
	c := launchCollector(t, Setup{Receiver: receiver})
	c.awaitReady(t)
	return c
}

// launchCollector runs a collector without waiting.
func launchCollector(t testing.TB, setup Setup) *Collector {
	t.Helper()
	dir := openTempDir(t)
	c := &Collector{
		Dir:     dir,
		Metrics: freeAddress(t),
		Journal: newJournal(filepath.Join(dir, "records.jsonl")),
		exited:  make(chan struct{}),
	}
	config := filepath.Join(dir, "config.yaml")
	content, err := json.MarshalIndent(c.config(setup), "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, content, 0o644))
	output, err := os.Create(filepath.Join(dir, "output.log"))
	require.NoError(t, err)
	defer output.Close()
	c.command = exec.Command(installation.collector, "--config", config)
	c.command.Dir = dir
	c.command.Stdout, c.command.Stderr = output, output
	c.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if setup.UID != 0 {
		require.NoError(t, os.Chown(dir, int(setup.UID), int(setup.UID)))
		c.command.Path = openCopy(t, installation.collector)
		c.command.SysProcAttr.Credential = &syscall.Credential{Uid: setup.UID, Gid: setup.UID}
		c.command.SysProcAttr.AmbientCaps = setup.Capabilities
	}
	require.NoError(t, startThread(c.command.Start))
	go func() {
		c.err = c.command.Wait()
		close(c.exited)
	}()
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("collector output:\n%s", tail(c.Output(), 8000))
		}
	})
	return c
}

// config returns the whole configuration.
func (c *Collector) config(setup Setup) object {
	receiver := setup.Receiver
	if receiver == nil {
		receiver = object{}
	}
	host, port, _ := net.SplitHostPort(c.Metrics)
	return object{
		"receivers": object{"qtap": receiver},
		"exporters": object{"file": object{"path": c.Journal.path, "flush_interval": "50ms"}},
		"service": object{
			"telemetry": object{
				"logs": object{"level": "debug"}, // tells of every library that is probed
				"metrics": object{"level": "detailed", "readers": []object{{
					"pull": object{"exporter": object{"prometheus": object{
						"host": host, "port": json.Number(port), "without_units": true, "without_type_suffix": true,
					}}},
				}}},
			},
			"pipelines": object{"logs": object{"receivers": []string{"qtap"}, "exporters": []string{"file"}}},
		},
	}
}

// PID returns the collector's process.
func (c *Collector) PID() int { return c.command.Process.Pid }

// Output returns what it wrote to stdout and stderr.
func (c *Collector) Output() string {
	content, _ := os.ReadFile(filepath.Join(c.Dir, "output.log"))
	return string(content)
}

func (c *Collector) awaitReady(t testing.TB) {
	t.Helper()
	eventually(t, readyWithin, func() error {
		select {
		case <-c.exited:
			t.Fatalf("collector ended at its start: %v\n%s", c.err, tail(c.Output(), 4000))
		default:
		}
		if !strings.Contains(c.Output(), readyLine) {
			return errors.New("collector is not ready")
		}
		return nil
	})
}

// Stop asks the collector to end, as a service manager does, and checks that
// it did so in order.
func (c *Collector) Stop(t testing.TB) {
	t.Helper()
	require.NoError(t, c.command.Process.Signal(syscall.SIGTERM))
	select {
	case <-c.exited:
	case <-time.After(stopWithin):
		_ = c.command.Process.Signal(syscall.SIGQUIT) // the goroutines go to its output
		time.Sleep(time.Second)
		t.Fatalf("collector did not end within %v of SIGTERM", stopWithin)
	}
	require.NoError(t, c.err, "exit status")
	for _, word := range []string{"panic:", "DATA RACE", "fatal error:", "goroutine 1 ["} {
		require.NotContains(t, c.Output(), word)
	}
}

// kill ends the process if it runs.
func (c *Collector) kill() {
	select {
	case <-c.exited:
	default:
		_ = c.command.Process.Kill()
		<-c.exited
	}
}

// ResidentBytes returns the resident memory of the collector now.
func (c *Collector) ResidentBytes(t testing.TB) int64 {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))
	require.NoError(t, err)
	_, rest, ok := bytes.Cut(content, []byte("VmRSS:"))
	require.True(t, ok)
	var kib int64
	_, err = fmt.Sscanf(string(rest), "%d kB", &kib)
	require.NoError(t, err)
	return kib << 10
}

// Telemetry returns the collector's own metrics in Prometheus' text format.
func (c *Collector) Telemetry(t testing.TB) string {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + c.Metrics + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(content)
}

// Count returns the sum of the receiver's metric over those of its attributes
// that hold all the given texts, 0 when there is none yet.
func (c *Collector) Count(t testing.TB, metric string, holding ...string) int64 {
	t.Helper()
	var sum float64
	for line := range strings.Lines(c.Telemetry(t)) {
		series, value, _ := strings.Cut(line, " ")
		name, attributes, _ := strings.Cut(series, "{")
		if name != "otelcol_receiver_qtap_"+metric {
			continue
		}
		if slices.ContainsFunc(holding, func(part string) bool { return !strings.Contains(attributes, part) }) {
			continue
		}
		number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		require.NoError(t, err, line)
		sum += number
	}
	return int64(sum)
}

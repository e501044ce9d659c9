//go:build linux

package delivery

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	readyWithin   = 60 * time.Second // loading and attaching takes one or two
	stopWithin    = 60 * time.Second
	arrivesWithin = 60 * time.Second // on an idle machine everything is there after 3
	readyLine     = "Everything is ready"
)

// canary stands in a header field and in a parameter that redaction covers.
const canary = "canary-3f6c0d5e9b"

// settings are the environment variables of an example.
type settings = map[string]string

// Collector is a running collector with a configuration of distribution/examples.
type Collector struct {
	*Process
	dir     string // its working folder, with the queue
	binary  string
	example string
	env     settings
}

// startExample runs a collector with the configuration as it is in the
// repository; only environment variables tell it where the servers are.
func startExample(t testing.TB, binary, example string, env settings) *Collector {
	t.Helper()
	c := &Collector{dir: t.TempDir(), binary: binary, example: example, env: env}
	c.start(t)
	t.Cleanup(func() {
		select {
		case <-c.exited:
		default:
			c.kill()
		}
		if t.Failed() {
			t.Logf("collector with %s:\n%s", example, tail(c.output(), 6000))
		}
		assert.NotContains(t, c.output(), canary, "a secret in the collector's log")
	})
	return c
}

// start runs it, also again after it ended: the queue is the same.
func (c *Collector) start(t testing.TB) {
	t.Helper()
	_, port, _ := net.SplitHostPort(freeAddress(t))
	command := exec.Command(c.binary, "--config", filepath.Join(installation.examples, c.example))
	command.Dir = c.dir
	command.Env = append(os.Environ(),
		"QTAP_QUEUE_FOLDER="+filepath.Join(c.dir, "queue"), "QTAP_METRICS_PORT="+port,
		"QTAP_LEVEL=full", "QTAP_DIRECTION=egress", "AWS_EC2_METADATA_DISABLED=true")
	for name, value := range c.env {
		command.Env = append(command.Env, name+"="+value)
	}
	before := 0
	if c.Process != nil {
		before = len(c.output())
	}
	c.Process = spawn(t, filepath.Join(c.dir, "output.log"), command)
	eventually(t, readyWithin, func() error {
		select {
		case <-c.exited:
			t.Fatalf("collector with %s ended at its start: %v\n%s", c.example, c.err, tail(c.output(), 6000))
		default:
		}
		if !strings.Contains(c.output()[before:], readyLine) {
			return errors.New("collector is not ready")
		}
		return nil
	})
}

// stop ends it as a service manager does.
func (c *Collector) stop(t testing.TB) {
	t.Helper()
	require.NoError(t, c.command.Process.Signal(syscall.SIGTERM))
	select {
	case <-c.exited:
	case <-time.After(stopWithin):
		t.Fatalf("collector did not end within %v of SIGTERM", stopWithin)
	}
	require.NoError(t, c.err, "exit status")
	require.NotContains(t, c.output(), "panic:")
}

// checkNothingRefused checks that no exporter gave up on what it was given.
func (c *Collector) checkNothingRefused(t testing.TB) {
	t.Helper()
	for _, sign := range []string{"Dropping data", "dropped", "Permanent error", "sending queue is full", "failed to execute"} {
		assert.NotContains(t, c.output(), sign)
	}
}

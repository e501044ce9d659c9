//go:build linux

package dropin

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds what is waited for; on a machine at rest everything takes
// less than a second.
const patience = 3 * time.Minute

// readyLine is what a collector logs when all its components have started.
const readyLine = "Everything is ready. Begin running and processing data."

// output collects what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// command is the collector with these arguments in its own file system, with
// these variables and no others.
func command(root string, environment map[string]string, arguments ...string) *exec.Cmd {
	c := exec.Command(program, arguments...)
	c.Dir = "/"
	c.Env = []string{"PATH=/usr/bin:/bin"}
	for name, value := range environment {
		c.Env = append(c.Env, name+"="+value)
	}
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	return c
}

// Collector is one that is ready.
type Collector struct {
	process *exec.Cmd
	output  *output
	ended   chan error
}

// start runs a collector until it is ready. It is ended with the test, however
// that goes.
func start(t *testing.T, c *exec.Cmd) *Collector {
	t.Helper()
	collector := &Collector{process: c, output: &output{}, ended: make(chan error, 1)}
	c.Stdout, c.Stderr = collector.output, collector.output
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is sent when the thread that started the child ends
		started <- c.Start()
		if c.Process != nil {
			collector.ended <- c.Wait()
		}
		close(collector.ended)
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		for range collector.ended {
		}
	})
	collector.await(t, "readiness", func() bool { return collector.ready() >= 1 })
	return collector
}

// await waits for a condition as long as the collector runs.
func (c *Collector) await(t *testing.T, name string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-c.ended:
			t.Fatalf("the collector ended before its %s: %v\n%s", name, err, c.output)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s of the collector\n%s", name, c.output)
		}
	}
}

// ready counts how often the collector has said that it is ready.
func (c *Collector) ready() int { return strings.Count(c.output.String(), readyLine) }

// reload asks the collector to read its configuration again, and waits until it
// runs with that. After it the collector is known to mind SIGTERM, too: it says
// that it is ready a moment before it asks for signals, and one that comes
// earlier ends it at once.
func (c *Collector) reload(t *testing.T) {
	t.Helper()
	c.await(t, "interest in signals", c.minds)
	require.NoError(t, c.process.Process.Signal(syscall.SIGHUP))
	c.await(t, "second readiness", func() bool { return c.ready() >= 2 })
}

// minds says whether the process has asked for signals, of which SIGHUP is the
// first. One thread of a Go program then blocks most of the others.
func (c *Collector) minds() bool {
	states, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.process.Process.Pid))
	for _, path := range states {
		state, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		_, after, _ := strings.Cut(string(state), "\nSigBlk:\t")
		mask, _, _ := strings.Cut(after, "\n")
		blocked, err := strconv.ParseUint(mask, 16, 64)
		if err == nil && blocked>>(syscall.SIGUSR1-1)&1 == 1 && blocked>>(syscall.SIGHUP-1)&1 == 0 {
			return true
		}
	}
	return false
}

// stop asks the collector to end and wants it to say that all went well.
func (c *Collector) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, c.process.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-c.ended:
		require.NoError(t, err, "exit after SIGTERM\n%s", c.output)
	case <-time.After(patience):
		t.Fatalf("the collector does not end\n%s", c.output)
	}
}

// execute runs a collector's command to its end and gives its standard output.
func execute(t *testing.T, c *exec.Cmd) []byte {
	t.Helper()
	var out, errors strings.Builder
	c.Stdout, c.Stderr = &out, &errors
	require.NoError(t, c.Run(), "%s\n%s%s", strings.Join(c.Args, " "), &out, &errors)
	return []byte(out.String())
}

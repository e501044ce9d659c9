//go:build linux

package dropin

import (
	"bytes"
	"os/exec"
	"runtime"
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

// output collects what a process prints and says when a text has come.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	await string
	came  chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.await != "" && bytes.Contains(o.text.Bytes(), []byte(o.await)) {
		o.await = ""
		close(o.came)
	}
	return len(p), nil
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
	collector := &Collector{
		process: c,
		output:  &output{await: readyLine, came: make(chan struct{})},
		ended:   make(chan error, 1),
	}
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
		c.Process.Kill()
		<-collector.ended
	})
	select {
	case <-collector.output.came:
	case err := <-collector.ended:
		t.Fatalf("the collector ended before it was ready: %v\n%s", err, collector.output)
	case <-time.After(patience):
		t.Fatalf("the collector is not ready\n%s", collector.output)
	}
	return collector
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

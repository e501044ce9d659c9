//go:build linux

package delivery

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Process is a program that runs until it is stopped, with its output in a file.
type Process struct {
	command *exec.Cmd
	log     string
	exited  chan struct{} // closed when it has ended
	err     error         // of Wait, once exited is closed
}

// startThread runs start on a thread that never ends: Pdeathsig is sent when
// the thread that made the child ends, not when the process does.
var startThread = sync.OnceValue(func() func(start func() error) error {
	requests, answers := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread()
		for start := range requests {
			answers <- start()
		}
	}()
	var mu sync.Mutex
	return func(start func() error) error {
		mu.Lock()
		defer mu.Unlock()
		requests <- start
		return <-answers
	}
})

// spawn starts a program that ends with the tests at the latest.
func spawn(t testing.TB, log string, command *exec.Cmd) *Process {
	t.Helper()
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer output.Close()
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &Process{command: command, log: log, exited: make(chan struct{})}
	require.NoError(t, startThread()(command.Start))
	go func() {
		p.err = command.Wait()
		close(p.exited)
	}()
	return p
}

// output returns what it wrote so far.
func (p *Process) output() string {
	content, _ := os.ReadFile(p.log)
	return string(content)
}

// kill ends it at once, as kill -9 does.
func (p *Process) kill() {
	_ = p.command.Process.Kill()
	<-p.exited
}

// launch starts a program that the test ends, politely at first.
func launch(t testing.TB, command *exec.Cmd) *Process {
	t.Helper()
	p := spawn(t, filepath.Join(t.TempDir(), filepath.Base(command.Path)+".log"), command)
	t.Cleanup(func() {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(5 * time.Second):
			p.kill()
		}
		if t.Failed() {
			t.Logf("%s:\n%s", command.Path, tail(p.output(), 4000))
		}
	})
	return p
}

// answers waits until the URL is answered with a status below 300.
func answers(t testing.TB, p *Process, url string) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		select {
		case <-p.exited:
			t.Fatalf("%s ended: %v\n%s", p.command.Path, p.err, tail(p.output(), 4000))
		default:
		}
		response, err := client.Get(url)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode >= 300 {
			return fmt.Errorf("%s from %s", response.Status, url)
		}
		return nil
	})
}

// client asks servers of this machine, over a new connection each time: some of
// them are stopped and started again.
var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// eventually calls check until it returns nil. Each call of a query interface is
// traffic that the collector sees, so it does not ask often.
func eventually(t testing.TB, within time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", within, err)
		}
		time.Sleep(150 * time.Millisecond)
	}
}

// freeAddress returns an address of loopback that nobody listens on now.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func tail(s string, size int) string {
	if len(s) > size {
		return "…" + strings.ToValidUTF8(s[len(s)-size:], "")
	}
	return s
}

//go:build linux

package e2e

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net"
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

// startThread runs start on a thread that never ends: Pdeathsig is sent when
// the thread that made the child ends, not when the process does.
var startThread = func() func(start func() error) error {
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
}()

// Server is a process that a test started and that serves until the test ends.
type Server struct {
	Address string // host:port, or the path of a Unix socket
	PID     int
	output  *buffer
}

// startServer runs a program that prints "ready ADDRESS" when it listens.
func startServer(t testing.TB, argv ...string) *Server {
	t.Helper()
	command := exec.Command(argv[0], argv[1:]...)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	server := &Server{output: &buffer{}}
	command.Stderr = server.output
	launch(t, command, server.output)
	server.PID = command.Process.Pid
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if address, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
				ready <- address
			}
		}
	}()
	select {
	case server.Address = <-ready:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not get ready:\n%s", argv[0], server.output)
	}
	return server
}

// launch starts a process and ends it with the test, politely at first.
func launch(t testing.TB, command *exec.Cmd, output *buffer) {
	t.Helper()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.WaitDelay = time.Second // its own children may hold its output open
	require.NoError(t, startThread(command.Start))
	exited := make(chan struct{})
	go func() { _ = command.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(3 * time.Second):
			_ = command.Process.Kill()
			<-exited
		}
		if t.Failed() && output.String() != "" {
			t.Logf("%s:\n%s", command.Args[0], tail(output.String(), 2000))
		}
	})
}

// execute runs a program to its end and returns what it printed.
func execute(t testing.TB, stdin string, argv ...string) string {
	t.Helper()
	command := exec.Command(argv[0], argv[1:]...)
	command.Stdin = strings.NewReader(stdin)
	var stderr buffer
	command.Stderr = &stderr
	timer := time.AfterFunc(60*time.Second, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	out, err := command.Output()
	require.NoErrorf(t, err, "%q\n%s", argv, stderr.String())
	return string(out)
}

// program returns the path of a Go program of programs/, script that of a
// script there.
func program(name string) string { return filepath.Join(installation.programs, name) }

func script(name string) string {
	path, _ := filepath.Abs(filepath.Join("programs", name))
	return path
}

// buffer is an io.Writer that keeps its beginning and may be read meanwhile.
type buffer struct {
	mu      sync.Mutex
	content []byte
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.content) < 1<<20 {
		b.content = append(b.content, p...)
	}
	return len(p), nil
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.content)
}

// eventually calls check until it returns nil.
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
		time.Sleep(20 * time.Millisecond)
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

// openTempDir is t.TempDir for processes of other users too.
func openTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qtap-e2e-") //nolint:usetesting // t.TempDir is closed to other users
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

// openCopy returns the path of a copy of the program that every user may run.
func openCopy(t testing.TB, path string) string {
	t.Helper()
	from, err := os.Open(path)
	require.NoError(t, err)
	defer from.Close()
	name := filepath.Join(openTempDir(t), filepath.Base(path))
	to, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(to, from)
	require.NoError(t, err)
	require.NoError(t, to.Close())
	return name
}

// newToken returns a word that stands in no other request.
func newToken() string {
	var random [8]byte
	_, _ = rand.Read(random[:])
	return "e2e-" + hex.EncodeToString(random[:])
}

// text returns size bytes of readable text that only this token has.
func text(token string, size int) []byte {
	line := token + " 0123456789 abcdefghijklmnopqrstuvwxyz\n"
	return []byte(strings.Repeat(line, size/len(line)+1)[:size])
}

func tail(s string, size int) string {
	if len(s) > size {
		return "…" + s[len(s)-size:]
	}
	return s
}

// launchAndDial starts a server that does not say when it listens.
func launchAndDial(t testing.TB, address string, argv ...string) {
	t.Helper()
	command := exec.Command(argv[0], argv[1:]...)
	output := &buffer{}
	command.Stdout, command.Stderr = output, output
	launch(t, command, output)
	eventually(t, 10*time.Second, func() error {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			_ = connection.Close()
		}
		return err
	})
}

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// callerRole makes the calls that are named on its standard input, one name a
// line, and prints how long one call took, in nanoseconds: the best of several
// short windows, because whatever else happens on a CPU only adds.
func callerRole([]string) error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // collecting would interrupt, and there is no garbage
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		w, done, err := prepareCalls(lines.Text())
		if err != nil {
			return err
		}
		best, err := w.best()
		done()
		if err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		fmt.Printf("%.2f\n", best)
	}
	return nil
}

// window is a sequence of calls that is timed as a whole.
type window struct {
	turn  func() error
	calls int // system calls of one turn
	turns int
}

const windows = 12

// best returns the shortest time of a call over all windows, ns.
func (w window) best() (best float64, err error) {
	for i := range windows {
		// The collector works off what was captured meanwhile: when the rings
		// are full, calls are refused, and those cost less.
		time.Sleep(40 * time.Millisecond)
		for range w.turns / 10 { // the pause has let the CPU sleep
			if err := w.turn(); err != nil {
				return 0, err
			}
		}
		start := time.Now()
		for range w.turns {
			if err := w.turn(); err != nil {
				return 0, err
			}
		}
		each := float64(time.Since(start).Nanoseconds()) / float64(w.turns*w.calls)
		if i == 0 || each < best {
			best = each
		}
	}
	return best, nil
}

// prepareCalls returns what the name stands for. Windows take a few
// milliseconds, and those that are captured fit well into a ring.
func prepareCalls(name string) (w window, done func(), err error) {
	var size int
	var kind string
	switch {
	case name == "getppid":
		return window{turn: getppid, calls: 1, turns: 20_000}, func() {}, nil
	case name == "write-file":
		return prepareWrite()
	default:
		if _, err := fmt.Sscanf(name[min(len(name), 4):], "%d-%s", &size, &kind); err != nil {
			return w, nil, fmt.Errorf("reading the case %q: %w", name, err)
		}
	}
	request, response := otherBytes(size), otherBytes(size)
	if kind == "http" {
		request, response = sized("POST / HTTP/1.1\r\nHost: bench\r\n", size), sized("HTTP/1.1 200 OK\r\n", size)
	}
	if strings.HasPrefix(name, "tls-") {
		return prepareTLS(request, response, kind)
	}
	return prepareExchange(request, response)
}

func getppid() error {
	_, _, errno := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func prepareWrite() (w window, done func(), err error) {
	fd, err := unix.Open("/dev/null", unix.O_WRONLY, 0)
	if err != nil {
		return w, nil, fmt.Errorf("opening /dev/null: %w", err)
	}
	one := []byte{'x'}
	turn := func() error { return move(unix.SYS_WRITE, fd, one) }
	return window{turn: turn, calls: 1, turns: 20_000}, func() { _ = unix.Close(fd) }, nil
}

// prepareExchange sends a request and an answer to and fro on a connection of
// loopback: a turn is two writes and two reads.
func prepareExchange(request, response []byte) (w window, done func(), err error) {
	client, server, err := openConnection()
	if err != nil {
		return w, nil, err
	}
	buffer := make([]byte, max(len(request), len(response)))
	turn := func() error {
		if err := move(unix.SYS_WRITE, client, request); err != nil {
			return err
		}
		if err := move(unix.SYS_READ, server, buffer[:len(request)]); err != nil {
			return err
		}
		if err := move(unix.SYS_WRITE, server, response); err != nil {
			return err
		}
		return move(unix.SYS_READ, client, buffer[:len(response)])
	}
	// A window fills at most a third of the half of the default 16 MiB that a
	// ring has on two CPUs.
	turns := min(500, (8<<20)/3/(4*len(request)))
	return window{turn: turn, calls: 4, turns: turns}, func() { _ = unix.Close(client); _ = unix.Close(server) }, nil
}

// openConnection returns both ends of a connection of loopback, blocking and
// without the Go runtime's poller, which would add calls.
func openConnection() (client, server int, err error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("making a socket: %w", err)
	}
	defer unix.Close(listener)
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, fmt.Errorf("binding a socket: %w", err)
	}
	if err := unix.Listen(listener, 1); err != nil {
		return 0, 0, fmt.Errorf("listening: %w", err)
	}
	address, err := unix.Getsockname(listener)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the address of a socket: %w", err)
	}
	if client, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
		return 0, 0, fmt.Errorf("making a socket: %w", err)
	}
	if err := unix.Connect(client, address); err != nil {
		return 0, 0, fmt.Errorf("connecting: %w", err)
	}
	if server, _, err = unix.Accept(listener); err != nil {
		return 0, 0, fmt.Errorf("accepting: %w", err)
	}
	for _, fd := range []int{client, server} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return 0, 0, fmt.Errorf("setting TCP_NODELAY: %w", err)
		}
	}
	return client, server, nil
}

// otherBytes are of no protocol that is looked for.
func otherBytes(size int) []byte { return bytes.Repeat([]byte{0}, size) }

// sized completes a head to a message of exactly this size: with a body when
// it is large, with a field when it is small.
func sized(head string, size int) []byte {
	const usual = 200
	message := fmt.Appendf(nil, "%sContent-Length: %05d\r\nX-Fill: ", head, max(0, size-usual))
	message = append(message, bytes.Repeat([]byte{'x'}, min(size, usual)-len(message)-len("\r\n\r\n"))...)
	message = append(message, "\r\n\r\n"...)
	return append(message, bytes.Repeat([]byte{'b'}, size-len(message))...)
}

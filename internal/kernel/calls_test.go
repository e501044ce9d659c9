//go:build linux

package kernel

import (
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are made by a child process (this test binary again, see
// TestMain), because the kernel side leaves out the process that loaded it.

// sizes around every limit of the kernel side: record classes and chunks.
func sizesAroundLimits() []int {
	sizes := []int{1, 2, 23, 24, 25}
	for _, limit := range []int{256, 1024, 2048, 4096, 16384, 65536} {
		sizes = append(sizes, limit-1, limit, limit+1, 2*limit)
	}
	return sizes
}

// pattern is what a sender sends: bytes that tell their position.
func pattern(position, size int) []byte {
	bytes := make([]byte, size)
	for i := range bytes {
		at := position + i
		bytes[i] = byte(at ^ at>>8 ^ at>>16)
	}
	return bytes
}

const childStart = "POST /calls HTTP/1.1\r\nHost: test\r\n\r\n"

// stream returns what is sent in total on one connection.
func childStream() []byte {
	stream := []byte(childStart)
	for _, size := range sizesAroundLimits() {
		stream = append(stream, pattern(len(stream), size)...)
	}
	return stream
}

// form is one way to move bytes; move returns what the call returned.
type form struct {
	name          string
	send, receive func(fd int, buffer []byte) (int, error)
}

func forms() []form {
	return []form{
		{"write and read", unix.Write, unix.Read},
		{"sendto and recvfrom", sendTo, receiveFrom},
		{
			"writev and readv of three parts", func(fd int, b []byte) (int, error) { return unix.Writev(fd, split(b, 3)) },
			func(fd int, b []byte) (int, error) { return unix.Readv(fd, split(b, 3)) },
		},
		{
			"writev and readv of many parts", func(fd int, b []byte) (int, error) { return unix.Writev(fd, split(b, 700)) },
			func(fd int, b []byte) (int, error) { return unix.Readv(fd, split(b, 700)) },
		},
		{
			"sendmsg and recvmsg", func(fd int, b []byte) (int, error) { return unix.SendmsgBuffers(fd, split(b, 5), nil, nil, 0) },
			func(fd int, b []byte) (int, error) {
				n, _, _, _, err := unix.RecvmsgBuffers(fd, split(b, 5), nil, 0)
				return n, err
			},
		},
		{"sendmmsg and recvmmsg", sendMessages, receiveMessages},
		{"read after MSG_PEEK", unix.Write, func(fd int, b []byte) (int, error) {
			peeked := make([]byte, len(b))
			if _, _, err := unix.Recvfrom(fd, peeked, unix.MSG_PEEK); err != nil {
				return 0, err
			}
			return unix.Read(fd, b)
		}},
	}
}

// split cuts a buffer into n parts of different sizes, some of them empty.
func split(b []byte, n int) [][]byte {
	var parts [][]byte
	for i := 1; i < n && len(b) > 0; i++ {
		size := min(len(b), (i*i*37)%max(2, 3*len(b)/n+1))
		parts = append(parts, b[:size])
		b = b[size:]
	}
	return append(parts, b)
}

func sendTo(fd int, b []byte) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return result(n, errno)
}

func receiveFrom(fd int, b []byte) (int, error) {
	n, _, err := unix.Recvfrom(fd, b, 0)
	return n, err
}

func result(n uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// mmsghdr is struct mmsghdr of recvmmsg(2) on 64-bit machines.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      uint32
}

func messagesOf(b []byte) (messages []mmsghdr, vectors []unix.Iovec) {
	parts := split(b, 4)
	vectors = make([]unix.Iovec, len(parts))
	for i, part := range parts {
		if len(part) == 0 {
			continue
		}
		vectors[i].Base = &part[0]
		vectors[i].SetLen(len(part))
		var m mmsghdr
		m.header.Iov = &vectors[i]
		m.header.SetIovlen(1)
		messages = append(messages, m)
	}
	return messages, vectors
}

func moveMessages(call uintptr, fd int, b []byte) (int, error) {
	messages, _ := messagesOf(b)
	n, _, errno := unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	total := 0
	for _, m := range messages[:n] {
		total += int(m.length)
	}
	return total, nil
}

func sendMessages(fd int, b []byte) (int, error) { return moveMessages(unix.SYS_SENDMMSG, fd, b) }

func receiveMessages(fd int, b []byte) (int, error) { return moveMessages(unix.SYS_RECVMMSG, fd, b) }

// runChild makes one connection per form and moves the stream over it.
func runChild() error {
	for _, form := range forms() {
		client, server, err := connectedPair()
		if err != nil {
			return err
		}
		sent := []byte(childStart)
		if err := exchange(form, client, server, sent); err != nil {
			return fmt.Errorf("%s: %w", form.name, err)
		}
		position := len(sent)
		for _, size := range sizesAroundLimits() {
			if err := exchange(form, client, server, pattern(position, size)); err != nil {
				return fmt.Errorf("%s of %d bytes: %w", form.name, size, err)
			}
			position += size
		}
		_ = unix.Close(client)
		_ = unix.Close(server)
	}
	return nil
}

// exchange sends all bytes and receives all bytes.
func exchange(form form, client, server int, bytes []byte) error {
	failed := make(chan error, 1)
	go func() {
		for rest := bytes; len(rest) > 0; {
			n, err := form.send(client, rest)
			if err != nil {
				failed <- fmt.Errorf("sending: %w", err)
				return
			}
			rest = rest[n:]
		}
		failed <- nil
	}()
	for left := len(bytes); left > 0; {
		n, err := form.receive(server, make([]byte, left))
		if err != nil || n == 0 {
			return fmt.Errorf("receiving: %d bytes: %w", n, err)
		}
		left -= n
	}
	return <-failed
}

func connectedPair() (client, server int, err error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(listener)
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Bind(listener, loopback); err != nil {
		return 0, 0, err
	}
	if err := unix.Listen(listener, 1); err != nil {
		return 0, 0, err
	}
	address, err := unix.Getsockname(listener)
	if err != nil {
		return 0, 0, err
	}
	if client, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
		return 0, 0, err
	}
	if err := unix.Connect(client, address); err != nil {
		return 0, 0, err
	}
	server, _, err = unix.Accept(listener)
	return client, server, err
}

const childVariable = "QTAP_KERNEL_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		run := runChild
		if os.Getenv(childVariable) == "tls" {
			run = runTLSChild
		}
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

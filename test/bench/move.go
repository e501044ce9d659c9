//go:build linux

package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// move makes one call with a buffer, without the scheduler's entry and exit
// that a usual call of Go has: they would be as long as what is measured.
func move(number uintptr, fd int, buffer []byte) error {
	n, _, errno := unix.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)))
	if errno != 0 {
		return fmt.Errorf("system call %d: %w", number, errno)
	}
	if int(n) != len(buffer) {
		return fmt.Errorf("system call %d moved %d of %d bytes", number, n, len(buffer))
	}
	return nil
}

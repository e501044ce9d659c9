package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/kernel"
)

func openKernel(s settings) (event.Source, error) {
	source, err := kernel.Open(kernel.Options{
		RingBytes:       s.ringMiB << 20,
		Connections:     s.connections,
		CopyBudgetBytes: s.budgetKiB << 10,
	})
	if err != nil {
		return nil, err // not the typed nil that source holds
	}
	return source, nil
}

// networkNamespace returns the inode number of a network namespace, which is
// its number in records, from a file that stands for it.
func networkNamespace(path string) (uint32, error) {
	var filesystem unix.Statfs_t
	var status unix.Stat_t
	if err := unix.Statfs(path, &filesystem); err != nil {
		return 0, fmt.Errorf("looking for a network namespace: %w", err)
	}
	if err := unix.Stat(path, &status); err != nil {
		return 0, fmt.Errorf("looking for a network namespace: %w", err)
	}
	// An ordinary file has an inode number too, and would select nothing.
	if filesystem.Type != unix.NSFS_MAGIC {
		return 0, fmt.Errorf("%s is not a namespace", path)
	}
	return uint32(status.Ino), nil
}

package objectstoreexporter

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A full disk has to be real: the driver commits what it has written when it is
// closed, and only a write that fails half-way shows that nothing stays.
func TestAFullDiskKeepsTheObjectsForLater(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("CI") == "true" && os.Getuid() == 0 {
			t.Fatalf("mounting a small file system: %v", err)
		}
		t.Skipf("a small file system cannot be mounted (needs root): %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(folder, 0)) })

	e := start(t, nil, inFolder(folder))
	require.NoError(t, e.push(t.Context(), records("small", "x")))
	err := e.push(t.Context(), records("large", strings.Repeat("x", 100<<10)))
	require.ErrorContains(t, err, "no space is left: ")
	assert.Equal(t, map[string]string{"objects/small": "x"}, files(t, folder))

	require.NoError(t, syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_REMOUNT, "size=1m"))
	require.NoError(t, e.push(t.Context(), records("large", strings.Repeat("x", 100<<10))))
	assert.Len(t, files(t, folder)["objects/large"], 100<<10)
}

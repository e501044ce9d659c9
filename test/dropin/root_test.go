//go:build linux

package dropin

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// program is where the collector stands in its file system.
const program = "/otelcol-qtap"

// imageFolders are what a collector's image or package has, and what its users
// mount into it.
var imageFolders = []string{
	"dev", "proc", "sys", "tmp", "etc/ssl/certs",
	"hostfs/proc", "hostfs/sys", "hostfs/etc",
	"var/lib/otelcol/replay", "var/log/app", "var/log/journal",
	"var/log/pods/shop_web-0_9a3f/web",
	"var/run/secrets/kubernetes.io/serviceaccount", "var/run/secrets/remote-write",
}

// newRoot makes the file system of one collector: the folders of an image with
// the collector in it and nothing else, the kernel's file systems, and with
// withPrograms the programs of this machine, as a package on a host has them.
// It is a tmpfs, gone when the test ends.
func newRoot(t *testing.T, withPrograms bool) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	require.NoError(t, os.Mkdir(root, 0o755))
	require.NoError(t, unix.Mount("tmpfs", root, "tmpfs", 0, "mode=755"))
	// Before the folder is removed, so that nothing below is ever looked into.
	t.Cleanup(func() { require.NoError(t, unix.Unmount(root, unix.MNT_DETACH)) })
	for _, folder := range imageFolders {
		require.NoError(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	for _, path := range []string{"proc", "sys", "hostfs/proc", "hostfs/sys"} {
		bindReadOnly(t, "/"+filepath.Base(path), filepath.Join(root, path))
	}
	bindFile(t, "/dev/null", filepath.Join(root, "dev/null"))
	bindFile(t, installation.collector, filepath.Join(root, program))
	if withPrograms {
		for _, path := range []string{"usr", "lib", "lib64", "bin"} {
			addPrograms(t, "/"+path, filepath.Join(root, path))
		}
	}
	return root
}

func bindReadOnly(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""), from)
	attributes := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	require.NoError(t, unix.MountSetattr(-1, to, unix.AT_RECURSIVE, &attributes), from)
}

// bindFile shows the file from at to, so that 500 MB need not be copied.
func bindFile(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.WriteFile(to, nil, 0o755))
	require.NoError(t, unix.Mount(from, to, "", unix.MS_BIND, ""), from)
}

// addPrograms shows a folder of this machine, or makes the link that it is on
// machines where everything stands in /usr.
func addPrograms(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Lstat(from)
	if os.IsNotExist(err) {
		return
	}
	require.NoError(t, err)
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(target, to))
		return
	}
	require.NoError(t, os.Mkdir(to, 0o755))
	bindReadOnly(t, from, to)
}

// addFile writes a file below root and the folders above it.
func addFile(t *testing.T, root, path string, content []byte) {
	t.Helper()
	path = filepath.Join(root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

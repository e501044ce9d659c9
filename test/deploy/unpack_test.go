//go:build linux

package deploy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLayersAreAppliedInOrder tests the test: what unpacks the image has to
// show what a container runtime would show.
func TestLayersAreAppliedInOrder(t *testing.T) {
	needRoot(t)
	folder := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
	}
	file := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o640, Uid: 10001, Gid: 10002}
	}
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for _, x := range []struct {
		name   string
		layers [][]tar.Header
		paths  []string
	}{
		{"a later layer adds", [][]tar.Header{{folder("a/"), file("a/one")}, {file("a/two")}}, []string{"a", "a/one", "a/two"}},
		{"a whiteout takes a file away", [][]tar.Header{{file("one"), file("two")}, {file(".wh.one")}}, []string{"two"}},
		{"a whiteout takes a folder away", [][]tar.Header{{folder("a/"), file("a/one")}, {file(".wh.a")}}, nil},
		{"an opaque folder shows nothing older", [][]tar.Header{{folder("a/"), file("a/one")}, {file("a/.wh..wh..opq"), file("a/two")}}, []string{"a", "a/two"}},
		{"a link replaces a file", [][]tar.Header{{file("one"), file("two")}, {link("one", "two")}}, []string{"one", "two"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := t.TempDir()
			root, err := os.OpenRoot(dir)
			require.NoError(t, err)
			defer root.Close()
			for _, layer := range x.layers {
				require.NoError(t, applyLayer(root, compress(t, layer)))
			}
			var paths []string
			require.NoError(t, fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
				if path != "." {
					paths = append(paths, path)
				}
				return err
			}))
			assert.Equal(t, x.paths, paths)
		})
	}
	t.Run("a path that leads outside is refused", func(t *testing.T) {
		dir := t.TempDir()
		inner := filepath.Join(dir, "inner")
		require.NoError(t, os.Mkdir(inner, 0o755))
		root, err := os.OpenRoot(inner)
		require.NoError(t, err)
		defer root.Close()
		require.Error(t, applyLayer(root, compress(t, []tar.Header{file("../outside")})))
		assert.NoFileExists(t, filepath.Join(dir, "outside"))
	})
}

func compress(t *testing.T, entries []tar.Header) *bytes.Buffer {
	t.Helper()
	var layer bytes.Buffer
	compressed := gzip.NewWriter(&layer)
	archive := tar.NewWriter(compressed)
	for _, entry := range entries {
		require.NoError(t, archive.WriteHeader(&entry))
	}
	require.NoError(t, archive.Close())
	require.NoError(t, compressed.Close())
	return &layer
}

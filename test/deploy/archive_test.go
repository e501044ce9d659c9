//go:build linux

package deploy

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What is read of the OCI image format specification, version 1.1
// (image-index.md, manifest.md, config.md).
type (
	descriptor struct {
		Digest   string
		Platform struct{ Architecture, OS string }
	}
	imageIndex    struct{ Manifests []descriptor }
	imageManifest struct {
		Config descriptor
		Layers []descriptor
	}
	imageConfig struct {
		Architecture string
		Config       struct {
			User, WorkingDir     string
			Env, Entrypoint, Cmd []string
			ExposedPorts         map[string]struct{}
			Volumes              map[string]struct{}
		}
	}
)

// openLayout is an unpacked OCI archive: a folder of blobs by digest.
type openLayout string

func (l openLayout) blob(digest string) string {
	return filepath.Join(string(l), "blobs", strings.ReplaceAll(digest, ":", "/"))
}

func (l openLayout) decode(file string, into any) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, into)
}

// image returns what the archive has for an architecture.
func (l openLayout) image(architecture string) (config imageConfig, layers []string, err error) {
	var top, index imageIndex
	if err := l.decode(filepath.Join(string(l), "index.json"), &top); err != nil {
		return config, nil, err
	}
	if len(top.Manifests) != 1 {
		return config, nil, fmt.Errorf("%d images in the archive, not one", len(top.Manifests))
	}
	if err := l.decode(l.blob(top.Manifests[0].Digest), &index); err != nil {
		return config, nil, err
	}
	for _, m := range index.Manifests {
		if m.Platform.Architecture != architecture || m.Platform.OS != "linux" {
			continue
		}
		var manifest imageManifest
		if err := l.decode(l.blob(m.Digest), &manifest); err != nil {
			return config, nil, err
		}
		for _, layer := range manifest.Layers {
			layers = append(layers, l.blob(layer.Digest))
		}
		return config, layers, l.decode(l.blob(manifest.Config.Digest), &config)
	}
	return config, nil, fmt.Errorf("no image for linux/%s in the archive", architecture)
}

// unpack applies compressed layers to a folder, in their order, as the layer
// specification (layer.md) says: with owners, modes, file capabilities and
// whiteouts.
func unpack(folder string, layers []string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, layer := range layers {
		file, err := os.Open(layer)
		if err != nil {
			return err
		}
		err = applyLayer(root, file)
		_ = file.Close()
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", layer, err)
		}
	}
	return nil
}

func applyLayer(root *os.Root, compressed io.Reader) error {
	plain, err := gzip.NewReader(compressed)
	if err != nil {
		return err
	}
	entries := tar.NewReader(plain)
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := applyEntry(root, entry, entries); err != nil {
			return fmt.Errorf("%s: %w", entry.Name, err)
		}
	}
}

const (
	whiteout       = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
	capabilityPAX  = "SCHILY.xattr.security.capability"
)

func applyEntry(root *os.Root, entry *tar.Header, content io.Reader) error {
	name := path.Clean(entry.Name)
	folder, base := path.Split(name)
	if base == opaqueWhiteout {
		return empty(root, path.Clean(folder))
	}
	if hidden, found := strings.CutPrefix(base, whiteout); found {
		return root.RemoveAll(path.Join(folder, hidden))
	}
	mode := entry.FileInfo().Mode()
	switch entry.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
	case tar.TypeReg:
		if err := write(root, name, content); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := replace(root, name, func() error { return root.Symlink(entry.Linkname, name) }); err != nil {
			return err
		}
		return root.Lchown(name, entry.Uid, entry.Gid)
	case tar.TypeLink:
		return replace(root, name, func() error { return root.Link(path.Clean(entry.Linkname), name) })
	default:
		return fmt.Errorf("an entry of type %q has no place in this image", entry.Typeflag)
	}
	// The owner first: changing it takes set-ID bits and capabilities away.
	if err := root.Chown(name, entry.Uid, entry.Gid); err != nil {
		return err
	}
	if err := root.Chmod(name, mode&(fs.ModePerm|fs.ModeSticky|fs.ModeSetuid|fs.ModeSetgid)); err != nil {
		return err
	}
	if value, found := entry.PAXRecords[capabilityPAX]; found {
		return unix.Lsetxattr(filepath.Join(root.Name(), name), "security.capability", []byte(value), 0)
	}
	return nil
}

func write(root *os.Root, name string, content io.Reader) error {
	return replace(root, name, func() error {
		file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(file, content)
		return err
	})
}

// replace makes something where something of an earlier layer may be.
func replace(root *os.Root, name string, create func() error) error {
	if err := root.RemoveAll(name); err != nil {
		return err
	}
	return create()
}

func empty(root *os.Root, folder string) error {
	entries, err := fs.ReadDir(root.FS(), folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := root.RemoveAll(path.Join(folder, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// extract writes the archive itself, which has no owners and no links.
func extract(archive, folder string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	entries := tar.NewReader(file)
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		target := filepath.Join(folder, filepath.FromSlash(path.Join("/", entry.Name)))
		if entry.Typeflag == tar.TypeDir {
			err = os.MkdirAll(target, 0o755)
		} else {
			err = writeFile(target, entries)
		}
		if err != nil {
			return err
		}
	}
}

func writeFile(name string, content io.Reader) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, content)
	return err
}

//go:build linux

package deploy

import (
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"
)

// unpacked is the image of every architecture, as it is on a host.
var unpacked struct {
	once   sync.Once
	folder string
	err    error
	images map[string]*rootFS
}

// rootFS is one image with its files.
type rootFS struct {
	imageConfig
	folder string
}

var architectures = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// unpackedImage returns the image of an architecture. Tests share it and do
// not change it.
func unpackedImage(t *testing.T, architecture string) *rootFS {
	t.Helper()
	needImage(t)
	needRoot(t)
	unpacked.once.Do(func() { unpacked.err = unpackAll() })
	require.NoError(t, unpacked.err)
	return unpacked.images[architecture]
}

func unpackAll() (err error) {
	// Not of one test: the last one takes it away.
	if unpacked.folder, err = os.MkdirTemp("", "qtap-image-"); err != nil {
		return err
	}
	layout := openLayout(filepath.Join(unpacked.folder, "layout"))
	if err := os.Mkdir(string(layout), 0o755); err != nil {
		return err
	}
	if err := extract(image, string(layout)); err != nil {
		return fmt.Errorf("unpacking %s: %w", image, err)
	}
	unpacked.images = map[string]*rootFS{}
	for architecture := range architectures {
		config, layers, err := layout.image(architecture)
		if err != nil {
			return err
		}
		folder := filepath.Join(unpacked.folder, architecture)
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
		if err := unpack(folder, layers); err != nil {
			return err
		}
		unpacked.images[architecture] = &rootFS{config, folder}
	}
	return nil
}

// TestImageIsTheSameForBothArchitectures but for the machine code.
func TestImageIsTheSameForBothArchitectures(t *testing.T) {
	for architecture, machine := range architectures {
		t.Run(architecture, func(t *testing.T) {
			image := unpackedImage(t, architecture)
			assert.Equal(t, architecture, image.Architecture)
			assert.Equal(t, "10001:10001", image.Config.User, "as in the images that it replaces")
			assert.Equal(t, []string{"/otelcol-qtap"}, image.Config.Entrypoint)
			assert.Equal(t, []string{"--config", "/etc/otelcol-qtap/config.yaml"}, image.Config.Cmd)
			for _, port := range []string{"4317/tcp", "4318/tcp", "55679/tcp", "13133/tcp", "8888/tcp"} {
				assert.Contains(t, image.Config.ExposedPorts, port)
			}
			assert.Contains(t, image.Config.Volumes, "/var/lib/otelcol-qtap")
			for _, name := range []string{"otelcol-qtap", "usr/bin/otelcol-qtap"} {
				program, err := elf.Open(filepath.Join(image.folder, name))
				require.NoError(t, err)
				assert.Equal(t, machine, program.Machine, name)
				libraries, err := program.ImportedLibraries()
				require.NoError(t, err)
				assert.Empty(t, libraries, "nothing is there that it could be linked with")
				require.NoError(t, program.Close())
			}
		})
	}
}

// TestImageHasNothingElse: no shell, no libraries, nothing that anyone but
// root may write to, apart from the volume and /tmp.
func TestImageHasNothingElse(t *testing.T) {
	image := unpackedImage(t, "amd64")
	var paths []string
	require.NoError(t, fs.WalkDir(os.DirFS(image.folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		paths = append(paths, path)
		info, err := entry.Info()
		require.NoError(t, err)
		owner := info.Sys().(*syscall.Stat_t).Uid
		switch path {
		case "var/lib/otelcol-qtap":
			assert.Equal(t, uint32(10001), owner)
		case "tmp":
			assert.Equal(t, fs.ModeDir|fs.ModeSticky|0o777, info.Mode())
		default:
			assert.Zero(t, owner, path)
			assert.Zero(t, info.Mode()&(0o022|fs.ModeSetuid|fs.ModeSetgid)&^modeOfLinks(info), path)
		}
		return nil
	}))
	assert.Equal(t, []string{
		"awscollector",
		"etc", "etc/hosts", "etc/otel-config.yaml", "etc/otelcol", "etc/otelcol-contrib", "etc/otelcol-k8s",
		"etc/otelcol-qtap", "etc/otelcol-qtap/config.yaml",
		"etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt",
		"otelcol", "otelcol-contrib", "otelcol-k8s", "otelcol-qtap",
		"tmp", "usr", "usr/bin", "usr/bin/otelcol-qtap", "var", "var/lib", "var/lib/otelcol-qtap",
	}, paths)

	certificates, err := os.ReadFile(filepath.Join(image.folder, "etc/ssl/certs/ca-certificates.crt"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certificates))
	assert.Greater(t, strings.Count(string(certificates), "BEGIN CERTIFICATE"), 100)
}

// modeOfLinks is what the mode of a symbolic link says, which means nothing.
func modeOfLinks(info fs.FileInfo) fs.FileMode {
	if info.Mode()&fs.ModeSymlink != 0 {
		return fs.ModePerm
	}
	return 0
}

// TestFileCapabilities are on the entrypoint alone, and not effective by
// themselves, because such a file could not be executed without them.
func TestFileCapabilities(t *testing.T) {
	image := unpackedImage(t, "amd64")
	value := make([]byte, 64)
	size, err := unix.Lgetxattr(filepath.Join(image.folder, "otelcol-qtap"), "security.capability", value)
	require.NoError(t, err)
	// struct vfs_cap_data of linux/capability.h, little endian.
	require.GreaterOrEqual(t, size, 20)
	magic := binary.LittleEndian.Uint32(value)
	assert.Equal(t, uint32(2), magic>>24, "revision")
	assert.Zero(t, magic&1, "effective")
	permitted := uint64(binary.LittleEndian.Uint32(value[4:])) | uint64(binary.LittleEndian.Uint32(value[12:]))<<32
	assert.Equal(t, mask(allCapabilities), permitted)

	_, err = unix.Lgetxattr(filepath.Join(image.folder, "usr/bin/otelcol-qtap"), "security.capability", value)
	assert.ErrorIs(t, err, unix.ENODATA)
}

// TestConfigurationOfTheImage is the default one and the health check.
func TestConfigurationOfTheImage(t *testing.T) {
	var usual, image map[string]any
	require.NoError(t, yaml.UnmarshalStrict(read(t, "distribution/config.yaml"), &usual))
	require.NoError(t, yaml.UnmarshalStrict(read(t, "distribution/image/config.yaml"), &image))
	assert.Equal(t, map[string]any{"health_check": map[string]any{"endpoint": "0.0.0.0:13133"}}, image["extensions"])
	service := image["service"].(map[string]any)
	assert.Equal(t, []any{"health_check"}, service["extensions"])
	delete(image, "extensions")
	delete(service, "extensions")
	assert.Equal(t, usual, image)
}

// TestSameInputGivesTheSameArchive builds twice. What the programs are does
// not matter for that, so they are small.
func TestSameInputGivesTheSameArchive(t *testing.T) {
	needRoot(t)
	need(t, "buildah", "setcap")
	dir := t.TempDir()
	for _, program := range []string{"collector-amd64", "collector-arm64", "entrypoint-amd64", "entrypoint-arm64"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte(program), 0o755))
	}
	var archives [2][]byte
	for i := range archives {
		name := filepath.Join(dir, fmt.Sprintf("%d.tar", i))
		build := exec.Command(filepath.Join(repository, "distribution/image/build.sh"), name, dir)
		build.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
		out, err := build.CombinedOutput()
		require.NoErrorf(t, err, "%s", out)
		archives[i], err = os.ReadFile(name)
		require.NoError(t, err)
		assert.Regexp(t, `^sha256:[0-9a-f]{64}\n$`, string(out))
	}
	assert.True(t, bytes.Equal(archives[0], archives[1]))
}

//go:build linux

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const repository = "../.."

// collector and image are what is tested; empty when it is not there.
var collector, image string

func TestMain(m *testing.M) {
	collector = existing("QTAP_BINARY", filepath.Join(repository, "dist/otelcol-qtap-full"))
	image = existing("QTAP_IMAGE", filepath.Join(repository, "dist/otelcol-qtap-image.tar"))
	status := m.Run()
	if unpacked.folder != "" {
		_ = os.RemoveAll(unpacked.folder)
	}
	os.Exit(status)
}

func existing(variable, otherwise string) string {
	path := os.Getenv(variable)
	if path == "" {
		path = otherwise
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// need skips the test where something is not there; in CI that is a failure
// instead.
func need(t *testing.T, programs ...string) {
	t.Helper()
	var missing []string
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, "program "+name+" (make deps installs it)")
		}
	}
	skipWithout(t, missing)
}

func needBinary(t *testing.T) {
	t.Helper()
	if collector == "" {
		skipWithout(t, []string{"dist/otelcol-qtap-full (make build-full writes it)"})
	}
}

func needImage(t *testing.T) {
	t.Helper()
	if image == "" {
		skipWithout(t, []string{"dist/otelcol-qtap-image.tar (make image writes it)"})
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		skipWithout(t, []string{"root"})
	}
}

func skipWithout(t *testing.T, missing []string) {
	t.Helper()
	if len(missing) == 0 {
		return
	}
	reason := "missing: " + strings.Join(missing, ", ")
	if os.Getenv("CI") == "true" {
		t.Fatal("CI must run this: ", reason)
	}
	t.Skip(reason)
}

// read returns a file of the repository.
func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, name))
	require.NoError(t, err)
	return content
}

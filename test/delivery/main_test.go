//go:build linux

package delivery

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// installation is what the tests run.
var installation struct {
	lean, full string // paths of the collectors
	servers    string // folder of the real servers
	examples   string // folder of the configurations
	missing    string // why nothing can be tested here, or ""
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	installation.missing = prepare()
	if installation.missing != "" {
		fmt.Fprintln(os.Stderr, "delivery tests cannot run:", installation.missing)
		if os.Getenv("CI") == "true" && !testing.Short() {
			return 1
		}
	}
	defer stopShared()
	return m.Run()
}

// prepare returns why the tests cannot run, or "".
func prepare() (missing string) {
	if testing.Short() {
		return "-short leaves them out"
	}
	if os.Geteuid() != 0 {
		return "they need root, to load eBPF programs"
	}
	installation.lean = pathOf("QTAP_BINARY", "../../dist/otelcol-qtap")
	installation.full = pathOf("QTAP_FULL_BINARY", "../../dist/otelcol-qtap-full")
	installation.servers = pathOf("QTAP_SERVERS", "../../dist/servers")
	installation.examples = pathOf("", "../../distribution/examples")
	for maker, path := range map[string]string{
		"make build":      installation.lean,
		"make build-full": installation.full,
		"make servers":    installation.servers,
	} {
		if _, err := os.Stat(path); err != nil {
			return maker + " writes what is missing: " + err.Error()
		}
	}
	for _, name := range []string{"curl", "nginx"} {
		if _, err := exec.LookPath(name); err != nil {
			return "missing program: " + err.Error()
		}
	}
	return ""
}

// pathOf returns what the environment variable says, or the path, absolute.
func pathOf(variable, path string) string {
	if value := os.Getenv(variable); value != "" {
		return value
	}
	absolute, _ := filepath.Abs(path)
	return absolute
}

// need skips the test where it cannot run; in CI that is a failure instead.
func need(t testing.TB) {
	t.Helper()
	if installation.missing == "" {
		return
	}
	if os.Getenv("CI") == "true" && !testing.Short() {
		t.Fatal("CI must run this: ", installation.missing)
	}
	t.Skip(installation.missing)
}

//go:build linux

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// installation is what the tests run: the collector, and the programs that
// make traffic.
var installation struct {
	collector string // path of otelcol-qtap
	programs  string // folder of the Go programs, built once, and the scripts
	python    string // the interpreter itself, not a wrapper script
	missing   string // why nothing can be tested here, or ""
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	built, err := os.MkdirTemp("", "qtap-e2e-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the test programs:", err)
		return 1
	}
	defer os.RemoveAll(built)
	if err := os.Chmod(built, 0o755); err != nil { // unprivileged users run them too
		fmt.Fprintln(os.Stderr, "opening the folder of the test programs:", err)
		return 1
	}
	installation.programs = built
	installation.missing = prepare(built)
	if installation.missing != "" {
		fmt.Fprintln(os.Stderr, "end-to-end tests cannot run:", installation.missing)
		if os.Getenv("CI") == "true" && !testing.Short() {
			return 1
		}
	}
	return m.Run()
}

// prepare returns why the tests cannot run, or "".
func prepare(built string) (missing string) {
	if testing.Short() {
		return "-short leaves them out"
	}
	if os.Geteuid() != 0 {
		return "they need root, to load eBPF programs and to make network namespaces"
	}
	installation.collector = os.Getenv("QTAP_BINARY")
	if installation.collector == "" {
		installation.collector, _ = filepath.Abs("../../dist/otelcol-qtap")
	}
	if _, err := os.Stat(installation.collector); err != nil {
		return "no collector (make build writes it): " + err.Error()
	}
	for _, name := range []string{"curl", "nginx", "node", "ip", "bpftool"} {
		if _, err := exec.LookPath(name); err != nil {
			return "missing program: " + err.Error()
		}
	}
	// A wrapper such as pyenv's is a shell script: its process is not Python.
	out, err := exec.Command("python3", "-c", "import os,sys; print(os.path.realpath(sys.executable))").Output()
	if err != nil {
		return "missing program: python3: " + err.Error()
	}
	installation.python = strings.TrimSpace(string(out))
	build := exec.Command("go", "build", "-o", built+"/", "./programs/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Sprintf("building the test programs: %v\n%s", err, out)
	}
	return ""
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

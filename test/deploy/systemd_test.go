//go:build linux

package deploy

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	unitFile    = "distribution/systemd/otelcol-qtap.service"
	unitProgram = "/usr/bin/otelcol-qtap"
)

// TestUnitIsWhatSystemdUnderstands asks systemd itself. Of what it says about
// security the only thing that this unit gives away is what it is for.
func TestUnitIsWhatSystemdUnderstands(t *testing.T) {
	need(t, "systemd-analyze")
	needBinary(t)
	// A program that is not installed would be a finding.
	unit := filepath.Join(t.TempDir(), "otelcol-qtap.service")
	content := bytes.ReplaceAll(read(t, unitFile), []byte(unitProgram), []byte(collector))
	require.NoError(t, os.WriteFile(unit, content, 0o644))

	verify := exec.Command("systemd-analyze", "verify", "--man=no", unit)
	out, err := verify.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	assert.Empty(t, string(out), "an unknown key is a warning only")

	// Of 0 (safe) to 100; the threshold is that of "OK", up to 4.9.
	out, err = exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=49", "--no-pager", unit).CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	t.Logf("%s", out[bytes.LastIndex(out, []byte("→")):])
}

// TestUnitLetsItCapture applies what systemd would to the collector's process:
// the ambient capabilities, no new privileges, the filter of system calls. A
// container runtime does it, because systemd is not the first process of every
// machine that tests.
func TestUnitLetsItCapture(t *testing.T) {
	need(t, "curl", "systemd-analyze")
	plain := startServer(t)
	encrypted := startServer(t, certificate(t))
	settings := unitSettings(t)
	ambient := strings.Fields(settings["AmbientCapabilities"])
	assert.ElementsMatch(t, allCapabilities, ambient)
	assert.ElementsMatch(t, ambient, strings.Fields(settings["CapabilityBoundingSet"]))
	for _, key := range []string{"ProtectProc", "ProcSubset", "PrivateUsers", "PrivateNetwork"} {
		assert.Empty(t, settings[key], "it would hide what has to be seen")
	}

	c := run(t, running{
		entrypoint: unitProgram, capabilities: ambient, ambient: true, noNewPrivileges: settings["NoNewPrivileges"] == "yes",
		systemCalls: systemCalls(t, strings.Fields(settings["SystemCallFilter"])),
	})
	c.awaitReady()
	assert.Equal(t, "2", c.status("Seccomp"), "filtered")
	assert.Equal(t, "1", c.status("NoNewPrivs"))
	c.await("stdout", "GET "+request(t, "http", plain)+" 200")
	c.await("stdout", "GET "+request(t, "https", encrypted)+" 200")
	c.signal(syscall.SIGTERM)
	assert.Zero(t, c.awaitExit())
}

// TestFilterOfSystemCallsIsApplied: without the two that the unit adds, the
// kernel refuses. Otherwise the test above would show nothing.
func TestFilterOfSystemCallsIsApplied(t *testing.T) {
	need(t, "systemd-analyze")
	c := run(t, running{
		entrypoint: unitProgram, capabilities: allCapabilities, ambient: true, noNewPrivileges: true,
		systemCalls: systemCalls(t, []string{"@system-service"}),
	})
	assert.NotZero(t, c.awaitExit())
	assert.Contains(t, c.read("stderr"), "operation not permitted")
}

// unitSettings returns the settings of the service section.
func unitSettings(t *testing.T) map[string]string {
	t.Helper()
	settings := map[string]string{}
	for line := range strings.Lines(string(read(t, unitFile))) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found && !strings.HasPrefix(key, "#") {
			settings[key] = value
		}
	}
	return settings
}

// systemCalls asks systemd which calls a filter stands for.
func systemCalls(t *testing.T, filter []string) []string {
	t.Helper()
	var calls []string
	for _, name := range filter {
		if !strings.HasPrefix(name, "@") {
			calls = append(calls, name)
			continue
		}
		out, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager", name).Output()
		require.NoError(t, err, name)
		var members []string
		lines := bufio.NewScanner(bytes.NewReader(out))
		for lines.Scan() {
			// The first line is the name, comments begin with #.
			if member := strings.TrimSpace(lines.Text()); member != "" && member != name && !strings.HasPrefix(member, "#") {
				members = append(members, member)
			}
		}
		calls = append(calls, systemCalls(t, members)...)
	}
	slices.Sort(calls)
	return slices.Compact(calls)
}

//go:build linux

package e2e

import (
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCallsOf32BitProcessesAreCounted shows that what is skipped is known.
func TestCallsOf32BitProcessesAreCounted(t *testing.T) {
	need(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("int 0x80 is a way into the kernel of x86 alone")
	}
	program := filepath.Join(t.TempDir(), "legacy")
	out, err := exec.Command("gcc", "-Wall", "-o", program, script("legacy.c")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	c := startCollector(t, everything())
	out, err = exec.Command(program).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGSEGV {
		t.Skip("this kernel has no 32-bit interface (CONFIG_IA32_EMULATION): there are no such calls")
	}
	require.NoError(t, err, "%s", out)
	// The kernel's counts are read once a second.
	require.Eventually(t, func() bool { return c.Count(t, "kernel_calls_32bit") == 5 }, 5*time.Second, 100*time.Millisecond)
	assert.Zero(t, c.Count(t, "kernel_calls_refused"))
}

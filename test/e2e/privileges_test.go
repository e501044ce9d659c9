//go:build linux

package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Numbers of capabilities(7).
const (
	capSysPtrace = 19
	capPerfmon   = 38
	capBPF       = 39
	nobody       = 65534
)

// TestUnprivilegedUserWithCapabilities is the normal way to run: not root.
func TestUnprivilegedUserWithCapabilities(t *testing.T) {
	need(t)
	for _, x := range []struct {
		name         string
		capabilities []uintptr
	}{
		{"CAP_BPF and CAP_PERFMON", []uintptr{capBPF, capPerfmon}},
		{"and CAP_SYS_PTRACE", []uintptr{capBPF, capPerfmon, capSysPtrace}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := launchCollector(t, Setup{Receiver: everything(), UID: nobody, Capabilities: x.capabilities})
			c.awaitReady(t)
			server := startServer(t, program("goserver"), "127.0.0.1:0")
			path := "/" + newToken() + "?size=5000"
			execute(t, "", "curl", "-sS", "http://"+server.Address+path)
			e := c.expect(t, Exchange{Path: path, ResponseBody: text(tokenForm.FindString(path), 5000), Client: "curl", Server: "goserver"})
			assert.Equal(t, "/usr/bin/curl", e.client.Request.Resource["process.executable.path"])
			assert.Equal(t, "root", e.server.Request.Resource["process.owner"])
			c.Stop(t)
		})
	}
}

// TestMissingCapability is one error that names what is missing and the way
// out, or a collector that runs on.
func TestMissingCapability(t *testing.T) {
	need(t)
	for _, x := range []struct {
		name         string
		capabilities []uintptr
		missing      []string
		present      string
	}{
		{"none", nil, []string{"CAP_BPF", "CAP_PERFMON"}, ""},
		{"no CAP_PERFMON", []uintptr{capBPF}, []string{"CAP_PERFMON"}, "missing CAP_BPF"},
		{"no CAP_BPF", []uintptr{capPerfmon}, []string{"CAP_BPF"}, "missing CAP_PERFMON"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := launchCollector(t, Setup{UID: nobody, Capabilities: x.capabilities})
			select {
			case <-c.exited:
			case <-time.After(readyWithin):
				t.Fatal("the collector neither watches nor ends")
			}
			require.Error(t, c.err, "exit status")
			line := lineWith(c.Output(), "missing ")
			for _, capability := range x.missing {
				assert.Contains(t, line, capability)
			}
			if x.present != "" {
				assert.NotContains(t, line, x.present)
			}
			assert.NotContains(t, c.Output(), "panic")
		})
	}
	t.Run("error_mode ignore", func(t *testing.T) {
		c := launchCollector(t, Setup{Receiver: object{"error_mode": "ignore"}, UID: nobody})
		c.awaitReady(t)
		assert.Contains(t, c.Output(), "CAP_BPF")
		assert.NotEmpty(t, c.Telemetry(t), "it runs on")
		c.Stop(t)
	})
}

func lineWith(output, part string) string {
	for line := range strings.Lines(output) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

// TestBadConfiguration is refused before anything runs, with the key and what
// it may be.
func TestBadConfiguration(t *testing.T) {
	need(t)
	for _, x := range []struct {
		name     string
		receiver object
		says     []string
	}{
		{"an unknown direction", object{"capture": object{"direction": "in"}}, []string{"capture", "direction", "egress-external"}},
		{"an unknown level", object{"capture": object{"level": "everything"}}, []string{"capture", "level", "headers"}},
		{"an unknown key", object{"captures": object{}}, []string{"captures"}},
		{"a negative limit", object{"limits": object{"memory_mib": -1}}, []string{"limits", "memory_mib"}},
		{"an unknown format", object{"artifacts": object{"format": "xml"}}, []string{"artifacts", "format", "har"}},
		{"an unknown placeholder", object{"artifacts": object{"access_url": "{{NAME}}"}}, []string{"access_url", "DIGEST"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := launchCollector(t, Setup{Receiver: x.receiver})
			select {
			case <-c.exited:
			case <-time.After(readyWithin):
				t.Fatal("the collector did not refuse its configuration")
			}
			var status *exec.ExitError
			require.ErrorAs(t, c.err, &status)
			for _, word := range x.says {
				assert.Contains(t, c.Output(), word)
			}
		})
	}
}

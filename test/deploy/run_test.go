//go:build linux

package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestImageRuns is the image as it comes, with the four capabilities: its own
// entrypoint, arguments, user and configuration.
func TestImageRuns(t *testing.T) {
	need(t, "curl", "nsenter")
	plain := startServer(t)
	encrypted := startServer(t, certificate(t))
	c := run(t, running{capabilities: allCapabilities})
	c.awaitReady()

	t.Run("as a user that is not root, with these capabilities and no others", func(t *testing.T) {
		assert.Equal(t, "10001\t10001\t10001\t10001", c.status("Uid"))
		assert.Equal(t, "10001\t10001\t10001\t10001", c.status("Gid"))
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			assert.Equal(t, mask(allCapabilities), c.capabilities(set), set)
		}
		executable, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.pid()))
		require.NoError(t, err)
		assert.Equal(t, "/usr/bin/otelcol-qtap", executable)
	})
	t.Run("it sees a request between processes of the host", func(t *testing.T) {
		url := request(t, "http", plain)
		c.await("stdout", "GET "+url+" 200")
		eventually(t, func() bool {
			events, err := os.ReadFile(filepath.Join(c.volume, "events.jsonl"))
			return err == nil && strings.Contains(string(events), url)
		}, func() string { return "the volume has no events of it" })
	})
	t.Run("and one inside TLS", func(t *testing.T) {
		c.await("stdout", "GET "+request(t, "https", encrypted)+" 200")
	})
	t.Run("the health check answers", func(t *testing.T) {
		out, err := exec.Command("nsenter", "-t", strconv.Itoa(c.pid()), "-n", "curl", "-sS", "-w", " %{http_code}",
			"http://127.0.0.1:13133/").CombinedOutput()
		require.NoErrorf(t, err, "%s", out)
		assert.Contains(t, string(out), "Server available")
		assert.Contains(t, string(out), " 200")
	})
	t.Run("SIGTERM ends it with 0", func(t *testing.T) {
		c.signal(syscall.SIGTERM)
		assert.Zero(t, c.awaitExit())
	})
}

// TestTimeAndMemory prints two figures of docs/deployment.md. They depend on
// the machine too much to be judged here.
func TestTimeAndMemory(t *testing.T) {
	need(t, "curl")
	address := startServer(t)
	unpackedImage(t, thisArchitecture(t)) // is not a part of the start
	start := time.Now()
	c := run(t, running{capabilities: allCapabilities})
	c.awaitReady()
	t.Logf("start to ready: %v", time.Since(start).Round(time.Millisecond))
	var first string
	eventually(t, func() bool {
		first = request(t, "http", address)
		return strings.Contains(c.read("stdout"), "GET http://"+address)
	}, func() string { return "nothing was captured" })
	t.Logf("start to the first captured request on the console: %v", time.Since(start).Round(time.Millisecond))
	c.await("stdout", first)
	// Long enough for the garbage of the start to be collected.
	time.Sleep(3 * time.Second)
	t.Logf("resident memory when idle: %s (own %s, of files %s, shared with the kernel %s)",
		c.status("VmRSS"), c.status("RssAnon"), c.status("RssFile"), c.status("RssShmem"))
}

// TestFewerCapabilities is what is lost without each.
func TestFewerCapabilities(t *testing.T) {
	need(t, "curl")
	plain := startServer(t)
	encrypted := startServer(t, certificate(t))

	t.Run("CAP_BPF and CAP_PERFMON see plaintext alone", func(t *testing.T) {
		granted := []string{"CAP_PERFMON", "CAP_BPF"}
		c := run(t, running{capabilities: granted})
		c.awaitReady()
		assert.Equal(t, mask(granted), c.capabilities("CapEff"))
		hidden := request(t, "https", encrypted)
		// What happened later is there, so the other will not come any more.
		c.await("stdout", "GET "+request(t, "http", plain)+" 200")
		assert.NotContains(t, c.read("stdout"), hidden)
		c.await("stderr", "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH")
	})
	t.Run("all, but without the host's processes in sight: the same", func(t *testing.T) {
		c := run(t, running{capabilities: allCapabilities, ownProcesses: true})
		c.awaitReady()
		hidden := request(t, "https", encrypted)
		c.await("stdout", "GET "+request(t, "http", plain)+" 200")
		assert.NotContains(t, c.read("stdout"), hidden)
	})
	t.Run("none: it starts, and says what is missing", func(t *testing.T) {
		c := run(t, running{})
		assert.NotZero(t, c.awaitExit())
		assert.Contains(t, c.read("stderr"), "missing CAP_BPF and CAP_PERFMON")
		assert.NotContains(t, c.read("stderr"), "no_new_privs")
	})
	t.Run("granted as Docker does, but without new privileges: it says that", func(t *testing.T) {
		c := run(t, running{capabilities: allCapabilities, noNewPrivileges: true})
		assert.NotZero(t, c.awaitExit())
		assert.Contains(t, c.read("stderr"), "no_new_privs")
		assert.Contains(t, c.read("stderr"), "missing CAP_BPF and CAP_PERFMON")
	})
	t.Run("granted as containerd does, it needs no new privileges", func(t *testing.T) {
		c := run(t, running{capabilities: allCapabilities, permitted: true, noNewPrivileges: true})
		c.awaitReady()
		assert.Equal(t, mask(allCapabilities), c.capabilities("CapEff"))
		assert.Equal(t, "1", c.status("NoNewPrivs"))
	})
}

// TestRootOfTheContainer is how it runs on kernels without uprobe.multi, and
// where allowPrivilegeEscalation has to be false.
func TestRootOfTheContainer(t *testing.T) {
	need(t, "curl")
	plain := startServer(t)
	granted := append([]string{"CAP_SYS_ADMIN"}, allCapabilities...)
	c := run(t, running{root: true, capabilities: granted, permitted: true, noNewPrivileges: true})
	c.awaitReady()
	assert.Equal(t, "0\t0\t0\t0", c.status("Uid"))
	assert.Equal(t, mask(granted), c.capabilities("CapEff"))
	c.await("stdout", "GET "+request(t, "http", plain)+" 200")
}

const gateway = `
receivers: {otlp: {protocols: {grpc: {endpoint: 0.0.0.0:4317}, http: {endpoint: 0.0.0.0:4318}}}}
exporters: {debug: {}}
extensions: {health_check: {endpoint: 0.0.0.0:13133}}
service:
  extensions: [health_check]
  pipelines: {logs: {receivers: [otlp], exporters: [debug]}}
`

// TestReplacedImage is a gateway without any capability, whose owner changed
// nothing but the name of the image.
func TestReplacedImage(t *testing.T) {
	need(t, "curl", "nsenter")
	config := filepath.Join(t.TempDir(), "relay.yaml")
	require.NoError(t, os.WriteFile(config, []byte(gateway), 0o644))
	for _, x := range []struct {
		name string
		how  running
	}{
		{
			"the configuration is where the core image has it",
			running{files: map[string]string{"/etc/otelcol/config.yaml": config}},
		},
		{
			"the configuration is where the contrib image has it",
			running{files: map[string]string{"/etc/otelcol-contrib/config.yaml": config}},
		},
		{
			"the configuration is where AWS's image has it",
			running{files: map[string]string{"/etc/otel-config.yaml": config}},
		},
		{
			"the command and the arguments are those of the Helm chart",
			running{
				entrypoint: "/otelcol-contrib", arguments: []string{"--config=/conf/relay.yaml"},
				files: map[string]string{"/conf/relay.yaml": config}, noNewPrivileges: true,
			},
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := run(t, x.how)
			c.awaitReady()
			assert.Zero(t, c.capabilities("CapEff"))
			out, err := exec.Command("nsenter", "-t", strconv.Itoa(c.pid()), "-n", "curl", "-sS", "-H", "Content-Type: application/json",
				"-d", `{"resourceLogs":[]}`, "http://127.0.0.1:4318/v1/logs").CombinedOutput()
			require.NoErrorf(t, err, "%s", out)
			assert.Contains(t, string(out), "partialSuccess")
			c.signal(syscall.SIGTERM)
			assert.Zero(t, c.awaitExit())
		})
	}
}

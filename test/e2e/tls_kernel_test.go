//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hasKernelTLS says whether a socket can be given TLS keys here.
func hasKernelTLS() bool {
	_ = exec.Command("modprobe", "tls").Run() // it may be there without, and cannot be had everywhere
	available, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_available_ulp")
	return strings.Contains(string(available), "tls")
}

// kernelTLS: OpenSSL hands the keys to the kernel and then writes plaintext to
// the socket. It must not be captured a second time there.
func kernelTLS(t *testing.T, c *Collector) {
	if !hasKernelTLS() {
		t.Skip("this kernel has no TLS (net/ipv4/tcp_available_ulp, modprobe tls): most CI machines have, containers often not")
	}
	material := secure(t)
	page := text("page", 40_000)
	dir, address := openTempDir(t), freeAddress(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "page.txt"), page, 0o644))
	launchAndDial(t, address, material.nginxWith(dir, address, "sendfile on; ssl_conf_command Options KTLS;")...)
	curl := func(path string) string {
		return execute(t, "", "curl", "-sS", "--http1.1", "--cacert", material.Authority, "https://"+address+path)
	}
	c.acquaint(t, func(path string) { curl(path) })
	path := "/" + newToken()
	require.Equal(t, string(page), curl(path))
	x := encrypted{Exchange: Exchange{Path: path, ResponseBody: page, Client: "curl", Server: "nginx", Encrypted: true}}
	e := x.split(t, c.await(t, tokenForm.FindString(path), 2, true))
	x.compareEnd(t, e.client, "curl")
	if e.server.completeness() != "complete" {
		assert.Equal(t, []string{"sendfile"}, e.server.missing(), "what sendfile moved has no plaintext in user space")
	}
	assert.EqualValues(t, len(page), e.server.Request.number("http.response.body.size"))
}

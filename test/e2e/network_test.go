//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// networkPaths: IPv4 on loopback is what everything else uses.
func networkPaths(t *testing.T, c *Collector) {
	t.Run("IPv6", func(t *testing.T) {
		server := startServer(t, installation.python, script("server.py"), "[::1]:0")
		path := "/" + newToken() + "?size=2000"
		execute(t, "", "curl", "-sS", "-g", "http://"+server.Address+path)
		e := c.expect(t, Exchange{Path: path, ResponseBody: text(tokenForm.FindString(path), 2000), Client: "curl"})
		assert.Equal(t, "::1", e.client.Request.text("network.peer.address"))
		assert.Equal(t, "http://"+server.Address+path, e.server.Request.text("url.full"))
	})
	t.Run("IPv4 over an IPv6 socket", func(t *testing.T) {
		server := startServer(t, "node", script("server.js"), "[::]:0")
		_, port, _ := net.SplitHostPort(server.Address)
		path := "/" + newToken()
		execute(t, "", "curl", "-sS", "http://127.0.0.1:"+port+path)
		e := c.expect(t, Exchange{Path: path, Client: "curl", Server: "node"})
		assert.Equal(t, "127.0.0.1", e.server.Request.text("network.local.address"))
	})
	t.Run("Unix socket", func(t *testing.T) {
		path := filepath.Join(openTempDir(t), "s")
		unixSocket(t, c, "unix:"+path, path, "--unix-socket", path)
	})
	t.Run("abstract Unix socket", func(t *testing.T) {
		name := newToken()
		unixSocket(t, c, "unix:@"+name, "@"+name, "--abstract-unix-socket", name)
	})
	t.Run("a pair of sockets", func(t *testing.T) {
		// Node talks to its children over socketpair(2); here the names show it.
		token := newToken()
		execute(t, "", installation.python, "-c", fmt.Sprintf(talkOverPair, token))
		for _, s := range c.await(t, token, 2, true) {
			assert.Equal(t, "complete", s.completeness(), describe(s))
			assert.Equal(t, "unix", s.Request.text("network.transport"))
		}
	})
	t.Run("a network namespace", func(t *testing.T) {
		space := newNamespace(t, "10.213.7.1/30", "10.213.7.2/30")
		inNamespace(t, c, space, "10.213.7.2", "egress-internal")
	})
	t.Run("a public address", func(t *testing.T) {
		space := newNamespace(t, "203.0.113.1/30", "203.0.113.2/30") // RFC 5737
		inNamespace(t, c, space, "203.0.113.2", "egress-external")
	})
	t.Run("IPv6 between namespaces", func(t *testing.T) {
		space := newNamespace(t, "fd5a:71::1/64", "fd5a:71::2/64")
		inNamespace(t, c, space, "fd5a:71::2", "egress-internal")
	})
}

const talkOverPair = `
import os, socket
a, b = socket.socketpair()
if os.fork() == 0:
    a.close()
    b.recv(1000)
    b.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    os._exit(0)
b.close()
a.sendall(b"GET /%s HTTP/1.1\r\nHost: pair.test\r\n\r\n")
a.recv(1000)
os.wait()
`

func unixSocket(t *testing.T, c *Collector, listen, shown string, curl ...string) {
	for _, server := range [][]string{{installation.python, script("server.py")}, {program("goserver")}} {
		process := filepath.Base(server[0])
		startServer(t, append(server, listen+process)...)
		path := "/" + newToken() + "?size=3000"
		token := tokenForm.FindString(path)
		execute(t, "", "curl", "-sS", curl[0], curl[1]+process, "http://unix.test"+path)
		e := c.expect(t, Exchange{Path: path, ResponseBody: text(token, 3000), Client: "curl", Server: process})
		for _, s := range []Seen{e.client, e.server} {
			assert.Equal(t, "unix", s.Request.text("network.transport"))
			assert.NotContains(t, s.Request.Attributes, "network.peer.port")
			assert.Equal(t, shown+process, s.Request.text("network.peer.address"), "the listening socket's path")
		}
	}
}

// newNamespace makes a network namespace joined to this one by a veth pair.
func newNamespace(t *testing.T, here, there string) (name string) {
	t.Helper()
	name = fmt.Sprintf("qtap-%d-%s", os.Getpid(), newToken()[4:8])
	link := "q" + newToken()[4:12]
	run := func(argv ...string) {
		t.Helper()
		out, err := exec.Command("ip", argv...).CombinedOutput()
		require.NoErrorf(t, err, "ip %q: %s", argv, out)
	}
	run("netns", "add", name)
	t.Cleanup(func() {
		_ = exec.Command("ip", "link", "del", link+"a").Run()
		_ = exec.Command("ip", "netns", "del", name).Run()
	})
	run("link", "add", link+"a", "type", "veth", "peer", "name", link+"b", "netns", name)
	run("address", "add", here, "dev", link+"a", "nodad")
	run("link", "set", link+"a", "up")
	run("-n", name, "address", "add", there, "dev", link+"b", "nodad")
	run("-n", name, "link", "set", link+"b", "up")
	run("-n", name, "link", "set", "lo", "up")
	return name
}

func inNamespace(t *testing.T, c *Collector, space, address, direction string) {
	t.Helper()
	listen := net.JoinHostPort(address, "0")
	server := startServer(t, "ip", "netns", "exec", space, program("goserver"), listen)
	token := newToken()
	body := text(token, 200_000)
	execute(t, string(body), "curl", "-sS", "-g", "--data-binary", "@-", "http://"+server.Address+"/"+token)
	e := c.expect(t, Exchange{
		Method: "POST", Path: "/" + token, RequestBody: body, ResponseBody: body,
		Client: "curl", Server: "goserver", Direction: direction,
	})
	assert.Equal(t, address, e.client.Request.text("network.peer.address"))
	assert.Equal(t, address, e.server.Request.text("network.local.address"))
}

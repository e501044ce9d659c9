//go:build linux

package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// awaitTarget waits until so many files of the path are probed: a file that
// was replaced counts again. How soon that is decides what is captured, and
// TestTLSFirstRequest counts that; here it shall not.
func (c *Collector) awaitTarget(t testing.TB, path string, files int) {
	t.Helper()
	eventually(t, recordedWithin, func() error {
		found := 0
		for line := range strings.Lines(c.Output()) {
			if strings.Contains(line, "TLS target "+path) && strings.Contains(line, `"outcome": "attached"`) {
				found++
			}
		}
		if found < files {
			return fmt.Errorf("%d of %d files %s are probed", found, files, path)
		}
		return nil
	})
}

// Conversation is a process of programs/dlopen.c.
type Conversation struct {
	stdin  io.Writer
	answer *bufio.Reader
	pid    int
}

func converse(t testing.TB, argv ...string) *Conversation {
	t.Helper()
	command := exec.Command(argv[0], argv[1:]...)
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	output := &buffer{}
	command.Stderr = output
	launch(t, command, output)
	return &Conversation{stdin: stdin, answer: bufio.NewReader(stdout), pid: command.Process.Pid}
}

// say sends a line and waits for the answer.
func (p *Conversation) say(t testing.TB, line string) string {
	t.Helper()
	_, err := io.WriteString(p.stdin, line+"\n")
	require.NoError(t, err)
	answer, err := p.answer.ReadString('\n')
	require.NoErrorf(t, err, "after %q", line)
	return strings.TrimSpace(answer)
}

// libraryOf returns the path of the shared library that the program loads.
func libraryOf(t testing.TB, program, library string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	require.NoError(t, err)
	out, err := exec.Command("ldd", path).Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 2 && strings.HasPrefix(fields[0], library) {
			return fields[2]
		}
	}
	t.Fatalf("%s does not load %s:\n%s", path, library, out)
	return ""
}

// discoveredLibraries are OpenSSL copies that nobody has seen before.
func discoveredLibraries(t *testing.T, c *Collector) {
	server := runtimeOfTLS{kind: servers()[0]}.start(t, secure(t))
	c.acquaint(t, func(path string) { execute(t, oneRequest(path), program("goclient"), "https://"+server.Address) })
	host, port := splitAddress(t, server.Address)
	client, original := compile(t, "dlopen.c"), libraryOf(t, "openssl", "libssl.so")

	t.Run("opened by a process that runs", func(t *testing.T) {
		path := openCopy(t, original)
		p := converse(t, client, path, host, port)
		time.Sleep(time.Second) // the process itself is known by now
		p.say(t, "open")
		c.awaitTarget(t, path, 1)
		p.fetch(t, c, server)
	})
	t.Run("replaced on disk while it is used", func(t *testing.T) {
		path := openCopy(t, original)
		first := converse(t, client, path, host, port)
		first.say(t, "open")
		require.NoError(t, os.Rename(openCopy(t, original), path), "both are below the same folder for temporary files")
		second := converse(t, client, path, host, port)
		second.say(t, "open")
		c.awaitTarget(t, path, 2)
		first.fetch(t, c, server)
		second.fetch(t, c, server)
	})
	t.Run("in a mount namespace of its own", func(t *testing.T) {
		const run = `mount -t tmpfs none "$1" && cp "$2" "$1/libssl.so" && exec "$3" "$1/libssl.so" "$4" "$5"`
		folder := openTempDir(t)
		p := converse(t, "unshare", "--mount", "sh", "-ec", run, "sh", folder, original, client, host, port)
		p.say(t, "open")
		c.awaitTarget(t, folder, 1)
		p.fetch(t, c, server)
	})
	t.Run("that gives the memory of a session to the next one", func(t *testing.T) {
		path := openCopy(t, original)
		p := converse(t, client, path, host, port)
		p.say(t, "open")
		c.awaitTarget(t, path, 1)
		p.reuseSession(t, c, server)
	})
	t.Run("none at all", func(t *testing.T) { unknownLibrary(t, c) })
}

// fetch makes two requests, on two connections, and expects them complete.
func (p *Conversation) fetch(t *testing.T, c *Collector, server *Server) {
	t.Helper()
	for range 2 {
		p.request(t, c, server)
		p.say(t, "close")
	}
}

// request makes one request and expects it complete.
func (p *Conversation) request(t *testing.T, c *Collector, server *Server) {
	t.Helper()
	path := "/" + newToken() + "?size=300"
	p.say(t, path)
	c.expectEncrypted(t, encrypted{
		Exchange: Exchange{Path: path, ResponseBody: text(tokenForm.FindString(path), 300), Client: "dlopen", Server: "goserver"},
		Address:  server.Address, ServerPID: server.PID, ClientSource: "openssl", ServerSource: "go", Version: "1.3",
	})
}

// reuseSession lets a second session with the address of the first one begin
// before the socket of the first has closed, and go on after it.
func (p *Conversation) reuseSession(t *testing.T, c *Collector, server *Server) {
	t.Helper()
	p.request(t, c, server)
	p.say(t, "leave")
	p.request(t, c, server)
	require.Equal(t, "same", p.say(t, "drop"), "otherwise this shows nothing")
	eventually(t, recordedWithin, func() error {
		records, err := c.All()
		for _, r := range records {
			if r.Event == "qtap.connection" && r.Resource["process.pid"] == int64(p.pid) {
				return nil
			}
		}
		return errors.Join(err, errors.New("the first connection has not ended"))
	})
	p.request(t, c, server)
	p.say(t, "close")
}

const speakHello = `
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(bytes.fromhex(sys.argv[3]))
s.shutdown(socket.SHUT_WR)
s.recv(1000)
time.sleep(0.5)  # what it runs is looked up while it lives
`

// unknownLibrary: a program that carries TLS code which nobody knows shows as a
// connection, with the reason and with the name that it asked for.
func unknownLibrary(t *testing.T, c *Collector) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		if connection, err := listener.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, connection)
			_ = connection.Close()
		}
	}()
	name := newToken() + ".test"
	host, port := splitAddress(t, listener.Addr().String())
	execute(t, "", installation.python, "-c", speakHello, host, port, hex.EncodeToString(clientHello(t, name)))
	var found *Record
	eventually(t, recordedWithin, func() error {
		records, err := c.All()
		for _, r := range records {
			if r.Event == "qtap.connection" && fmt.Sprint(r.Attributes["network.peer.port"]) == port {
				found = r
			}
		}
		if found == nil && err == nil {
			err = errors.New("no connection event")
		}
		return err
	})
	assert.Equal(t, true, found.Attributes["qtap.tls"])
	assert.Equal(t, "no_known_tls_library", found.text("qtap.opaque"))
	assert.Equal(t, name, found.text("tls.client.server_name"))
	assert.Equal(t, filepath.Base(installation.python), found.Resource["process.executable.name"])
}

// clientHello returns the first record that Go sends to the server.
func clientHello(t testing.TB, server string) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		_ = tls.Client(near, &tls.Config{ServerName: server, MinVersion: tls.VersionTLS12}).Handshake()
		_ = near.Close()
	}()
	header := make([]byte, 5) // RFC 8446, section 5.1
	_, err := io.ReadFull(far, header)
	require.NoError(t, err)
	message := make([]byte, int(header[3])<<8|int(header[4]))
	_, err = io.ReadFull(far, message)
	require.NoError(t, err)
	return slices.Concat(header, message)
}

// TestTLSBeforeTheStart: a library that was deleted, and a connection that was
// opened, before the collector watches.
func TestTLSBeforeTheStart(t *testing.T) {
	server := runtimeOfTLS{kind: servers()[0]}.start(t, secure(t))
	host, port := splitAddress(t, server.Address)
	path := openCopy(t, libraryOf(t, "openssl", "libssl.so"))
	p := converse(t, compile(t, "dlopen.c"), path, host, port)
	p.say(t, "open")
	p.say(t, "/"+newToken()+"?size=300")
	require.NoError(t, os.Remove(path))

	c := startCollector(t, everything())
	c.awaitTarget(t, path, 1)
	token := newToken()
	for range 3 {
		p.say(t, "/"+token+"?size=300")
	}
	p.say(t, "close")
	p.fetch(t, c, server)

	seen, err := c.Transactions(token)
	require.NoError(t, err)
	t.Logf("on the older connection:\n%s", describe(seen...))
	first := make(map[any]bool)
	for _, s := range seen {
		if id := s.Request.Attributes["qtap.connection.id"]; !first[id] {
			first[id] = true
			assert.NotEqual(t, "complete", s.completeness(), "the first of a connection that was joined in its middle")
		}
	}
	if len(first) < 2 {
		eventually(t, recordedWithin, func() error { return c.opaqueOlder(port) })
	}
	c.Stop(t)
}

// opaqueOlder returns nil when a connection with the server shows as opened too
// early to be read.
func (c *Collector) opaqueOlder(port string) error {
	records, err := c.All()
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Event != "qtap.connection" || r.text("qtap.opaque") != "opened_before_start" {
			continue
		}
		for _, name := range []string{"network.peer.port", "network.local.port"} {
			if fmt.Sprint(r.Attributes[name]) == port {
				return nil
			}
		}
	}
	return errors.New("the older connection is neither captured nor opaque")
}

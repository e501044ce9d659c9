//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Wire is a connection whose two ends this process holds, so that a test says
// byte by byte what the peers exchange.
type Wire struct {
	t              testing.TB
	client, server *net.TCPConn
	piece          int // bytes per write and per read
}

// newWire opens a connection on loopback that moves whole messages per call.
func newWire(t testing.TB) *Wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	server, err := listener.Accept()
	require.NoError(t, err)
	deadline := time.Now().Add(time.Minute)
	require.NoError(t, client.SetDeadline(deadline))
	require.NoError(t, server.SetDeadline(deadline))
	w := &Wire{t: t, client: client.(*net.TCPConn), server: server.(*net.TCPConn), piece: 64 << 10}
	t.Cleanup(w.close)
	return w
}

// inPieces makes every call move at most size bytes.
func (w *Wire) inPieces(size int) *Wire { w.piece = size; return w }

// up sends from the client and reads it at the server, down the other way.
func (w *Wire) up(content string)   { w.t.Helper(); w.move(w.client, w.server, []byte(content)) }
func (w *Wire) down(content string) { w.t.Helper(); w.move(w.server, w.client, []byte(content)) }

func (w *Wire) move(from, to *net.TCPConn, content []byte) {
	w.t.Helper()
	sent := make(chan error, 1)
	go func() {
		for rest := content; len(rest) > 0; {
			n, err := from.Write(rest[:min(w.piece, len(rest))])
			if err != nil {
				sent <- err
				return
			}
			rest = rest[n:]
		}
		sent <- nil
	}()
	got := make([]byte, len(content))
	for at := 0; at < len(got); {
		n, err := to.Read(got[at:min(at+w.piece, len(got))])
		require.NoError(w.t, err)
		at += n
	}
	require.NoError(w.t, <-sent)
	require.True(w.t, bytes.Equal(content, got), "the connection itself is broken")
}

// finish ends the client's direction and waits until the server has seen it.
func (w *Wire) finish() {
	w.t.Helper()
	require.NoError(w.t, w.client.CloseWrite())
	_, err := w.server.Read(make([]byte, 1))
	require.ErrorIs(w.t, err, io.EOF)
}

// close ends the connection in order, the server first.
func (w *Wire) close() {
	_ = w.server.Close()
	_, _ = io.Copy(io.Discard, w.client)
	_ = w.client.Close()
}

// reset ends the connection at once by the server.
func (w *Wire) reset() {
	w.t.Helper()
	require.NoError(w.t, w.server.SetLinger(0))
	require.NoError(w.t, w.server.Close())
	_, err := w.client.Read(make([]byte, 1))
	require.Error(w.t, err)
	require.NotErrorIs(w.t, err, io.EOF)
	_ = w.client.Close()
}

// ports are the client's and the server's. Only both together tell the
// connection's records from others: the kernel gives one port to several
// connections with different peers.
func (w *Wire) ports() Ports {
	return Ports{int64(w.client.LocalAddr().(*net.TCPAddr).Port), int64(w.client.RemoteAddr().(*net.TCPAddr).Port)}
}

// Ports name a connection on loopback by its two ends.
type Ports struct{ client, server int64 }

// of tells whether either end of the connection gave this record.
func (p Ports) of(r *Record) bool {
	local, peer := r.number("network.local.port"), r.number("network.peer.port")
	return local == p.client && peer == p.server || local == p.server && peer == p.client
}

// get returns a request without a body.
func get(path string) string { return head("GET " + path + " HTTP/1.1") }

// head returns a start line, fields and the empty line. Requests and responses
// get the fields that they need to be plausible.
func head(start string, fields ...string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\r\n", start)
	if start[:5] != "HTTP/" {
		b.WriteString("Host: wire.test\r\n")
	}
	for _, f := range fields {
		fmt.Fprintf(&b, "%s\r\n", f)
	}
	b.WriteString("\r\n")
	return b.String()
}

// ok returns a response 200 with the body.
func ok(body []byte) string {
	return head("HTTP/1.1 200 OK", fmt.Sprintf("Content-Length: %d", len(body))) + string(body)
}

// post returns a request with the body.
func post(path string, body []byte) string {
	return head("POST "+path+" HTTP/1.1", fmt.Sprintf("Content-Length: %d", len(body))) + string(body)
}

// between waits for n transactions of the connection between these ports.
func (c *Collector) between(t testing.TB, ports Ports, n int) []Seen {
	t.Helper()
	var seen []Seen
	eventually(t, recordedWithin, func() error {
		seen = c.nowBetween(t, ports)
		if len(seen) < n {
			return fmt.Errorf("%d of %d transactions are recorded:\n%s", len(seen), n, describe(seen...))
		}
		return nil
	})
	return seen
}

// nowBetween returns what is recorded of the connection so far.
func (c *Collector) nowBetween(t testing.TB, ports Ports) []Seen {
	t.Helper()
	seen, err := c.Transactions("")
	require.NoError(t, err)
	var here []Seen
	for _, s := range seen {
		if ports.of(s.Request) {
			here = append(here, s)
		}
	}
	return here
}

// connectionsBetween waits for the records of both ends of an ended connection.
func (c *Collector) connectionsBetween(t testing.TB, ports Ports) []*Record {
	t.Helper()
	var here []*Record
	eventually(t, recordedWithin, func() error {
		all, err := c.All()
		require.NoError(t, err)
		here = nil
		for _, r := range all {
			if r.Event == "qtap.connection" && ports.of(r) {
				here = append(here, r)
			}
		}
		if len(here) < 2 {
			return fmt.Errorf("%d of 2 connection records on ports %v", len(here), ports)
		}
		return nil
	})
	return here
}

// checkConnections looks at all connection records of a collector that has
// stopped, which tells of those that were still open.
func (c *Collector) checkConnections(t testing.TB) {
	t.Helper()
	records, err := c.All()
	require.NoError(t, err)
	for _, r := range records {
		if r.Event == "qtap.connection" {
			require.NotZero(t, r.number("network.local.port"), "a connection that had ended is told of as another one: %s", r.Body)
		}
	}
}

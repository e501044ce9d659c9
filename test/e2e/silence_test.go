//go:build linux

package e2e

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestManyConnections: those that never speak cost nothing in the collector,
// and those that spoke once and stay open cost little.
func TestManyConnections(t *testing.T) {
	need(t)
	const count = 10_000
	server := startServer(t, program("goserver"), "127.0.0.1:0")
	c := startCollector(t, object{"capture": object{"level": "headers"}})
	empty := c.ResidentBytes(t)
	connections := openMany(t, server.Address, count)
	time.Sleep(time.Second)
	silent := c.ResidentBytes(t)
	t.Logf("resident: %d MiB at the start, %d MiB with %d silent connections", empty>>20, silent>>20, count)
	assert.Less(t, silent-empty, int64(20<<20), "silent connections")
	records, err := c.All()
	require.NoError(t, err)
	for _, r := range records {
		assert.NotEqual(t, "e2e.test", r.Resource["process.executable.name"], "nothing was said: %s", r.Body)
	}

	token := newToken()
	request, response := []byte(get("/"+token)), make([]byte, 4096)
	for _, connection := range connections {
		_, err := connection.Write(request)
		require.NoError(t, err)
		_, err = connection.Read(response)
		require.NoError(t, err)
	}
	for _, s := range c.await(t, token, 2*count, true) {
		require.Equal(t, "complete", s.completeness(), describe(s))
	}
	spoken := c.ResidentBytes(t)
	t.Logf("resident: %d MiB with %d connections, both ends seen, that spoke once", spoken>>20, count)
	assert.Less(t, spoken, int64(300<<20))
	c.Stop(t)
}

// openMany opens connections that stay open until the test ends. The server's
// ends are in another process, which has descriptors of its own.
func openMany(t testing.TB, address string, count int) []net.Conn {
	t.Helper()
	all := make([]net.Conn, 0, count)
	t.Cleanup(func() {
		for _, connection := range all {
			_ = connection.(*net.TCPConn).SetLinger(0) // 10 000 sockets in TIME_WAIT would help nobody
			_ = connection.Close()
		}
	})
	for range count {
		connection, err := net.Dial("tcp", address)
		require.NoError(t, err)
		all = append(all, connection)
	}
	return all
}

//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	freshCurls    = 100
	neverSeen     = 20
	neverSeenGoal = 0.95 // of the clients that connect at once; printed, not required
)

// TestTLSFirstRequest: what a fresh process sends first is captured. A replay
// cannot show this: it is a race with the process.
func TestTLSFirstRequest(t *testing.T) {
	material := secure(t)
	server := startServer(t, program("goserver"), "127.0.0.1:0", material.Certificate, material.Key)
	c := startCollector(t, everything())
	c.acquaint(t, func(path string) { execute(t, oneRequest(path), program("goclient"), "https://"+server.Address) })
	t.Run("of every fresh curl", func(t *testing.T) {
		x := encrypted{Address: server.Address, ServerPID: server.PID, ClientSource: "openssl", ServerSource: "go"}
		x.Client, x.Server = "curl", "goserver"
		var paths []string
		for range freshCurls {
			x.Path = "/" + newToken()
			paths = append(paths, x.Path)
			execute(t, "", "curl", "-sS", "--http1.1", "--cacert", material.Authority, "https://"+server.Address+x.Path)
		}
		for i, path := range paths {
			x.Path = path
			c.expectEncrypted(t, x)
			require.Falsef(t, t.Failed(), "curl %d of %d", i+1, freshCurls)
		}
	})
	t.Run("of executables that were never seen before", func(t *testing.T) {
		neverSeenClients(t, c, server)
	})
	c.Stop(t)
}

// neverSeenClients runs fresh copies of a Go client. The client's end of a
// request that was missed is an opaque connection, with the reason.
func neverSeenClients(t *testing.T, c *Collector, server *Server) {
	original, err := os.ReadFile(program("goclient"))
	require.NoError(t, err)
	captured := 0
	for range neverSeen {
		path := filepath.Join(openTempDir(t), "goclient")
		require.NoError(t, os.WriteFile(path, original, 0o755))
		token := newToken()
		execute(t, oneRequest("/"+token), path, "https://"+server.Address)
		x := encrypted{Address: server.Address, ServerPID: server.PID}
		client, other := c.firstOf(t, x, token, path)
		if client {
			captured++
			continue
		}
		require.NotNil(t, other, "neither captured nor shown as opaque")
		c.checkMissed(t, other)
	}
	t.Logf("captured first requests of executables never seen before: %d of %d (goal %.2f)", captured, neverSeen, neverSeenGoal)
}

// checkMissed requires that a connection whose request was missed says why, or,
// when the probes came between the request and its response, that the response
// says that its request is missing.
func (c *Collector) checkMissed(t testing.TB, connection *Record) {
	t.Helper()
	if connection.number("qtap.transactions") == 0 {
		assert.NotEmpty(t, connection.text("qtap.opaque"), connection.Body)
		t.Logf("missed: qtap.opaque %s", connection.text("qtap.opaque"))
		return
	}
	seen, err := c.Transactions("")
	require.NoError(t, err)
	for _, s := range seen {
		if s.Request.text("qtap.connection.id") == connection.text("qtap.connection.id") {
			assert.Contains(t, s.missing(), "no_request", describe(s))
			t.Logf("missed: %s", s.Request.Body)
		}
	}
}

// firstOf waits until the client's end shows: as the transaction, or as a
// connection that could not be read.
func (c *Collector) firstOf(t testing.TB, x encrypted, token, executable string) (captured bool, opaque *Record) {
	t.Helper()
	eventually(t, recordedWithin, func() error {
		// The connection is told of after its transactions, so it is looked for
		// first: what is not there when it is will not come.
		var err error
		opaque, err = c.opaqueConnection(executable)
		if err != nil {
			return err
		}
		seen, err := c.Transactions(token)
		if err != nil {
			return err
		}
		for _, s := range seen {
			captured = captured || !x.isServer(s.Request)
		}
		if captured {
			return nil
		}
		if opaque == nil {
			return fmt.Errorf("%s: nothing of the client's end:\n%s", token, describe(seen...))
		}
		return nil
	})
	return captured, opaque
}

// opaqueConnection returns the connection event of TLS of the executable, nil
// while there is none.
func (c *Collector) opaqueConnection(executable string) (*Record, error) {
	records, err := c.All()
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.Event == "qtap.connection" && r.Resource["process.executable.path"] == executable && r.Attributes["qtap.tls"] == true {
			return r, nil
		}
	}
	return nil, nil //nolint:nilnil // there is none yet
}

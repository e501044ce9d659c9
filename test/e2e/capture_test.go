//go:build linux

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCapture runs everything that one collector at level full can watch at
// the same time.
func TestCapture(t *testing.T) {
	need(t)
	c := startCollector(t, everything())
	t.Run("of", func(t *testing.T) { // ends when all parallel scenarios have ended
		for _, scenario := range []struct {
			name string
			run  func(t *testing.T, c *Collector)
		}{
			{"programs in several languages", programsInSeveralLanguages},
			{"curl and nginx", curlAndNginx},
			{"message forms", messageForms},
			{"upgraded connections", upgradedConnections},
			{"connections that break", connectionsThatBreak},
			{"bytes that are not HTTP", bytesThatAreNotHTTP},
			{"messages that lie", messagesThatLie},
			{"system calls", systemCalls},
			{"shared sockets", sharedSockets},
			{"network paths", networkPaths},
			{"process identity", processIdentity},
		} {
			t.Run(scenario.name, func(t *testing.T) {
				t.Parallel()
				scenario.run(t, c)
			})
		}
	})
	records, err := c.All()
	require.NoError(t, err)
	for _, r := range records {
		require.NotEqualValues(t, c.PID(), r.Resource["process.pid"], "the collector observes itself")
		if r.Event != "qtap.artifact" {
			assert.NotContains(t, r.Body, "\n", "a readable line is one line")
		}
	}
	c.Stop(t)
	c.checkConnections(t)
}

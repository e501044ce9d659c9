//go:build linux

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTLS runs everything over TLS that one collector can watch at the same
// time.
func TestTLS(t *testing.T) {
	secure(t)
	c := startCollector(t, everything())
	t.Run("of", func(t *testing.T) { // ends when all parallel scenarios have ended
		for _, scenario := range []struct {
			name string
			run  func(t *testing.T, c *Collector)
		}{
			{"clients", clientsOfTLS},
			{"servers", serversOfTLS},
			{"libraries that come and go", discoveredLibraries},
			{"TLS in the kernel", kernelTLS},
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
	}
	c.Stop(t)
	c.checkConnections(t)
}

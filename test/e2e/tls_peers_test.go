//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	peersRequests = 1000
	peersInFlight = 16
)

// target is one request of programs/peers.py and peers.js.
type target struct {
	URL string `json:"url"`
}

// TestTLSPeers: one thread talks to several servers at the same time, with and
// without TLS. No record may name another server than the one that was asked.
func TestTLSPeers(t *testing.T) {
	material := secure(t)
	for _, client := range []kind{
		{"asyncio", filepath.Base(installation.python), []string{installation.python, script("peers.py")}},
		{"Node", "node", []string{"node", script("peers.js")}},
	} {
		t.Run(client.name, func(t *testing.T) {
			addresses := peersServers(t, material)
			c := startCollector(t, everything())
			c.acquaint(t, func(path string) { fetchFromPeers(t, client, []target{{URL: addresses[0] + path}}) })
			byToken := talkToPeers(t, client, addresses)
			for _, server := range addresses {
				judgePeers(t, c, client, server, byToken)
			}
			c.Stop(t)
		})
	}
}

// peersServers starts three servers with TLS and three without, and returns
// their base URLs.
func peersServers(t testing.TB, c Certificates) (bases []string) {
	t.Helper()
	for range 3 {
		bases = append(bases,
			"https://"+startServer(t, program("goserver"), "127.0.0.1:0", c.Certificate, c.Key).Address,
			"http://"+startServer(t, program("goserver"), "127.0.0.1:0").Address)
	}
	return bases
}

// talkToPeers makes all requests and returns the base URL that each token was
// sent to. Sizes repeat, so that records of several connections are alike.
func talkToPeers(t testing.TB, client kind, bases []string) map[string]string {
	t.Helper()
	byToken := make(map[string]string)
	var plan []target
	for i := range peersRequests {
		token, base := newToken(), bases[i%len(bases)]
		byToken[token] = base
		plan = append(plan, target{URL: fmt.Sprintf("%s/%s?size=%d", base, token, 200*(1+i%3))})
	}
	fetchFromPeers(t, client, plan)
	return byToken
}

func fetchFromPeers(t testing.TB, client kind, plan []target) {
	t.Helper()
	input, err := json.Marshal(plan)
	require.NoError(t, err)
	output := execute(t, string(input), append(slices.Clip(client.argv), strconv.Itoa(peersInFlight))...)
	require.Equal(t, strconv.Itoa(len(plan)), strings.TrimSpace(output), "requests that were answered")
}

// judgePeers compares all records of the client's end of one server.
func judgePeers(t *testing.T, c *Collector, client kind, base string, byToken map[string]string) {
	t.Helper()
	scheme, address, _ := strings.Cut(base, "://")
	_, port := splitAddress(t, address)
	bound, complete, all := 0, 0, 0
	for token, sentTo := range byToken {
		if sentTo != base {
			continue
		}
		for _, s := range c.await(t, token, 2, true) {
			r := s.Request
			if r.Resource["process.executable.name"] != client.process {
				continue
			}
			all++
			assert.Equal(t, fmt.Sprintf("%s://%s/%s", scheme, address, token), strings.SplitN(r.text("url.full"), "?", 2)[0])
			if s.completeness() == "complete" {
				complete++
			}
			if _, ok := r.Attributes["network.peer.port"]; !ok {
				assert.Equal(t, "https", scheme, "plaintext has its socket")
				continue
			}
			bound++
			assert.Equal(t, port, strconv.FormatInt(r.number("network.peer.port"), 10), "another server's port:\n%s", describe(s))
		}
	}
	t.Logf("%s: %d records, %d complete, %d with the peer, all of them right", base, all, complete, bound)
	assert.Positive(t, all)
}

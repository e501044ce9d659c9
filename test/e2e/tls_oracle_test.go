//go:build linux

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	tlsOracleTime    = 5 * time.Second
	tlsOracleWorkers = 3
)

// TestTLSOracle is TestOracle inside TLS: what is marked complete is what the
// peers exchanged, byte for byte; everything else is marked.
func TestTLSOracle(t *testing.T) {
	material := secure(t)
	t.Run("bodies around every limit", func(t *testing.T) {
		judgeTLS(t, func(t *testing.T, c *Collector, l *ledger) {
			for i, server := range tlsServers() {
				running := server.start(t, material)
				for j, client := range tlsClients() {
					c.acquaint(t, func(path string) {
						execute(t, oneRequest(path), append(slices.Clip(client.argv), "https://"+running.Address)...)
					})
					steps := limits(i == j)
					runPlan(t, "https://"+running.Address, client.kind, steps)
					l.addPlan(steps)
				}
			}
		})
	})
	t.Run("random messages in random pieces", func(t *testing.T) {
		running := tlsServers()[0].start(t, material)
		judgeTLS(t, func(t *testing.T, c *Collector, l *ledger) {
			c.acquaint(t, func(path string) { material.fetch(t, "https://"+running.Address+path) })
			exchangeOverTLS(t, material, l)
		})
	})
}

// judgeTLS runs the load and compares all records with what it exchanged. A
// machine that had no time to watch gets another chance.
func judgeTLS(t *testing.T, load func(t *testing.T, c *Collector, l *ledger)) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		c, l := startCollector(t, everything()), newLedger()
		load(t, c, l)
		v := l.judge(t, c)
		if v.lost > 0 && attempt < 3 {
			t.Log("the machine had no time to watch, once more")
			continue
		}
		assert.Zero(t, v.lost, "calls refused and records dropped")
		assert.Equal(t, 2*len(l.entries), v.captured, "captured on both ends")
		assert.Equal(t, 2*(len(l.entries)-l.cut()), v.complete)
		return
	}
}

// limits is a plan of bodies, echoed, at the sizes where something changes: of
// the records that the kernel side submits, of its calls and of TLS itself,
// whose records hold 16384 bytes at most (RFC 8446, section 5.1).
func limits(large bool) (steps []step) {
	sizes := []int{1, 65_535, 65_536, 65_537}
	for _, n := range []int{256, 1024, 4096, 16384} {
		sizes = append(sizes, n-1, n, n+1, 2*n)
	}
	if large {
		sizes = append(sizes, 1<<20)
	}
	for i, size := range sizes {
		token := newToken()
		s := step{Method: "POST", Path: "/" + token, Size: size, Chunked: i%3 == 0}
		if i%2 == 0 {
			s.Path += "?chunked=1"
		}
		body := text(token, size)
		s.want = Exchange{Method: s.Method, Path: s.Path, RequestBody: body, ResponseBody: body}
		steps = append(steps, s)
	}
	return steps
}

// exchangeOverTLS lets the talkers speak by Go's TLS, of both versions.
func exchangeOverTLS(t *testing.T, c Certificates, l *ledger) {
	t.Helper()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	var load sync.WaitGroup
	failures := make(chan error, tlsOracleWorkers)
	until := time.Now().Add(tlsOracleTime)
	for worker := range tlsOracleWorkers {
		k := newTalker(seed, worker, l)
		k.pause, k.secure = 25*time.Millisecond, c.config(t)
		if worker%2 == 1 {
			k.secure.MaxVersion = tls.VersionTLS12
		}
		load.Go(func() {
			if err := k.talk(until); err != nil {
				failures <- err
			}
		})
	}
	load.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err, "the load itself failed")
	}
}

// fetch lets this process itself make a request.
func (c Certificates) fetch(t testing.TB, url string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: c.config(t), DisableKeepAlives: true}}
	response, err := client.Get(url)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
}

// config is for both ends of a connection.
func (c Certificates) config(t testing.TB) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	require.NoError(t, err)
	authority, err := os.ReadFile(c.Authority)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(authority))
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

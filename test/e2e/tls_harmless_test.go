//go:build linux

package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	cycles        = 5
	watchedAtOnce = time.Second
)

// TestTLSIsLeftAlone: collectors come and go, some of them killed, and no
// process that they watch notices: neither those that live on nor fresh ones.
func TestTLSIsLeftAlone(t *testing.T) {
	material := secure(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var traffic sync.WaitGroup
	counts := make(chan int, len(tlsServers()))
	for i, server := range tlsServers() {
		running := server.start(t, material)
		client := tlsClients()[len(tlsClients())-1-i]
		kept := keptConnection(t, running)
		traffic.Go(func() {
			n := 0
			for ctx.Err() == nil && !t.Failed() {
				steps := plan()
				steps = steps[:len(steps)-1]
				runPlan(t, "https://"+running.Address, client.kind, steps)
				kept.say(t, "/"+newToken()+"?size=20000")
				n += len(steps) + 1
			}
			counts <- n
		})
	}
	for i := range cycles {
		c := startCollector(t, everything())
		time.Sleep(watchedAtOnce)
		if i%2 == 1 {
			c.kill()
		} else {
			c.Stop(t)
		}
	}
	stop()
	traffic.Wait()
	close(counts)
	for n := range counts {
		t.Logf("%d requests, all answered", n)
		assert.Positive(t, n)
	}
}

// keptConnection returns a process with one connection through everything.
func keptConnection(t testing.TB, server *Server) *Conversation {
	t.Helper()
	host, port := splitAddress(t, server.Address)
	p := converse(t, compile(t, "dlopen.c"), libraryOf(t, "openssl", "libssl.so"), host, port)
	require.Equal(t, "opened", p.say(t, "open"))
	return p
}

//go:build linux

package delivery

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// Gate is a reverse proxy in front of a back end that has no keys of its own. It
// refuses who does not show the right one, and everybody while it is closed.
type Gate struct {
	*httptest.Server
	closed  atomic.Bool
	refused atomic.Int64 // requests that came while it was closed, or without the key

	// check looks at a request that has the key, before it is sent on.
	check func(r *http.Request) error
}

// newGate is a gate to address, which is host:port and a path. The header field
// name must have this value; without a name everybody may pass.
func newGate(t testing.TB, address, name, value string) *Gate {
	t.Helper()
	target, err := url.Parse("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	g := &Gate{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.closed.Load():
			g.refused.Add(1)
			http.Error(w, "closed for a while", http.StatusServiceUnavailable)
			return
		case name != "" && !strings.EqualFold(r.Header.Get(name), value): // ApiKey, APIKey
			g.refused.Add(1)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if g.check != nil {
			if err := g.check(r); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

//go:build linux

package dropin

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Delivery is one request that a collector sent to a back end.
type Delivery struct {
	Path   string
	Header http.Header
}

// Sink stands where a configuration's back ends, token servers and metadata
// services are. It takes everything and remembers who asked for what.
type Sink struct {
	*httptest.Server
	mu         sync.Mutex
	deliveries []Delivery
}

func newSink(t *testing.T) *Sink {
	t.Helper()
	sink := &Sink{}
	sink.Server = httptest.NewServer(http.HandlerFunc(sink.take))
	t.Cleanup(func() { closeServer(sink.Server) })
	return sink
}

func (s *Sink) take(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.deliveries = append(s.deliveries, Delivery{Path: r.URL.Path, Header: r.Header})
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	// The first is Elasticsearch's own, which its client insists on.
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	if r.URL.Path == "/token" {
		fmt.Fprint(w, `{"access_token":"token-of-the-test","token_type":"Bearer","expires_in":3600}`)
		return
	}
	fmt.Fprint(w, `{}`)
}

// received says whether a request to path came whose header name has value.
func (s *Sink) received(path, name, value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.deliveries {
		if d.Path == path && strings.HasPrefix(d.Header.Get(name), value) {
			return true
		}
	}
	return false
}

// String lists what came, for the message of a test that fails.
func (s *Sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, d := range s.deliveries {
		fmt.Fprintln(&b, d.Path, d.Header)
	}
	return b.String()
}

// serveFiles serves contents by their paths on an address, over TLS or without.
// It returns the certificate that clients have to trust, as PEM.
func serveFiles(t *testing.T, address string, secure bool, files map[string]string) []byte {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, there := files[r.URL.Path]
		if !there {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, content)
	}))
	server.Listener.Close()
	var err error
	server.Listener, err = net.Listen("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { closeServer(server) })
	if !secure {
		server.Start()
		return nil
	}
	server.StartTLS()
	return certificate(server)
}

func certificate(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// closeServer ends requests that are still being answered, too.
func closeServer(server *httptest.Server) {
	server.CloseClientConnections()
	server.Close()
}

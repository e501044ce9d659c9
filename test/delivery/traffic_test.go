//go:build linux

package delivery

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Sizes of response bodies in the traffic of every test.
const (
	smallBody = 3_000
	largeBody = 1_500_000 // more than any log back end takes as one record; the receiver keeps 1 MiB of it
)

// Site is a web server of this test.
type Site struct {
	*httptest.Server
}

// newSite answers every request with as many bytes as the parameter size says.
func newSite(t testing.TB) *Site {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		w.Header().Set("Content-Type", "text/plain")
		line := []byte("\"" + r.URL.Path + "\" said: 0123456789 äöü\n")
		_, _ = w.Write(bytes.Repeat(line, size/len(line)+1)[:size])
	}))
	t.Cleanup(server.Close)
	return &Site{Server: server}
}

// get asks for a path that no other request has, by curl, with a secret in a
// header field and one in the URL, and returns the path.
func (s *Site) get(t testing.TB, size int) (path string) {
	t.Helper()
	path = "/" + newToken()
	url := fmt.Sprintf("%s%s?size=%d&sig=%s", s.URL, path, size, canary)
	out, err := exec.Command("curl", "-sS", "-f", "-o", "/dev/null", "-H", "Authorization: Bearer "+canary, url).CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// newToken returns a word that stands in no other request.
func newToken() string {
	var random [8]byte
	_, _ = rand.Read(random[:])
	return "dlv-" + hex.EncodeToString(random[:])
}

// digestOf is what names an object.
func digestOf(object []byte) string {
	sum := sha1.Sum(object)
	return hex.EncodeToString(sum[:])
}

// open returns what a link gives.
func open(t testing.TB, url string) []byte {
	t.Helper()
	response, err := client.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", url, tail(string(content), 500))
	return content
}

// checkObject checks that these bytes are the object that has the digest, and
// that it shows the request for the path.
func checkObject(t testing.TB, object []byte, digest, size, path string) {
	t.Helper()
	require.Equal(t, digest, digestOf(object), "SHA-1 of %d bytes: %s", len(object), tail(string(object), 200))
	assert.Equal(t, size, strconv.Itoa(len(object)), "artifact.size_bytes")
	var shown struct {
		Request  struct{ Path string }
		Response struct {
			Status int
			Body   string
		}
	}
	require.NoError(t, json.Unmarshal(object, &shown))
	assert.Equal(t, path, shown.Request.Path)
	assert.Equal(t, http.StatusOK, shown.Response.Status)
	assert.Contains(t, shown.Response.Body, path)
}

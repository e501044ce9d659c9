//go:build linux

package e2e

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recordedWithin is how long a record may take from the end of its transaction
// to the file: batching, a loaded machine, and the file exporter's own flush.
const recordedWithin = 20 * time.Second

// Exchange is what the peers exchanged, and so what must be recorded.
type Exchange struct {
	Path         string // request target, holds the token
	Method       string // GET when empty
	Status       int    // 200 when 0
	RequestBody  []byte // content, as the application means it
	ResponseBody []byte
	ResponseWire int64 // size of an encoded response body; 0: that of ResponseBody

	Client, Server string // executable names; not compared when empty
	Direction      string // of the client's record; egress-internal when empty
	HideBodies     bool   // the sizes are compared, the bodies are not recorded
	Encrypted      bool   // see encrypted, which compares where it was read
}

// ends is one transaction as both ends of its connection saw it.
type ends struct{ client, server Seen }

// split finds the two ends of the only transaction.
func split(t testing.TB, seen []Seen) ends {
	t.Helper()
	var e ends
	for _, s := range seen {
		end := &e.client
		if s.Request.text("qtap.direction") == "ingress" {
			end = &e.server
		}
		require.Nilf(t, end.Request, "two records of one end:\n%s\n%s", describe(*end), describe(s))
		*end = s
	}
	require.NotNil(t, e.client.Request, "no record of the client's end")
	require.NotNil(t, e.server.Request, "no record of the server's end")
	return e
}

// await returns the transactions with the token once there are n of them, with
// their artifacts where there are any to expect, and checks that there are not
// more.
func (c *Collector) await(t testing.TB, token string, n int, artifacts bool) []Seen {
	t.Helper()
	var seen []Seen
	eventually(t, recordedWithin, func() error {
		var err error
		seen, err = c.Transactions(token)
		if err != nil {
			return err
		}
		whole := 0
		for _, s := range seen {
			if !artifacts || s.Artifact != nil && s.ArtifactRecord != nil {
				whole++
			}
		}
		if whole < n {
			return fmt.Errorf("%s: %d of %d transactions are recorded:\n%s", token, whole, n, describe(seen...))
		}
		return nil
	})
	require.Lenf(t, seen, n, "more transactions than there were:\n%s", describe(seen...))
	return seen
}

// expect waits for both ends of one exchange and compares them with it.
func (c *Collector) expect(t testing.TB, x Exchange) ends {
	t.Helper()
	token := tokenForm.FindString(x.Path)
	require.NotEmpty(t, token, "the path has no token")
	e := split(t, c.await(t, token, 2, true))
	x.compare(t, e)
	return e
}

// compare checks that both ends are recorded as complete and true.
func (x Exchange) compare(t testing.TB, e ends) {
	t.Helper()
	direction := x.Direction
	if direction == "" {
		direction = "egress-internal"
	}
	assert.Equal(t, direction, e.client.Request.text("qtap.direction"))
	x.compareEnd(t, e.client, x.Client)
	x.compareEnd(t, e.server, x.Server)
	if e.client.Request.text("network.transport") == "tcp" {
		for _, pair := range [][2]string{{"local", "peer"}, {"peer", "local"}} {
			near, far := "network."+pair[0]+".", "network."+pair[1]+"."
			assert.Equal(t, e.client.Request.Attributes[near+"port"], e.server.Request.Attributes[far+"port"])
			assert.Equal(t, e.client.Request.Attributes[near+"address"], e.server.Request.Attributes[far+"address"])
		}
	}
}

func (x Exchange) compareEnd(t testing.TB, s Seen, process string) {
	t.Helper()
	method, status, wire := x.Method, x.Status, x.ResponseWire
	if method == "" {
		method = "GET"
	}
	if status == 0 {
		status = 200
	}
	if wire == 0 {
		wire = int64(len(x.ResponseBody))
	}
	r := s.Request
	if !assert.Equalf(t, "complete", r.text("qtap.completeness"), "%s", describe(s)) {
		return
	}
	assert.NotContains(t, r.Attributes, "qtap.missing")
	assert.Equal(t, method, r.text("http.request.method"))
	assert.EqualValues(t, status, r.number("http.response.status_code"))
	path, query, _ := strings.Cut(x.Path, "?")
	assert.Equal(t, path, r.text("url.path"))
	assert.Equal(t, query, r.text("url.query"))
	assert.EqualValues(t, len(x.RequestBody), r.number("http.request.body.size"), "request body size")
	assert.Equal(t, wire, r.number("http.response.body.size"), "response body size")
	assert.Equal(t, x.Encrypted, r.Attributes["qtap.tls"])
	if !x.Encrypted {
		assert.Equal(t, "socket", r.text("qtap.capture.source"))
	}
	if process != "" {
		assert.Equal(t, process, r.Resource["process.executable.name"])
	}
	assert.Equal(t, "qtap", r.Resource["service.name"])
	duration, ok := r.Attributes["qtap.duration_ms"].(float64)
	assert.True(t, ok && duration >= 0 && duration < 60_000, "duration %v", r.Attributes["qtap.duration_ms"])
	if first, ok := r.Attributes["qtap.time_to_first_byte_ms"].(float64); assert.True(t, ok) {
		assert.LessOrEqual(t, first, duration)
	}
	assert.WithinDuration(t, time.Now(), time.Unix(0, r.Time), 5*time.Minute)
	x.compareArtifact(t, s)
}

// compareArtifact checks the object, its digest and the record that names it.
func (x Exchange) compareArtifact(t testing.TB, s Seen) {
	t.Helper()
	checkArtifact(t, s)
	o := objectOf(t, s)
	if !assert.NotNil(t, o.Request) || !assert.NotNil(t, o.Response) || x.HideBodies {
		return
	}
	sameBytes(t, "request body", x.RequestBody, o.Request.content(t))
	sameBytes(t, "response body", x.ResponseBody, o.Response.content(t))
	assert.False(t, o.Request.BodyTruncated)
	assert.False(t, o.Response.BodyTruncated)
}

// checkArtifact checks what is true of every artifact.
func checkArtifact(t testing.TB, s Seen) {
	t.Helper()
	require.NotNil(t, s.Artifact)
	require.NotNil(t, s.ArtifactRecord)
	sum := sha1.Sum([]byte(s.Artifact.Body))
	digest := hex.EncodeToString(sum[:])
	assert.Equal(t, digest, s.Artifact.text("artifact.digest"))
	assert.Equal(t, digest, s.Artifact.Resource["qtap.artifact.digest"])
	assert.Equal(t, digest, s.ArtifactRecord.text("artifact.digest"))
	assert.Equal(t, digest, s.Request.text("qtap.artifact.digest"))
	assert.NotContains(t, s.Request.Resource, "qtap.artifact.digest", "events must not route as artifacts")
	assert.EqualValues(t, len(s.Artifact.Body), s.ArtifactRecord.number("artifact.size_bytes"))
	assert.Equal(t, "http_transaction", s.ArtifactRecord.text("artifact.type"))
	assert.True(t, s.Artifact.Alone, "an artifact is its own plog.Logs")
	for _, name := range []string{"http.request.method", "http.response.status_code", "url.full", "qtap.direction", "qtap.completeness"} {
		assert.Equal(t, s.Request.Attributes[name], s.Artifact.Attributes[name], name)
		assert.Equal(t, s.Request.Attributes[name], s.ArtifactRecord.Attributes[name], name)
	}
}

func objectOf(t testing.TB, s Seen) *Object {
	t.Helper()
	require.NotNil(t, s.Artifact)
	var o Object
	require.NoErrorf(t, json.Unmarshal([]byte(s.Artifact.Body), &o), "%.300s", s.Artifact.Body)
	return &o
}

// content returns the body that the object holds.
func (h *Half) content(t testing.TB) []byte {
	t.Helper()
	if h.Body == nil {
		return nil
	}
	if h.BodyEncoding != "base64" {
		return []byte(*h.Body)
	}
	body, err := base64.StdEncoding.DecodeString(*h.Body)
	require.NoError(t, err)
	return body
}

// sameBytes compares without printing megabytes.
func sameBytes(t testing.TB, what string, want, got []byte) {
	t.Helper()
	if len(want) == len(got) && sha256.Sum256(want) == sha256.Sum256(got) {
		return
	}
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	t.Errorf("%s: %d bytes, want %d; the first difference is at %d", what, len(got), len(want), at)
}

// missing returns the reasons of the request event.
func (s Seen) missing() []string {
	list, _ := s.Request.Attributes["qtap.missing"].([]any)
	names := make([]string, 0, len(list))
	for _, name := range list {
		names = append(names, fmt.Sprint(name))
	}
	slices.Sort(names)
	return names
}

func (s Seen) completeness() string { return s.Request.text("qtap.completeness") }

// describe shows transactions in a failure, one line each.
func describe(seen ...Seen) string {
	var b strings.Builder
	for _, s := range seen {
		if s.Request == nil {
			continue
		}
		fmt.Fprintf(&b, "  %s | %s %v | connection %s, port %d to %d\n", s.Request.Body, s.completeness(), s.missing(),
			s.Request.text("qtap.connection.id"), s.Request.number("network.local.port"), s.Request.number("network.peer.port"))
	}
	return b.String()
}

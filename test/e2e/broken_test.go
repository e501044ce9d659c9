//go:build linux

package e2e

import (
	"crypto/rand"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// upgradedConnections carry something else after one exchange. What looks like
// HTTP in there is not.
func upgradedConnections(t *testing.T, c *Collector) {
	for _, x := range []struct {
		name, up, down string
		method         string
		status         int
	}{
		{
			"WebSocket", head("GET /TOKEN HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
			head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "GET", 101,
		},
		{"CONNECT", "CONNECT TOKEN.test:443 HTTP/1.1\r\nHost: TOKEN.test:443\r\n\r\n", head("HTTP/1.1 200 Connection Established"), "CONNECT", 200},
	} {
		t.Run(x.name, func(t *testing.T) {
			token, inside, w := newToken(), newToken(), newWire(t)
			w.up(strings.ReplaceAll(x.up, "TOKEN", token))
			w.down(x.down)
			for range 3 {
				w.up("\x82\xfe\x00\x7e" + get("/"+inside))
				w.down(ok([]byte("\x00\xff frame")))
				w.up(get("/" + inside))
				w.down(ok(nil))
			}
			w.close()
			seen := c.between(t, w.ports(), 2)
			c.connectionsBetween(t, w.ports()) // nothing follows them
			assert.Len(t, c.nowBetween(t, w.ports()), 2, "the exchange before the upgrade, from each end")
			for _, s := range seen {
				assert.Equal(t, "complete", s.completeness(), describe(s))
				assert.Equal(t, x.method, s.Request.text("http.request.method"))
				assert.EqualValues(t, x.status, s.Request.number("http.response.status_code"))
			}
			hidden, err := c.Transactions(inside)
			require.NoError(t, err)
			assert.Empty(t, hidden, "bytes after an upgrade are not HTTP")
		})
	}
}

// connectionsThatBreak never become complete records, and nothing is invented
// about what was not sent.
func connectionsThatBreak(t *testing.T, c *Collector) {
	for _, x := range []struct {
		name    string
		play    func(w *Wire, path string)
		status  int64    // -1: no response was sent
		missing []string // at least
	}{
		{
			"a request is cut", func(w *Wire, path string) {
				w.up(head("POST "+path+" HTTP/1.1", "Content-Length: 100") + "only a part")
				w.finish()
				w.close()
			}, -1, []string{"connection_closed"},
		},
		{"no answer", func(w *Wire, path string) { w.up(get(path)); w.close() }, -1, []string{"no_response"}},
		{"the client goes away", func(w *Wire, path string) { w.up(get(path)); w.finish(); w.close() }, -1, []string{"no_response"}},
		{
			// The write is answered by a reset before it returns.
			"the client is gone before the answer", func(w *Wire, path string) {
				w.up(get(path))
				_ = w.client.Close()
				_, _ = w.server.Read(make([]byte, 1))
				_, err := w.server.Write([]byte(ok([]byte("nobody reads this"))))
				require.NoError(w.t, err)
				w.close()
			}, -1, nil,
		},
		{
			"a response is cut", func(w *Wire, path string) {
				w.up(get(path))
				w.down(head("HTTP/1.1 200 OK", "Content-Length: 1000") + "a part")
				w.close()
			}, 200, []string{"connection_closed"},
		},
		{
			"a chunked response is cut between two chunks", func(w *Wire, path string) {
				w.up(get(path))
				w.down(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + "4\r\npart\r\n")
				w.close()
			}, 200, []string{"connection_closed"},
		},
		{
			"a chunked response is cut before its last empty line", func(w *Wire, path string) {
				w.up(get(path))
				w.down(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + "4\r\npart\r\n0\r\n")
				w.close()
			}, 200, []string{"connection_closed"},
		},
		{
			"a response head is cut", func(w *Wire, path string) {
				w.up(get(path))
				w.down("HTTP/1.1 200 OK\r\nContent-Le")
				w.close()
			}, 200, []string{"connection_closed"}, // the status was received
		},
		{
			"a status line is cut", func(w *Wire, path string) {
				w.up(get(path))
				w.down("HTTP/1.1 20")
				w.close()
			}, -1, nil,
		},
		{"a reset instead of an answer", func(w *Wire, path string) { w.up(get(path)); w.reset() }, -1, []string{"no_response"}},
		{
			"a reset within a response", func(w *Wire, path string) {
				w.up(get(path))
				w.down(head("HTTP/1.1 200 OK", "Content-Length: 1000") + "a part")
				w.reset()
			}, 200, []string{"connection_closed"},
		},
		{
			"a reset ends a body that a close would have ended", func(w *Wire, path string) {
				w.up("GET " + path + " HTTP/1.0\r\n\r\n")
				w.down(head("HTTP/1.0 200 OK") + "until the end")
				w.reset()
			}, 200, nil,
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			token, w := newToken(), newWire(t)
			x.play(w, "/"+token)
			e := split(t, c.await(t, token, 2, true))
			for _, s := range []Seen{e.client, e.server} {
				assert.Equal(t, "incomplete", s.completeness(), describe(s))
				assert.Subset(t, s.missing(), x.missing)
				assert.NotEmpty(t, s.missing())
				assert.Equal(t, x.status, s.Request.number("http.response.status_code"))
				if x.status < 0 {
					assert.EqualValues(t, 17, s.Request.Severity, "ERROR")
					assert.NotEmpty(t, s.Request.text("error.type"))
				}
				checkArtifact(t, s)
			}
			records := c.connectionsBetween(t, w.ports())
			assert.Len(t, records, 2)
		})
	}
}

// bytesThatAreNotHTTP gives no transactions, does no harm, and does not hide
// HTTP that comes later on the same connection.
func bytesThatAreNotHTTP(t *testing.T, c *Collector) {
	noise := make([]byte, 200_000)
	_, _ = rand.Read(noise)
	for _, x := range []struct{ name, up, down string }{
		{"random bytes", string(noise), string(noise[1000:])},
		{"zeros", string(make([]byte, 5000)), string(make([]byte, 70_000))},
		{"a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(noise[:500]), "\x16\x03\x03\x00\x7a\x02" + string(noise[:120])},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		{"a mail server that speaks first", "EHLO test\r\n", "220 test ESMTP\r\n"},
		{"Redis", "*1\r\n$4\r\nPING\r\n", "+PONG\r\n"},
		{"a word that begins like a method", "GETTING THINGS DONE\r\n\r\n", "HTTP/9 what\r\n"},
		{"only line ends", strings.Repeat("\r\n", 5000), strings.Repeat("\n", 5000)},
		{"a request that is none", "GET /x HTTP/1.1 \x00\r\n\xff\xfe\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWire(t)
			w.up(x.up)
			w.down(x.down)
			w.close()
			for _, s := range c.nowBetween(t, w.ports()) {
				assert.NotEqual(t, "complete", s.completeness(), describe(s))
			}
			token, next := newToken(), newWire(t)
			next.up(get("/" + token))
			next.down(ok(nil))
			c.expect(t, Exchange{Path: "/" + token})
			for _, s := range c.nowBetween(t, w.ports()) {
				assert.NotEqual(t, "complete", s.completeness(), describe(s))
			}
		})
	}
	t.Run("a single byte", func(t *testing.T) {
		w := newWire(t)
		w.up("G")
		w.close()
		assert.Empty(t, c.nowBetween(t, w.ports()))
	})
}

// messagesThatLie about their length are marked: two recipients could read
// them differently, so nobody can say what was exchanged.
func messagesThatLie(t *testing.T, c *Collector) {
	for _, x := range []struct{ name, up, down string }{
		{"both lengths in a request", head("POST /TOKEN HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", ok(nil)},
		{"both lengths in a response", get("/TOKEN"), head("HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n"},
		{"two lengths", head("POST /TOKEN HTTP/1.1", "Content-Length: 5", "Content-Length: 6") + "helloX", ok(nil)},
		{"a length with a sign", head("POST /TOKEN HTTP/1.1", "Content-Length: +5") + "hello", ok(nil)},
		{"a length beyond all numbers", head("POST /TOKEN HTTP/1.1", "Content-Length: 99999999999999999999") + "hello", ok(nil)},
		{"a chunk size beyond all numbers", head("POST /TOKEN HTTP/1.1", "Transfer-Encoding: chunked") + "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", ok(nil)},
		{"a chunk longer than it says", head("POST /TOKEN HTTP/1.1", "Transfer-Encoding: chunked") + "3\r\nhello\r\n0\r\n\r\n", ok(nil)},
		{"chunked is not the last coding", head("POST /TOKEN HTTP/1.1", "Transfer-Encoding: chunked, gzip") + "0\r\n\r\n", ok(nil)},
		{"white space before a colon", head("POST /TOKEN HTTP/1.1", "Content-Length : 5") + "hello", ok(nil)},
		{"an answer longer than it says", get("/TOKEN"), head("HTTP/1.1 200 OK", "Content-Length: 1") + "longer" + ok([]byte("inner"))},
	} {
		t.Run(x.name, func(t *testing.T) {
			token, w := newToken(), newWire(t)
			w.up(strings.ReplaceAll(x.up, "TOKEN", token))
			w.down(x.down)
			w.close()
			c.connectionsBetween(t, w.ports())
			seen := c.nowBetween(t, w.ports())
			require.NotEmpty(t, seen, "a request with a readable head is recorded")
			for _, s := range seen {
				if x.name == "an answer longer than it says" && s.Request.text("url.path") != "" {
					continue // what belongs to the answer is what it says
				}
				assert.NotEqual(t, "complete", s.completeness(), describe(s))
				assert.NotEmpty(t, s.missing())
			}
		})
	}
	t.Run("endless headers", func(t *testing.T) { endlessHeaders(t, c) })
	t.Run("a body of nearly 2^63 bytes that never comes", func(t *testing.T) {
		token, w := newToken(), newWire(t)
		w.up(head("POST /"+token+" HTTP/1.1", fmt.Sprintf("Content-Length: %d", int64(math.MaxInt64))) + "hello")
		w.close()
		for _, s := range c.await(t, token, 2, true) {
			assert.Equal(t, "incomplete", s.completeness(), describe(s))
		}
	})
}

// endlessHeaders: beyond the limit fields are left out and the record says so;
// the connection stays in step.
func endlessHeaders(t *testing.T, c *Collector) {
	token, next, w := newToken(), newToken(), newWire(t)
	field := "X-Endless: " + strings.Repeat("y", 1000)
	w.up(head("POST /"+token+" HTTP/1.1", append([]string{"Content-Length: 5"}, repeat(field, 1000)...)...) + "hello")
	w.down(ok([]byte("fine")))
	w.up(get("/" + next))
	w.down(ok([]byte("next")))
	w.close()
	for _, s := range c.await(t, token, 2, true) {
		assert.NotEqual(t, "complete", s.completeness(), describe(s))
		assert.Contains(t, s.missing(), "header_limit")
		assert.EqualValues(t, 200, s.Request.number("http.response.status_code"))
		assert.Less(t, len(s.Artifact.Body), 200_000)
	}
	c.expect(t, Exchange{Path: "/" + next, ResponseBody: []byte("next")})
}

func repeat(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

//go:build linux

package e2e

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// form is one exchange in bytes, and what must be recorded of it. Texts use
// TOKEN where the path has its token.
type form struct {
	name     string
	up, down string
	want     Exchange // Path is TOKEN's unless set
	end      bool     // the server closes after its response
	interim  string   // sent by the server after the head of the request
}

func forms() []form {
	binary := make([]byte, 1024)
	for i := range binary {
		binary[i] = byte(i)
	}
	var deflated bytes.Buffer
	writer := zlib.NewWriter(&deflated)
	_, _ = writer.Write(binary)
	_ = writer.Close()
	return []form{
		{name: "the smallest", up: get("/TOKEN"), down: ok(nil)},
		{name: "a binary body", up: post("/TOKEN", binary), down: ok(binary), want: Exchange{Method: "POST", RequestBody: binary, ResponseBody: binary}},
		{
			name: "deflate",
			up:   get("/TOKEN"),
			down: head("HTTP/1.1 200 OK", "Content-Encoding: deflate", fmt.Sprintf("Content-Length: %d", deflated.Len())) + deflated.String(),
			want: Exchange{ResponseBody: binary, ResponseWire: int64(deflated.Len())},
		},
		{
			name: "chunked both ways with extensions and trailers",
			up:   head("PUT /TOKEN HTTP/1.1", "Transfer-Encoding: chunked", "Trailer: Sum") + "5;a=\"b;c\"\r\nhello\r\n006 ; x\r\n world\r\n0\r\nSum: 11\r\n\r\n",
			down: head("HTTP/1.1 201 Created", "Transfer-Encoding: Chunked") + "3\r\nabc\r\n0\r\nSum: 3\r\nSum: three\r\n\r\n",
			want: Exchange{Method: "PUT", Status: 201, RequestBody: []byte("hello world"), ResponseBody: []byte("abc")},
		},
		{
			name: "an answer to HEAD has a length and no body",
			up:   head("HEAD /TOKEN HTTP/1.1"), down: head("HTTP/1.1 200 OK", "Content-Length: 5000"), want: Exchange{Method: "HEAD"},
		},
		{name: "204", up: head("DELETE /TOKEN HTTP/1.1"), down: head("HTTP/1.1 204 No Content"), want: Exchange{Method: "DELETE", Status: 204}},
		{name: "304 with the length of what it does not send", up: get("/TOKEN"), down: head("HTTP/1.1 304 Not Modified", "Content-Length: 700"), want: Exchange{Status: 304}},
		{
			name: "100-continue and early hints", up: post("/TOKEN", []byte("body")), down: ok([]byte("yes")),
			interim: head("HTTP/1.1 100 Continue") + head("HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload"),
			want:    Exchange{Method: "POST", RequestBody: []byte("body"), ResponseBody: []byte("yes")},
		},
		{
			name: "a body that ends with the connection", up: "GET /TOKEN HTTP/1.0\r\n\r\n", down: head("HTTP/1.0 200 OK") + "until the end", end: true,
			want: Exchange{ResponseBody: []byte("until the end")},
		},
		{name: "a method that nobody registered", up: head("M-SEARCH~1 /TOKEN HTTP/1.1"), down: ok(nil), want: Exchange{Method: "_OTHER"}},
		{name: "bare line feeds", up: "GET /TOKEN HTTP/1.1\nHost: wire.test\n\n", down: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", want: Exchange{ResponseBody: []byte("hi")}},
		{name: "empty lines before a request", up: "\r\n\r\n" + get("/TOKEN"), down: ok(nil)},
		{name: "no reason phrase", up: get("/TOKEN"), down: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"},
		{name: "status 599", up: get("/TOKEN"), down: head("HTTP/1.1 599 Odd", "Content-Length: 0"), want: Exchange{Status: 599}},
		{name: "an absolute target", up: head("GET http://other.test:81/TOKEN?q=1 HTTP/1.1"), down: ok(nil), want: Exchange{Path: "/TOKEN?q=1"}},
		{name: "a body like a response", up: get("/TOKEN"), down: ok([]byte(ok([]byte("inner")))), want: Exchange{ResponseBody: []byte(ok([]byte("inner")))}},
		{name: "a body like a request", up: post("/TOKEN", []byte(get("/inner"))), down: ok(nil), want: Exchange{Method: "POST", RequestBody: []byte(get("/inner"))}},
	}
}

// with puts the token in its places.
func (f form) with(token string) form {
	f.up, f.down = strings.ReplaceAll(f.up, "TOKEN", token), strings.ReplaceAll(f.down, "TOKEN", token)
	if f.want.Path == "" {
		f.want.Path = "/TOKEN"
	}
	f.want.Path = strings.ReplaceAll(f.want.Path, "TOKEN", token)
	f.want.Client, f.want.Server = "e2e.test", "e2e.test"
	return f
}

func (f form) play(w *Wire) {
	w.t.Helper()
	if f.interim != "" {
		start, rest, _ := strings.Cut(f.up, "\r\n\r\n")
		w.up(start + "\r\n\r\n")
		w.down(f.interim)
		w.up(rest)
	} else {
		w.up(f.up)
	}
	w.down(f.down)
	if f.end {
		w.close()
	}
}

// messageForms plays every form whole, in small pieces and byte by byte, and
// all on one connection.
func messageForms(t *testing.T, c *Collector) {
	for _, piece := range []int{64 << 10, 7, 1} {
		t.Run(fmt.Sprintf("in pieces of %d", piece), func(t *testing.T) {
			for _, f := range forms() {
				t.Run(f.name, func(t *testing.T) {
					f := f.with(newToken())
					f.play(newWire(t).inPieces(piece))
					c.expect(t, f.want)
				})
			}
		})
	}
	t.Run("over one connection", func(t *testing.T) {
		w := newWire(t)
		var played []form
		for _, f := range forms() {
			if f.end {
				continue
			}
			f := f.with(newToken())
			f.play(w)
			played = append(played, f)
		}
		for _, f := range played {
			c.expect(t, f.want)
		}
	})
	t.Run("pipelined", func(t *testing.T) { pipelined(t, c) })
	t.Run("trailers, repetitions and order are kept", func(t *testing.T) { fieldsAreKept(t, c) })
	t.Run("a half-closed connection still answers", func(t *testing.T) {
		token, w := newToken(), newWire(t)
		w.up("GET /" + token + " HTTP/1.0\r\n\r\n")
		w.finish()
		w.down(head("HTTP/1.0 200 OK") + "late")
		w.close()
		c.expect(t, Exchange{Path: "/" + token, ResponseBody: []byte("late")})
	})
	t.Run("an asterisk has no path", func(t *testing.T) {
		w := newWire(t)
		w.up(head("OPTIONS * HTTP/1.1"))
		w.down(ok(nil))
		for _, s := range c.between(t, w.ports(), 2) {
			assert.Equal(t, "complete", s.completeness(), describe(s))
			assert.Equal(t, "OPTIONS", s.Request.text("http.request.method"))
		}
	})
	t.Run("sizes around the limits of one call", func(t *testing.T) { sizesAroundLimits(t, c) })
}

// pipelined sends several requests before the first answer.
func pipelined(t *testing.T, c *Collector) {
	w := newWire(t)
	var requests, responses strings.Builder
	var wanted []Exchange
	for i := range 8 {
		token := newToken()
		x := Exchange{Method: "POST", Path: "/" + token, RequestBody: text(token, i*300), ResponseBody: text(token, 2500-i*300)}
		requests.WriteString(post(x.Path, x.RequestBody))
		responses.WriteString(ok(x.ResponseBody))
		wanted = append(wanted, x)
	}
	w.up(requests.String())
	w.down(responses.String())
	for _, x := range wanted {
		c.expect(t, x)
	}
}

func fieldsAreKept(t *testing.T, c *Collector) {
	token, w := newToken(), newWire(t)
	w.up(head("GET /"+token+" HTTP/1.1", "x-TWO: a", "X-One:1", "X-Two:   b  ", "X-Folded: one\r\n two", "X-Empty:"))
	w.down(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Via: 1.1 a", "via: 1.1 b") + "0\r\nT: 1\r\nt: 2\r\n\r\n")
	e := c.expect(t, Exchange{Path: "/" + token})
	for _, s := range []Seen{e.client, e.server} {
		o := objectOf(t, s)
		assert.Equal(t, []Field{{"Host", "wire.test"}, {"x-TWO", "a"}, {"X-One", "1"}, {"X-Two", "b"}, {"X-Folded", "one two"}, {"X-Empty", ""}}, o.Request.Headers)
		assert.Equal(t, []Field{{"Transfer-Encoding", "chunked"}, {"Via", "1.1 a"}, {"via", "1.1 b"}}, o.Response.Headers)
		assert.Equal(t, []Field{{"T", "1"}, {"t", "2"}}, o.Response.Trailers)
	}
}

// sizesAroundLimits: the kernel side copies in size classes and cuts large
// calls into pieces. An error at such an edge is the classic of this field.
func sizesAroundLimits(t *testing.T, c *Collector) {
	var wanted []Exchange
	w := newWire(t).inPieces(1 << 20)
	for _, limit := range []int{128, 256, 512, 1024, 4096, 16384, 32768, 65536, 131072, 262144} {
		for _, size := range []int{limit - 1, limit, limit + 1, 2*limit - 1, 2 * limit, 2*limit + 1} {
			token := newToken()
			x := Exchange{Method: "POST", Path: "/" + token, RequestBody: text(token, size)}
			// The whole call has the size once, the body has it once.
			x.ResponseBody = text(token, max(0, size-len(head("HTTP/1.1 200 OK", fmt.Sprintf("Content-Length: %d", size)))))
			w.up(post(x.Path, x.RequestBody))
			w.down(ok(x.ResponseBody))
			wanted = append(wanted, x)
		}
	}
	for _, x := range wanted {
		c.expect(t, x)
	}
}

//go:build linux

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// step is one request of a plan; see programs/README.md.
type step struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Size    int    `json:"size"`
	Chunked bool   `json:"chunked"`

	want Exchange
}

// kind is one way to run a server or a client.
type kind struct {
	name    string
	process string
	argv    []string
}

func servers() []kind {
	return []kind{
		{"Go", "goserver", []string{program("goserver")}},
		{"Python", filepath.Base(installation.python), []string{installation.python, script("server.py")}},
		{"Node", "node", []string{"node", script("server.js")}},
	}
}

func clients() []kind {
	return []kind{
		{"Go", "goclient", []string{program("goclient")}},
		{"Python", filepath.Base(installation.python), []string{installation.python, script("client.py")}},
		{"Node", "node", []string{"node", script("client.js")}},
	}
}

// plan is what every client asks of every server, over one connection.
func plan() []step {
	make1 := func(method, query string, size int, chunked bool, want Exchange) step {
		token := newToken()
		want.Method, want.Path = method, "/"+token+query
		want.RequestBody = text(token, size)
		if want.ResponseBody == nil && size > 0 {
			want.ResponseBody = want.RequestBody // echoed
		}
		return step{Method: method, Path: want.Path, Size: size, Chunked: chunked, want: want}
	}
	get := func(query string, size int, want Exchange) step {
		s := make1("GET", query, 0, false, want)
		s.want.ResponseBody = text(tokenForm.FindString(s.Path), size)
		return s
	}
	return []step{
		get("?size=100", 100, Exchange{}),
		make1("POST", "", 3000, false, Exchange{}),
		make1("PUT", "?chunked=1", 70_000, true, Exchange{}),
		make1("HEAD", "?size=50", 0, false, Exchange{}),
		get("?size=20&status=404", 20, Exchange{Status: 404}),
		get("?size=30&status=500&chunked=1", 30, Exchange{Status: 500}),
		get("", 0, Exchange{}),
		make1("DELETE", "?size=0&status=204", 0, false, Exchange{Status: 204}),
		make1("POST", "?size=1", 5<<20, false, Exchange{}),
	}
}

// programsInSeveralLanguages lets every client talk to every server.
func programsInSeveralLanguages(t *testing.T, c *Collector) {
	for _, s := range servers() {
		server := startServer(t, append(s.argv, "127.0.0.1:0")...)
		for _, client := range clients() {
			t.Run(client.name+" to "+s.name, func(t *testing.T) {
				steps := plan()
				runPlan(t, "http://"+server.Address, client, steps)
				connections := make(map[any]bool)
				for _, step := range steps {
					step.want.Client, step.want.Server = client.process, s.process
					e := c.expect(t, step.want)
					assert.EqualValues(t, server.PID, e.server.Request.Resource["process.pid"])
					connections[e.client.Request.Attributes["qtap.connection.id"]] = true
					if t.Failed() {
						t.Fatalf("at %s %s", step.Method, step.Path)
					}
				}
				assert.Len(t, connections, 1, "a kept connection is one connection")
			})
		}
	}
}

// runPlan sends the steps and checks that the client itself got what it must.
func runPlan(t *testing.T, base string, client kind, steps []step) {
	t.Helper()
	input, err := json.Marshal(steps)
	require.NoError(t, err)
	output := execute(t, string(input), append(client.argv, base)...)
	var got []struct {
		Status, Size int
		SHA256       string
	}
	require.NoError(t, json.Unmarshal([]byte(output), &got), output)
	require.Len(t, got, len(steps))
	for i, step := range steps {
		want := step.want.Status
		if want == 0 {
			want = 200
		}
		assert.Equal(t, want, got[i].Status, step.Path)
		sum := sha256.Sum256(step.want.ResponseBody)
		assert.Equal(t, hex.EncodeToString(sum[:]), got[i].SHA256, step.Path)
	}
}

// startNginx runs nginx with two servers, sendfile on and off. Every path
// below /static gives page, everything else goes to upstream.
func startNginx(t testing.TB, page []byte, upstream string) (sending, copying string) {
	t.Helper()
	dir := openTempDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "page.txt"), page, 0o644))
	sending, copying = freeAddress(t), freeAddress(t)
	var config strings.Builder
	fmt.Fprintf(&config, "daemon off; worker_processes 1; pid %s/pid; error_log %s/error.log;\n", dir, dir)
	fmt.Fprintf(&config, "events { worker_connections 1024; }\nhttp { access_log off; root %s; client_max_body_size 0;\n", dir)
	fmt.Fprintf(&config, "keepalive_requests 1000000000; default_type text/plain; proxy_http_version 1.1;\n")
	for _, part := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&config, "%s_temp_path %s/%s;\n", part, dir, part)
	}
	for address, mode := range map[string]string{sending: "on", copying: "off"} {
		fmt.Fprintf(&config, "server { listen %s; sendfile %s; location /static/ { try_files /page.txt =404; } location / { proxy_pass http://%s; } }\n",
			address, mode, upstream)
	}
	fmt.Fprintln(&config, "}")
	path := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte(config.String()), 0o644))
	launchAndDial(t, sending, "nginx", "-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", path)
	return sending, copying
}

// curlAndNginx uses the two programs that most people try first.
func curlAndNginx(t *testing.T, c *Collector) {
	upstream := startServer(t, program("goserver"), "127.0.0.1:0")
	page := text("page", 40_000)
	sending, copying := startNginx(t, page, upstream.Address)

	t.Run("static file without sendfile", func(t *testing.T) {
		path := "/static/" + newToken() + "?a=1&b=%20&a=2"
		assert.Equal(t, string(page), execute(t, "", "curl", "-sS", "http://"+copying+path))
		e := c.expect(t, Exchange{Path: path, ResponseBody: page, Client: "curl", Server: "nginx"})
		assert.Equal(t, "http://"+copying+path, e.client.Request.text("url.full"))
		assert.Contains(t, e.client.Request.text("user_agent.original"), "curl/")
		host, port, _ := net.SplitHostPort(copying)
		assert.Equal(t, host, e.client.Request.text("server.address"))
		assert.Equal(t, port, strconv.FormatInt(e.client.Request.number("server.port"), 10))
	})
	t.Run("sendfile is named on the server's side only", func(t *testing.T) {
		path := "/static/" + newToken()
		assert.Equal(t, string(page), execute(t, "", "curl", "-sS", "http://"+sending+path))
		e := split(t, c.await(t, tokenForm.FindString(path), 2, true))
		x := Exchange{Path: path, ResponseBody: page}
		x.compareEnd(t, e.client, "curl")
		assert.Equal(t, "truncated", e.server.completeness())
		assert.Equal(t, []string{"sendfile"}, e.server.missing())
		assert.EqualValues(t, len(page), e.server.Request.number("http.response.body.size"))
		assert.True(t, objectOf(t, e.server).Response.BodyTruncated)
	})
	t.Run("requests over one connection stay in step beyond sendfile", func(t *testing.T) {
		first, second := "/static/"+newToken(), "/"+newToken()+"?size=500"
		execute(t, "", "curl", "-sS", "-o", "/dev/null", "http://"+sending+first, "-o", "/dev/null", "http://"+sending+second)
		seen := c.await(t, tokenForm.FindString(second), 4, true)
		for _, s := range seen {
			assert.Equal(t, "complete", s.completeness(), describe(s))
			assert.EqualValues(t, 500, s.Request.number("http.response.body.size"))
		}
	})
	t.Run("a proxy has both a server's and a client's end", func(t *testing.T) {
		token := newToken()
		body := text(token, 100_000)
		path := "/" + token + "?chunked=1"
		got := execute(t, string(body), "curl", "-sS", "--data-binary", "@-", "http://"+copying+path)
		assert.Equal(t, string(body), got)
		byProcess := make(map[string]Seen)
		for _, s := range c.await(t, token, 4, true) {
			name := fmt.Sprint(s.Request.Resource["process.executable.name"])
			byProcess[name+" "+s.Request.text("qtap.direction")] = s
		}
		x := Exchange{Method: "POST", Path: path, RequestBody: body, ResponseBody: body}
		x.compare(t, ends{client: byProcess["curl egress-internal"], server: byProcess["nginx ingress"]})
		x.compare(t, ends{client: byProcess["nginx egress-internal"], server: byProcess["goserver ingress"]})
	})
	t.Run("5 MB up with 100-continue and 5 MB down", func(t *testing.T) {
		token := newToken()
		body := text(token, 5<<20)
		got := execute(t, string(body), "curl", "-sS", "-H", "Expect: 100-continue", "--data-binary", "@-", "http://"+upstream.Address+"/"+token)
		assert.Len(t, got, len(body))
		c.expect(t, Exchange{Method: "POST", Path: "/" + token, RequestBody: body, ResponseBody: body, Client: "curl", Server: "goserver"})
	})
	t.Run("a missing file", func(t *testing.T) {
		token := newToken()
		body := execute(t, "", "curl", "-sS", "http://"+upstream.Address+"/"+token+"?status=404&size=9")
		e := c.expect(t, Exchange{Path: "/" + token + "?status=404&size=9", Status: 404, ResponseBody: []byte(body)})
		assert.EqualValues(t, 13, e.client.Request.Severity, "WARN")
	})
	t.Run("gzip is undone in the object and its wire size is kept", func(t *testing.T) {
		for _, s := range servers() {
			server := startServer(t, append(s.argv, "127.0.0.1:0")...)
			token := newToken()
			path := "/" + token + "?gzip=1&size=50000"
			packed := execute(t, "", "curl", "-sS", "http://"+server.Address+path)
			e := c.expect(t, Exchange{Path: path, ResponseBody: text(token, 50_000), ResponseWire: int64(len(packed)), Server: s.process})
			assert.Equal(t, []string{"gzip"}, objectOf(t, e.server).Response.get("Content-Encoding"))
		}
	})
	t.Run("the trace of traceparent", func(t *testing.T) {
		token := newToken()
		execute(t, "", "curl", "-sS", "-H", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "http://"+upstream.Address+"/"+token)
		e := c.expect(t, Exchange{Path: "/" + token})
		assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", e.server.Request.TraceID)
		assert.Equal(t, "b7ad6b7169203331", e.server.Request.SpanID)
	})
}

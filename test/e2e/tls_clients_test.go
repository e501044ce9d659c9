//go:build linux

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tlsClient is a program that fetches one URL and prints at least the body.
type tlsClient struct {
	name    string
	process string
	source  string
	version string // of TLS; not compared when empty
	argv    func(url, address string) []string
	stdin   func(path, address string) string
}

// plainRequest is what a program without HTTP of its own is given to send.
func plainRequest(path, address string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, address)
}

const perlFetch = `my $r = HTTP::Tiny->new(verify_SSL => 1, SSL_options => {SSL_ca_file => $ENV{SSL_CERT_FILE}})->get($ARGV[0]);
die "$r->{status} $r->{content}" unless $r->{success}; print $r->{content}`

func commandLineClients(t testing.TB, c Certificates) []tlsClient {
	t.Helper()
	with := func(argv ...string) func(string, string) []string {
		return func(url, _ string) []string { return append(slices.Clip(argv), url) }
	}
	curl := func(more ...string) func(string, string) []string {
		return with(append([]string{"curl", "-sS", "--http1.1", "--cacert", c.Authority}, more...)...)
	}
	return []tlsClient{
		{name: "curl", process: "curl", source: "openssl", version: "1.3", argv: curl()},
		{name: "curl with TLS 1.2", process: "curl", source: "openssl", version: "1.2", argv: curl("--tls-max", "1.2")},
		{
			name: "openssl s_client", process: "openssl", source: "openssl", stdin: plainRequest,
			argv: func(_, address string) []string {
				return []string{"openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", c.Authority, "-connect", address}
			},
		},
		{name: "wget", process: "wget", source: "gnutls", version: "1.3", argv: with("wget", "-q", "-O-", "--ca-certificate="+c.Authority)},
		{
			name: "gnutls-cli", process: "gnutls-cli", source: "gnutls", stdin: plainRequest,
			argv: func(_, address string) []string {
				host, port := splitAddress(t, address)
				return []string{"gnutls-cli", "--logfile=/dev/null", "--x509cafile=" + c.Authority, "-p", port, host}
			},
		},
		{name: "NSS", process: "nss", source: "nss", argv: with(compile(t, "nss.c", "-l:libcurl-nss.so.4"))},
		{name: "Ruby", process: realName(t, "ruby"), source: "openssl", argv: with("ruby", "-rnet/http", "-e", "print Net::HTTP.get(URI(ARGV[0]))")},
		{name: "PHP", process: realName(t, "php"), source: "openssl", argv: with("php", "-r", "echo file_get_contents($argv[1]);")},
		{name: "Perl", process: "perl", source: "openssl", argv: with("/usr/bin/perl", "-MHTTP::Tiny", "-e", perlFetch)},
	}
}

// clientsOfTLS lets every client talk to one server.
func clientsOfTLS(t *testing.T, c *Collector) {
	material := secure(t)
	server := runtimeOfTLS{kind: servers()[0]}.start(t, material)
	for _, client := range commandLineClients(t, material) {
		t.Run(client.name, func(t *testing.T) { client.fetch(t, c, server) })
	}
	for _, client := range append(tlsClients(), goVariants(t, "goclient")...) {
		t.Run(client.name+" with a kept connection", func(t *testing.T) {
			x := encrypted{
				Address: server.Address, ServerPID: server.PID,
				ClientSource: client.source, ServerSource: "go", ClientMemory: client.memory, Version: "1.3",
			}
			x.Client, x.Server = client.process, "goserver"
			talkOverTLS(t, c, client.kind, x)
		})
	}
}

// run fetches the path and returns what the program printed.
func (client tlsClient) run(t testing.TB, server *Server, path string) string {
	t.Helper()
	stdin := ""
	if client.stdin != nil {
		stdin = client.stdin(path, server.Address)
	}
	return execute(t, stdin, client.argv("https://"+server.Address+path, server.Address)...)
}

func (client tlsClient) fetch(t *testing.T, c *Collector, server *Server) {
	c.acquaint(t, func(path string) { client.run(t, server, path) })
	token := newToken()
	body := text(token, 5000)
	path := "/" + token + "?size=5000"
	url := "https://" + server.Address + path
	require.Contains(t, client.run(t, server, path), string(body))
	e, _, _ := c.expectEncrypted(t, encrypted{
		Exchange: Exchange{Path: path, ResponseBody: body, Client: client.process, Server: "goserver"},
		Address:  server.Address, ServerPID: server.PID,
		ClientSource: client.source, ServerSource: "go", Version: client.version,
	})
	assert.Equal(t, url, e.client.Request.text("url.full"))
	assert.Equal(t, url, e.server.Request.text("url.full"))
}

// talkOverTLS runs the plan, without its large body, over one connection.
func talkOverTLS(t *testing.T, c *Collector, client kind, x encrypted) {
	t.Helper()
	c.acquaint(t, func(path string) {
		execute(t, oneRequest(path), append(slices.Clip(client.argv), "https://"+x.Address)...)
	})
	steps := plan()
	steps = steps[:len(steps)-1]
	runPlan(t, "https://"+x.Address, client, steps)
	var found share
	connections := make(map[string]bool)
	for _, step := range steps {
		x.Method, x.Path, x.Status = step.want.Method, step.want.Path, step.want.Status
		x.RequestBody, x.ResponseBody = step.want.RequestBody, step.want.ResponseBody
		e, clientBound, serverBound := c.expectEncrypted(t, x)
		found.add(x.ClientMemory, clientBound)
		found.add(x.ServerMemory, serverBound)
		connections[e.client.Request.text("qtap.connection.id")] = true
		if t.Failed() {
			t.Fatalf("at %s %s", step.Method, step.Path)
		}
	}
	assert.Len(t, connections, 1, "a kept connection is one connection")
	if found.all > 0 {
		t.Logf("ends with TLS in memory whose addresses are known: %v", found)
	}
}

// goVariants builds a program of programs/ in the ways that Go programs are
// shipped. Every variant has the program's own name.
func goVariants(t testing.TB, name string) []runtimeOfTLS {
	t.Helper()
	var all []runtimeOfTLS
	for _, x := range []struct {
		name  string
		flags []string
	}{
		{"Go without symbols", []string{"-ldflags=-s -w"}},
		{"Go with -trimpath", []string{"-trimpath"}},
		{"Go as PIE", []string{"-buildmode=pie"}},
		{"Go as PIE without symbols", []string{"-buildmode=pie", "-ldflags=-s -w"}},
	} {
		path := filepath.Join(openTempDir(t), name)
		command := exec.Command("go", append(append([]string{"build", "-o", path}, x.flags...), "./programs/"+name)...)
		command.Env = append(command.Environ(), "CGO_ENABLED=0")
		out, err := command.CombinedOutput()
		require.NoErrorf(t, err, "building %s: %s", x.name, out)
		all = append(all, runtimeOfTLS{kind: kind{x.name, name, []string{path}}, source: "go"})
	}
	return all
}

//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// encrypted is an exchange over TLS. The end of a process whose library never
// touches a socket may lack the addresses: absent is right, wrong is not.
type encrypted struct {
	Exchange
	Address                    string // of the server, host:port
	ServerPID                  int    // 0: the server is told by its name or its direction
	ClientSource, ServerSource string // not compared when empty
	ClientMemory, ServerMemory bool   // TLS in memory: addresses may be absent
	Version                    string // of TLS, not compared when empty
}

// expectEncrypted waits for both ends of one exchange and compares them with
// it. It returns whether each end has its addresses.
func (c *Collector) expectEncrypted(t testing.TB, x encrypted) (e ends, clientBound, serverBound bool) {
	t.Helper()
	token := tokenForm.FindString(x.Path)
	require.NotEmpty(t, token, "the path has no token")
	e = x.split(t, c.await(t, token, 2, true))
	clientBound, serverBound = x.compareEncrypted(t, e)
	return e, clientBound, serverBound
}

// isServer tells the ends apart, also when no direction is known.
func (x encrypted) isServer(r *Record) bool {
	if x.ServerPID != 0 {
		pid, _ := r.Resource["process.pid"].(int64)
		return pid == int64(x.ServerPID)
	}
	if x.Server != "" && x.Server != x.Client {
		return r.Resource["process.executable.name"] == x.Server
	}
	return r.text("qtap.direction") == "ingress"
}

func (x encrypted) split(t testing.TB, seen []Seen) (e ends) {
	t.Helper()
	for _, s := range seen {
		end := &e.client
		if x.isServer(s.Request) {
			end = &e.server
		}
		require.Nilf(t, end.Request, "two records of one end:\n%s\n%s", describe(*end), describe(s))
		*end = s
	}
	require.NotNil(t, e.client.Request, "no record of the client's end")
	require.NotNil(t, e.server.Request, "no record of the server's end")
	return e
}

func (x encrypted) compareEncrypted(t testing.TB, e ends) (clientBound, serverBound bool) {
	t.Helper()
	x.Encrypted = true
	x.compareEnd(t, e.client, x.Client)
	x.compareEnd(t, e.server, x.Server)
	x.compareTLS(t, e.client, x.ClientSource)
	x.compareTLS(t, e.server, x.ServerSource)
	clientBound = x.compareAddresses(t, e.client, "network.peer.", "egress-internal", x.ClientMemory)
	serverBound = x.compareAddresses(t, e.server, "network.local.", "ingress", x.ServerMemory)
	if clientBound && serverBound {
		client, server := e.client.Request, e.server.Request
		assert.Equal(t, client.Attributes["network.local.port"], server.Attributes["network.peer.port"])
		assert.Equal(t, client.Attributes["network.local.address"], server.Attributes["network.peer.address"])
	}
	return clientBound, serverBound
}

func (x encrypted) compareTLS(t testing.TB, s Seen, source string) {
	t.Helper()
	r := s.Request
	assert.Equal(t, "https", r.text("url.scheme"), describe(s))
	assert.Regexp(t, "^https://", r.text("url.full"), describe(s))
	if source != "" {
		assert.Equal(t, source, r.text("qtap.capture.source"), describe(s))
	}
	if x.Version != "" && r.Attributes["network.peer.port"] != nil {
		assert.Equal(t, x.Version, r.text("tls.protocol.version"), describe(s))
		assert.NotEmpty(t, r.text("tls.cipher"), describe(s))
	}
}

// compareAddresses checks the server's address in the attributes with the
// prefix. It returns whether there is one.
func (x encrypted) compareAddresses(t testing.TB, s Seen, prefix, direction string, mayBeAbsent bool) bool {
	t.Helper()
	r := s.Request
	if _, ok := r.Attributes[prefix+"port"]; !ok {
		assert.Truef(t, mayBeAbsent, "no addresses:\n%s", describe(s))
		assert.NotContains(t, r.Attributes, prefix+"address")
		return false
	}
	host, port, err := net.SplitHostPort(x.Address)
	require.NoError(t, err)
	assert.Equal(t, port, strconv.FormatInt(r.number(prefix+"port"), 10), describe(s))
	assert.Equal(t, host, r.text(prefix+"address"), describe(s))
	assert.Equal(t, "tcp", r.text("network.transport"))
	assert.Equal(t, direction, r.text("qtap.direction"))
	return true
}

// runtimeOfTLS is one way to run a server or a client, and where its plaintext
// is read.
type runtimeOfTLS struct {
	kind
	source string
	memory bool // see encrypted
}

func tlsServers() []runtimeOfTLS {
	all := servers()
	return []runtimeOfTLS{
		{all[0], "go", false},
		{all[1], "openssl", false},
		{all[2], "openssl", true},
		{kind{"asyncio", all[1].process, []string{installation.python, script("server_asyncio.py")}}, "openssl", true},
	}
}

func tlsClients() []runtimeOfTLS {
	all := clients()
	return []runtimeOfTLS{
		{all[0], "go", false},
		{all[1], "openssl", false},
		{all[2], "openssl", true},
		{kind{"asyncio", all[1].process, []string{installation.python, script("client_asyncio.py")}}, "openssl", true},
	}
}

// start runs the server with the certificate on an address of loopback.
func (r runtimeOfTLS) start(t testing.TB, c Certificates) *Server {
	t.Helper()
	argv := append([]string{}, r.argv...)
	return startServer(t, append(argv, "127.0.0.1:0", c.Certificate, c.Key)...)
}

// share counts the ends that have addresses among those that may lack them.
type share struct{ bound, all int }

func (s *share) add(mayBeAbsent, bound bool) {
	if !mayBeAbsent {
		return
	}
	s.all++
	if bound {
		s.bound++
	}
}

func (s share) String() string { return fmt.Sprintf("%d of %d", s.bound, s.all) }

func splitAddress(t testing.TB, address string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return host, port
}

// realName returns the name of the executable behind the command.
func realName(t testing.TB, command string) string {
	t.Helper()
	path, err := exec.LookPath(command)
	require.NoError(t, err)
	path, err = filepath.EvalSymlinks(path)
	require.NoError(t, err)
	return filepath.Base(path)
}

// compile builds a C program of programs/ and returns its path.
func compile(t testing.TB, source string, flags ...string) string {
	t.Helper()
	path := filepath.Join(openTempDir(t), strings.TrimSuffix(source, ".c"))
	argv := append([]string{"-Wall", "-o", path, script(source)}, flags...)
	out, err := exec.Command("gcc", argv...).CombinedOutput()
	require.NoErrorf(t, err, "compiling %s: %s", source, out)
	return path
}

const acquaintances = 5

// acquaint makes requests until both ends of one are captured. The first
// request of a library or executable that the collector meets for the first
// time may be missed: TestTLSFirstRequest counts those.
func (c *Collector) acquaint(t testing.TB, request func(path string)) {
	t.Helper()
	for attempt := range acquaintances {
		token := newToken()
		request("/" + token)
		for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			seen, err := c.Transactions(token)
			require.NoError(t, err)
			if len(seen) == 2 {
				if attempt > 0 {
					t.Logf("an end was missed in each of the first %d requests", attempt)
				}
				return
			}
		}
	}
	t.Fatalf("an end was missed in each of %d requests", acquaintances)
}

// oneRequest is the plan of a single GET.
func oneRequest(path string) string { return fmt.Sprintf(`[{"method": "GET", "path": %q}]`, path) }

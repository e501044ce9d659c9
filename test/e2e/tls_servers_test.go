//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fileServer serves the page at /static/TOKEN, or any path when it takes no
// files.
type fileServer struct {
	name    string
	process string
	source  string
	argv    func(dir, address string) []string
	// own says that the server answers with a page of its own.
	own bool
}

func fileServers(c Certificates) []fileServer {
	return []fileServer{
		{name: "nginx", process: "nginx", source: "openssl", argv: c.nginx},
		{name: "Apache httpd", process: "apache2", source: "openssl", argv: c.apache},
		{
			name: "gnutls-serv", process: "gnutls-serv", source: "gnutls", own: true,
			argv: func(_, address string) []string {
				_, port, _ := net.SplitHostPort(address)
				return []string{"gnutls-serv", "--quiet", "--http", "--port", port, "--x509certfile", c.Certificate, "--x509keyfile", c.Key}
			},
		},
	}
}

// nginx writes a configuration without sendfile: what sendfile moves has no
// plaintext in user space, see kernelTLS.
func (c Certificates) nginx(dir, address string) []string {
	return c.nginxWith(dir, address, "sendfile off;")
}

func (c Certificates) nginxWith(dir, address, more string) []string {
	var config strings.Builder
	fmt.Fprintf(&config, "daemon off; worker_processes 1; pid %s/pid; error_log %s/error.log;\n"+
		"events {}\nhttp { access_log off; root %s; default_type text/plain; %s\n", dir, dir, dir, more)
	for _, part := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&config, "%s_temp_path %s/%s;\n", part, dir, part)
	}
	fmt.Fprintf(&config, "server { listen %s ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate %s; ssl_certificate_key %s;\n"+
		"location / { try_files /page.txt =404; } }\n}\n", address, c.Certificate, c.Key)
	path := filepath.Join(dir, "nginx.conf")
	_ = os.WriteFile(path, []byte(config.String()), 0o644) // nginx says so if this failed
	return []string{"nginx", "-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", path}
}

const apacheConfig = `ServerName localhost
ServerRoot %[1]s
PidFile %[1]s/pid
ErrorLog %[1]s/error.log
Mutex file:%[1]s
Listen %[2]s https
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so
User nobody
Group nogroup
SSLEngine on
SSLCertificateFile %[3]s
SSLCertificateKeyFile %[4]s
DocumentRoot %[1]s
AliasMatch ^ %[1]s/page.txt
<Directory %[1]s>
	Require all granted
</Directory>
`

func (c Certificates) apache(dir, address string) []string {
	path := filepath.Join(dir, "apache.conf")
	_ = os.WriteFile(path, fmt.Appendf(nil, apacheConfig, dir, address, c.Certificate, c.Key), 0o644)
	return []string{"/usr/sbin/apache2", "-D", "FOREGROUND", "-f", path}
}

// serversOfTLS lets curl ask every server.
func serversOfTLS(t *testing.T, c *Collector) {
	material := secure(t)
	page := text("page", 40_000)
	for _, server := range fileServers(material) {
		t.Run(server.name, func(t *testing.T) {
			dir, address := openTempDir(t), freeAddress(t)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "page.txt"), page, 0o644))
			launchAndDial(t, address, server.argv(dir, address)...)
			curl := func(path string) string {
				return execute(t, "", "curl", "-sS", "--http1.1", "--cacert", material.Authority, "https://"+address+path)
			}
			c.acquaint(t, func(path string) { curl(path) })
			path := "/" + newToken() + "?a=1&b=%20"
			got := curl(path)
			if !server.own {
				require.Equal(t, string(page), got)
			}
			e, _, _ := c.expectEncrypted(t, encrypted{
				Exchange: Exchange{Path: path, ResponseBody: []byte(got), Client: "curl", Server: server.process},
				Address:  address, ClientSource: "openssl", ServerSource: server.source, Version: "1.3",
			})
			assert.Equal(t, "https://"+address+path, e.server.Request.text("url.full"))
		})
	}
	for _, server := range append(tlsServers(), goVariants(t, "goserver")...) {
		t.Run(server.name, func(t *testing.T) { server.answerCurl(t, c, server.start(t, material), material) })
	}
}

// answerCurl makes a request on a connection of its own and expects it complete.
func (k runtimeOfTLS) answerCurl(t *testing.T, c *Collector, running *Server, material Certificates) {
	t.Helper()
	curl := func(path string) string {
		return execute(t, "", "curl", "-sS", "--http1.1", "--tls-max", "1.2", "--cacert", material.Authority, "https://"+running.Address+path)
	}
	c.acquaint(t, func(path string) { curl(path) })
	path := "/" + newToken() + "?size=40000"
	body := text(tokenForm.FindString(path), 40_000)
	require.Equal(t, string(body), curl(path))
	c.expectEncrypted(t, encrypted{
		Exchange: Exchange{Path: path, ResponseBody: body, Client: "curl", Server: k.process},
		Address:  running.Address, ServerPID: running.PID, Version: "1.2",
		ClientSource: "openssl", ServerSource: k.source, ServerMemory: k.memory,
	})
}

// TestTLSServersFromBeforeTheStart: on connections that come after the start
// nothing is missing, however old the server is.
func TestTLSServersFromBeforeTheStart(t *testing.T) {
	material := secure(t)
	servers := tlsServers()
	running := make([]*Server, len(servers))
	for i, server := range servers {
		running[i] = server.start(t, material)
	}
	c := startCollector(t, everything())
	for i, server := range servers {
		t.Run(server.name, func(t *testing.T) { server.answerCurl(t, c, running[i], material) })
	}
	c.Stop(t)
}

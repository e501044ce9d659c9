//go:build linux

package kernel

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/executable"
)

// functionsOf finds exported functions by the standard library's reader, so
// that this test stands on the programs alone.
func functionsOf(t *testing.T, path string, names ...string) []executable.Function {
	t.Helper()
	file, err := elf.Open(path)
	require.NoError(t, err)
	defer file.Close()
	symbols, err := file.DynamicSymbols()
	require.NoError(t, err)
	var functions []executable.Function
	for _, symbol := range symbols {
		if !slices.Contains(names, symbol.Name) || symbol.Section == elf.SHN_UNDEF {
			continue
		}
		for _, segment := range file.Progs {
			if segment.Type == elf.PT_LOAD && segment.Vaddr <= symbol.Value && symbol.Value < segment.Vaddr+segment.Memsz {
				functions = append(functions, executable.Function{Name: symbol.Name, Entry: symbol.Value - segment.Vaddr + segment.Off})
			}
		}
	}
	require.Len(t, functions, len(names))
	return functions
}

// libssl returns the library that the openssl command uses.
func libssl(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*-linux-gnu/libssl.so.3")
	require.NoError(t, err)
	require.NotEmpty(t, found, "libssl of Debian's package libssl3")
	return found[0]
}

// answering is a server in Python, which calls SSL_read and SSL_write, as
// s_server -www does not.
const answering = `
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"an answer " * 5000)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
`

// serveTLS starts a server with a certificate of its own and returns its port.
func serveTLS(t *testing.T) string {
	t.Helper()
	certificate := filepath.Join(t.TempDir(), "certificate")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", certificate, "-out", certificate, "-subj", "/CN=localhost").CombinedOutput()
	require.NoError(t, err, "%s", out)
	server := exec.Command("/usr/bin/python3", "-c", answering, certificate)
	printed, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	port, err := bufio.NewReader(printed).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(port)
}

// Shows that a session's plaintext comes under its socket's connection, with
// the addresses, that its end has the positions of the plaintext, and that no
// ciphertext but the handshake comes.
func TestOpenSSLSessionsAreReadUnderTheirSocket(t *testing.T) {
	needsKernel(t)
	port := serveTLS(t)
	source, err := Open(defaults())
	require.NoError(t, err)
	defer func() { require.NoError(t, source.Close()) }()
	file, err := os.Open(libssl(t))
	require.NoError(t, err)
	probes, err := source.Attach(file, executable.Finding{
		Library:   executable.OpenSSL,
		Functions: functionsOf(t, libssl(t), "SSL_read", "SSL_write", "SSL_read_ex", "SSL_write_ex", "SSL_free"),
	})
	require.NoError(t, err)
	require.NoError(t, file.Close(), "probes outlive the descriptor")
	client := exec.Command("curl", "-sk", "--http1.1", "https://127.0.0.1:"+port+"/a-request")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	var answer []byte
	var asked error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		answer, asked = client.CombinedOutput()
	}()

	opened := map[uint64][]event.Open{}
	closed := map[uint64]event.Close{}
	plain := map[uint64]map[event.Direction][]byte{}
	ciphertext := 0
	// Both ends have told what passed and that they have ended.
	isOver := func() bool {
		for connection := range plain {
			if _, ended := closed[connection]; !ended {
				return false
			}
		}
		return len(plain) == 2
	}
	require.NoError(t, source.Run(ctx, func(batch *event.Batch) {
		defer batch.Release()
		defer func() {
			if isOver() {
				cancel()
			}
		}()
		for rest := batch.Records; len(rest) > 0; {
			var record []byte
			record, rest, err = event.Next(rest)
			require.NoError(t, err)
			switch event.KindOf(record) {
			case event.KindOpen:
				var o event.Open
				require.NoError(t, event.DecodeOpen(record, &o))
				opened[o.Connection] = append(opened[o.Connection], o)
			case event.KindClose:
				var c event.Close
				require.NoError(t, event.DecodeClose(record, &c))
				closed[c.Connection] = c
			case event.KindData:
				var d event.Data
				require.NoError(t, event.DecodeData(record, &d))
				if d.Source == event.SourceSocket {
					ciphertext++
					continue
				}
				if plain[d.Connection] == nil {
					plain[d.Connection] = map[event.Direction][]byte{}
				}
				require.EqualValues(t, len(plain[d.Connection][d.Direction]), d.Position)
				plain[d.Connection][d.Direction] = append(plain[d.Connection][d.Direction], d.Payload...)
			}
		}
	}))
	<-answered
	require.NoError(t, probes.Close())
	require.NoError(t, asked, "%s", answer)
	require.Len(t, plain, 2, "the client's end and the server's")
	require.Zero(t, ciphertext)
	for connection, bytesOf := range plain {
		request, response := bytesOf[event.Send], bytesOf[event.Receive]
		if !bytes.HasPrefix(request, []byte("GET /a-request")) {
			request, response = response, request
		}
		require.True(t, bytes.HasPrefix(request, []byte("GET /a-request HTTP/1.1\r\n")), "%q", request)
		require.True(t, bytes.HasPrefix(response, []byte("HTTP/1.0 200 OK\r\n")), "%q", response)
		require.True(t, bytes.HasSuffix(response, answer), "%q", response)
		last := opened[connection][len(opened[connection])-1]
		require.Contains(t, []string{strconv.Itoa(int(last.LocalPort)), strconv.Itoa(int(last.RemotePort))}, port)
		require.Equal(t, event.SourceOpenSSL, last.Source)
		require.EqualValues(t, len(bytesOf[event.Send]), closed[connection].Sent)
		require.EqualValues(t, len(bytesOf[event.Receive]), closed[connection].Received)
	}
}

//go:build linux

package deploy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The system's own Python: another one may come with a TLS library of its own.
const python = "/usr/bin/python3"

// startServer runs server.py on this host, outside of any container, and
// returns its address. It ends with the test.
func startServer(t *testing.T, arguments ...string) string {
	t.Helper()
	command := exec.Command(python, append([]string{"-B", "server.py"}, arguments...)...)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err, "what the server says first")
	port, found := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	require.True(t, found, line)
	return net.JoinHostPort("127.0.0.1", port)
}

// certificate writes a self-signed certificate and its key to one file.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	content := append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	name := filepath.Join(t.TempDir(), "server.pem")
	require.NoError(t, os.WriteFile(name, content, 0o600))
	return name
}

// request asks a server of this host for a path that nobody else asks for, and
// returns the URL.
func request(t *testing.T, scheme, address string) string {
	t.Helper()
	var random [8]byte
	_, err := rand.Read(random[:])
	require.NoError(t, err)
	url := scheme + "://" + address + "/" + hex.EncodeToString(random[:])
	out, err := exec.Command("curl", "-sSk", "--max-time", "30", url).CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	require.Equal(t, "an answer\n", string(out))
	return url
}

// eventually calls check until it is true, and fails with what explain says.
func eventually(t *testing.T, check func() bool, explain func() string) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !check(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(explain())
		}
	}
}

//go:build linux

package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Certificates are files in PEM: a certificate authority, and what a server on
// loopback shows.
type Certificates struct {
	Authority, Certificate, Key string
	Both                        string // certificate and key in one file
}

// tlsPrograms are those that tests with TLS need beyond what all tests need.
var tlsPrograms = []string{
	"gcc", "ldd", "openssl", "wget", "gnutls-cli", "gnutls-serv", "ruby", "php", "/usr/bin/perl", "/usr/sbin/apache2", "unshare",
}

// secure returns the certificates of all tests, and skips the test where it
// cannot run. Processes that are started after it trust the authority, as far
// as their library reads the environment; Go's ones speak HTTP/1.1.
func secure(t testing.TB) Certificates {
	t.Helper()
	need(t)
	for _, name := range tlsPrograms {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("CI must run this: ", err)
			}
			t.Skip("make deps installs what is missing: ", err)
		}
	}
	c, err := certificates()
	require.NoError(t, err, "making certificates")
	return c
}

var certificates = sync.OnceValues(func() (Certificates, error) {
	dir := filepath.Join(installation.programs, "certificates")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return Certificates{}, err
	}
	c := Certificates{
		Authority:   filepath.Join(dir, "authority.pem"),
		Certificate: filepath.Join(dir, "certificate.pem"),
		Key:         filepath.Join(dir, "key.pem"),
		Both:        filepath.Join(dir, "both.pem"),
	}
	if err := c.write(); err != nil {
		return c, err
	}
	return c, errors.Join(
		os.Setenv("SSL_CERT_FILE", c.Authority),
		os.Setenv("NODE_EXTRA_CA_CERTS", c.Authority),
		os.Setenv("GODEBUG", "http2client=0,http2server=0"),
	)
})

// write makes the keys and signs. They are valid for a day.
func (c Certificates) write() error {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "qtap end-to-end tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	authorityPEM, err := sign(authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	serverPEM, err := sign(server, authority, key.Public(), authorityKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for path, content := range map[string][]byte{
		c.Authority: authorityPEM, c.Certificate: serverPEM, c.Key: keyPEM, c.Both: append(keyPEM, serverPEM...),
	} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func sign(certificate, by *x509.Certificate, key crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, certificate, by, key, signer)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

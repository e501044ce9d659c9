package handshake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// tap notes what one end writes.
type tap struct {
	net.Conn
	written *[]byte
}

func (t tap) Write(b []byte) (int, error) {
	*t.written = append(*t.written, b...)
	return t.Conn.Write(b)
}

// shake returns the bytes of both directions of a handshake of crypto/tls.
func shake(t testing.TB, client, server *tls.Config) (up, down []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	server.Certificates = []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}
	client.InsecureSkipVerify = true
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	a, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	b, err := listener.Accept()
	require.NoError(t, err)
	defer b.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(tap{b, &down}, server).Handshake() }()
	c := tls.Client(tap{a, &up}, client)
	require.NoError(t, c.Handshake())
	require.NoError(t, <-done)
	require.NoError(t, a.Close())
	return up[:min(len(up), maxBytes)], down[:min(len(down), maxBytes)]
}

// play gives bytes in pieces of a size; the client's direction first.
func play(up, down []byte, clientSends event.Direction, piece int) (Facts, bool) {
	var r Reader
	done := false
	for _, side := range []struct {
		bytes []byte
		way   event.Direction
	}{{up, clientSends}, {down, clientSends.Opposite()}} {
		for at := 0; at < len(side.bytes); at += piece {
			b := side.bytes[at:min(at+piece, len(side.bytes))]
			done = r.Take(&event.Data{Position: uint64(at), Size: uint32(len(b)), Direction: side.way, Payload: b})
		}
	}
	return r.Facts(), done
}

func TestTheHellosOfCryptoTLSAreRead(t *testing.T) {
	for _, x := range []struct {
		name           string
		client, server *tls.Config
		want           Facts
	}{
		{
			"1.3", &tls.Config{ServerName: "Example.org", NextProtos: []string{"h2", "http/1.1"}},
			&tls.Config{NextProtos: []string{"http/1.1"}},
			Facts{Version: tls.VersionTLS13, ServerName: "example.org"}, // the protocol is encrypted
		},
		{
			"1.2 with ALPN", &tls.Config{ServerName: "a.example", NextProtos: []string{"h2", "http/1.1"}, MaxVersion: tls.VersionTLS12},
			&tls.Config{NextProtos: []string{"http/1.1"}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
			Facts{Version: tls.VersionTLS12, Cipher: tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ServerName: "a.example", Protocol: "http/1.1"},
		},
		{
			"a retry for another key", &tls.Config{ServerName: "b.example", CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP384}},
			&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}},
			Facts{Version: tls.VersionTLS13, ServerName: "b.example"},
		},
		{"no name", &tls.Config{ServerName: "127.0.0.1"}, &tls.Config{}, Facts{Version: tls.VersionTLS13}},
	} {
		up, down := shake(t, x.client, x.server)
		for _, way := range []event.Direction{event.Send, event.Receive} {
			for _, piece := range []int{1, 5, 7, 512, maxBytes} {
				got, done := play(up, down, way, piece)
				if x.want.Cipher == 0 {
					got.Cipher = 0 // the machine chooses
				}
				assert.Equal(t, x.want, got, "%s, pieces of %d", x.name, piece)
				assert.True(t, done, "%s, pieces of %d", x.name, piece)
			}
		}
	}
}

func TestWhatIsNoHelloTellsNothing(t *testing.T) {
	up, down := shake(t, &tls.Config{ServerName: "example.org"}, &tls.Config{})
	hole := event.Data{Position: 3, Size: 10, Payload: up[3:13]}
	var r Reader
	r.Take(&hole)
	r.Take(&event.Data{Position: 13, Size: uint32(len(up) - 13), Payload: up[13:]})
	assert.Zero(t, r.Facts(), "a hello without its beginning")

	got, done := play([]byte("GET / HTTP/1.1\r\n\r\n"), down, event.Send, 100)
	assert.True(t, done)
	assert.Empty(t, got.ServerName)

	for _, name := range []string{"", ".", "a..b", "a b", "a\x00b", "\xff", string(make([]byte, 300))} {
		assert.False(t, isHostName(name), "%q", name)
	}
}

func FuzzReader(f *testing.F) {
	up, down := shake(f, &tls.Config{ServerName: "example.org"}, &tls.Config{})
	f.Add(up, down, uint16(1))
	f.Add(up[:40], down[10:], uint16(500))
	f.Add([]byte("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"), []byte{}, uint16(3))
	f.Fuzz(func(t *testing.T, up, down []byte, piece uint16) {
		facts, _ := play(up, down, event.Send, int(piece)+1)
		if facts.ServerName != "" && !isHostName(facts.ServerName) {
			t.Errorf("not a host name: %q", facts.ServerName)
		}
		whole, _ := play(up, down, event.Send, len(up)+len(down)+1)
		if len(up) <= maxBytes && len(down) <= maxBytes && whole != facts {
			t.Errorf("the pieces change the facts: %+v, %+v", whole, facts)
		}
	})
}

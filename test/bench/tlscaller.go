//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// prepareTLS returns an exchange over TLS between two ends in this process, or,
// for the kind "nothing", reads that move nothing: what those cost more when
// watched is the price of the two traps of a probed function.
func prepareTLS(request, response []byte, kind string) (w window, done func(), err error) {
	client, server, err := openTLS()
	if err != nil {
		return w, nil, err
	}
	done = func() { _, _ = client.Close(), server.Close() }
	buffer := make([]byte, len(request)+len(response))
	turn := func() error {
		for _, move := range []struct {
			from, to *tls.Conn
			bytes    []byte
		}{{client, server, request}, {server, client, response}} {
			if _, err := move.from.Write(move.bytes); err != nil {
				return fmt.Errorf("writing to TLS: %w", err)
			}
			if _, err := io.ReadFull(move.to, buffer[:len(move.bytes)]); err != nil {
				return fmt.Errorf("reading from TLS: %w", err)
			}
		}
		return nil
	}
	if err := turn(); err != nil { // the handshake, and what comes with it
		done()
		return w, nil, err
	}
	if kind == "nothing" {
		return window{turn: func() error { _, err := client.Read(nil); return err }, calls: 1, turns: 2000}, done, nil
	}
	return window{turn: turn, calls: 4, turns: 100}, done, nil
}

// openTLS returns both ends of a connection over loopback.
func openTLS() (client, server *tls.Conn, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("making a certificate: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("listening: %w", err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return nil, nil, fmt.Errorf("connecting: %w", err)
	}
	far, err := listener.Accept()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("accepting: %w", err), near.Close())
	}
	client = tls.Client(near, &tls.Config{InsecureSkipVerify: true})
	server = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}})
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	if err := errors.Join(client.Handshake(), <-shaken); err != nil {
		return nil, nil, fmt.Errorf("shaking hands: %w", err)
	}
	return client, server, nil
}

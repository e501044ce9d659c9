//go:build linux

package kernel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/executable"
)

const (
	goRequest  = "GET /go HTTP/1.1\r\nHost: a\r\n\r\n"
	goResponse = "HTTP/1.1 204 No Content\r\n\r\n"
	goTurns    = 50
)

// runTLSChild makes requests on a connection between two ends of its own.
func runTLSChild() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() {
		c, err := listener.Accept()
		buffer := make([]byte, len(goRequest))
		for range goTurns {
			if err == nil {
				_, err = io.ReadFull(c, buffer)
			}
			if err == nil {
				_, err = c.Write([]byte(goResponse))
			}
		}
		served <- errors.Join(err, c.Close())
	}()
	c, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	for range goTurns {
		if _, err := c.Write([]byte(goRequest)); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, make([]byte, len(goResponse))); err != nil {
			return err
		}
	}
	return errors.Join(<-served, c.Close())
}

// Shows that goroutines that change threads in the middle of a call are read
// whole, on both ends, and bound to their socket. It needs no other program,
// so it also runs on other kernels.
func TestGoSessionsAreReadUnderTheirSocket(t *testing.T) {
	needsKernel(t)
	source, err := Open(defaults())
	require.NoError(t, err)
	defer func() { require.NoError(t, source.Close()) }()
	file, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	report, err := executable.Examine(file, info.Size())
	require.NoError(t, err)
	require.Len(t, report.Findings, 1, "this test's own executable")
	probes, err := source.Attach(file, report.Findings[0])
	require.NoError(t, err)
	t.Logf("uprobe.multi: %v", source.probes.isMulti)

	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), childVariable+"=tls")
	child.Stderr = os.Stderr
	require.NoError(t, child.Start())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	go func() {
		defer cancel()
		if err := child.Wait(); err != nil {
			t.Errorf("the child: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}()
	type stream struct {
		connection uint64
		direction  event.Direction
	}
	plain := map[stream]string{}
	last := map[uint64]event.Open{}
	require.NoError(t, source.Run(ctx, func(batch *event.Batch) {
		defer batch.Release()
		for rest := batch.Records; len(rest) > 0; {
			var record []byte
			record, rest, err = event.Next(rest)
			require.NoError(t, err)
			switch event.KindOf(record) {
			case event.KindOpen:
				var o event.Open
				require.NoError(t, event.DecodeOpen(record, &o))
				last[o.Connection] = o
			case event.KindData:
				var d event.Data
				require.NoError(t, event.DecodeData(record, &d))
				if int(d.PID) == child.Process.Pid && d.Source == event.SourceGo {
					plain[stream{d.Connection, d.Direction}] += string(d.Payload)
				}
			}
		}
	}))
	require.NoError(t, probes.Close())
	require.Len(t, plain, 4, "two ends with two directions")
	for s, got := range plain {
		want := goResponse
		if strings.HasPrefix(got, "GET") {
			want = goRequest
		}
		require.Equal(t, strings.Repeat(want, goTurns), got)
		opened := last[s.connection]
		require.NotZero(t, opened.RemotePort)
		require.True(t, net.IP(opened.Remote[:]).IsLoopback() || net.IP(opened.Remote[:4]).IsLoopback())
	}
}

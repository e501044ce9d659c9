package record

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// second is one second of kernel time; the fixtures begin at some of them.
const second = uint64(1e9)

// clock makes kernel time 0 the start of 2026.
const clock = int64(1767225600) * int64(second)

func testOptions() Options {
	return Options{
		ServiceName: "qtap", HostName: "host-1", Session: "5f3a9c1e",
		AccessURL: "{{SCHEME}}://{{ENDPOINT}}/{{BUCKET}}/{{DIGEST}}", Scheme: "https", Endpoint: "s3.example.test", Bucket: "artifacts",
		BodyLimit: 1 << 20, ScopeName: "github.com/qtapreceiver/qtapreceiver", ScopeVersion: "0.1.0",
	}
}

func newTestEncoder(t testing.TB, o Options) *Encoder {
	e, err := NewEncoder(o)
	require.NoError(t, err)
	e.SetClock(clock)
	return e
}

func nginx() *transaction.Process {
	return &transaction.Process{
		PID: 123, ExecutableName: "nginx", ExecutablePath: "/usr/sbin/nginx", Owner: "www-data",
		ContainerID: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", PodUID: "6f8a3a52-0c5d-4b1e-9f5a-1d2c3b4a5f60",
	}
}

func curl() *transaction.Process {
	return &transaction.Process{PID: 77, ExecutableName: "curl", ExecutablePath: "/usr/bin/curl", Owner: "alice"}
}

func serverConnection() *transaction.Connection {
	return &transaction.Connection{
		ID: 42, Opened: 9 * second, FirstSeen: 10 * second, Role: event.RoleServer, Protocol: event.ProtocolHTTP1,
		Local: netip.MustParseAddrPort("10.0.0.2:8080"), Remote: netip.MustParseAddrPort("203.0.113.9:40000"),
		Process: transaction.ProcessKey{PID: 123, Generation: 1}, Transactions: 3,
	}
}

func clientConnection() *transaction.Connection {
	return &transaction.Connection{
		ID: 43, Opened: 19 * second, FirstSeen: 19 * second, Role: event.RoleClient, Protocol: event.ProtocolHTTP1,
		Local: netip.MustParseAddrPort("[2001:db8::2]:50000"), Remote: netip.MustParseAddrPort("[2001:db8::1]:80"),
		Process: transaction.ProcessKey{PID: 77, Generation: 1}, Transactions: 1,
	}
}

// simpleGet is an ordinary request that a local server answered.
func simpleGet() *transaction.Transaction {
	return &transaction.Transaction{
		Connection: serverConnection(), Sequence: 2,
		Request: &message.Message{
			Kind: message.Request, Protocol: "HTTP/1.1", Method: "GET", Target: "/a?b=1&b=2", HeadSize: 95,
			Fields: message.Fields{
				{Name: "Host", Value: "example.test"},
				{Name: "User-Agent", Value: "curl/7.88.1"},
				{Name: "Accept", Value: "*/*"},
				{Name: "X-Two", Value: "1"},
				{Name: "x-two", Value: "2"},
			},
			First: event.Stamp{Time: 10 * second, PID: 123, Generation: 1}, End: 10 * second,
		},
		Response: &message.Message{
			Kind: message.Response, Protocol: "HTTP/1.1", Status: 200, Phrase: "OK", HeadSize: 70,
			Fields: message.Fields{{Name: "Content-Type", Value: "text/plain"}, {Name: "Content-Length", Value: "13"}},
			Body:   message.Body{Bytes: []byte("Hello, wörld"), Size: 13},
			First:  event.Stamp{Time: 10*second + 11_500_000, PID: 123, Generation: 1}, End: 10*second + 12_345_678,
		},
	}
}

// uploadWithSecrets is a request to another host with a gzip response, chunk
// trailers, a trace context, and a secret in every place that redaction covers.
func uploadWithSecrets(t testing.TB) *transaction.Transaction {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(`{"answer":42}`))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return &transaction.Transaction{
		Connection: clientConnection(), Sequence: 1,
		Request: &message.Message{
			Kind: message.Request, Protocol: "HTTP/1.1", Method: "PUT", HeadSize: 400,
			Target: "/object?X-Amz-Signature=cAnArY&part=1",
			Fields: message.Fields{
				{Name: "Host", Value: "store.example.test:8443"},
				{Name: "Authorization", Value: "Bearer cAnArY"},
				{Name: "Cookie", Value: "session=cAnArY"},
				{Name: "Referer", Value: "https://u:cAnArY@h.test/?sig=cAnArY"},
				{Name: "Content-Type", Value: "application/octet-stream"},
				{Name: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			},
			Body:  message.Body{Bytes: []byte{0xff, 0xfe, 0, 1}, Size: 4},
			First: event.Stamp{Time: 20 * second, PID: 77, Generation: 1}, End: 20*second + 1_000_000,
		},
		Response: &message.Message{
			Kind: message.Response, Protocol: "HTTP/1.1", Status: 403, Phrase: "Forbidden", HeadSize: 200,
			Fields: message.Fields{
				{Name: "Content-Type", Value: "application/json"},
				{Name: "Content-Encoding", Value: "gzip"},
				{Name: "Set-Cookie", Value: "session=cAnArY; HttpOnly"},
				{Name: "Location", Value: "//u:cAnArY@h.test/#sig=cAnArY"},
				{Name: "Transfer-Encoding", Value: "chunked"},
			},
			Trailers: message.Fields{{Name: "X-Auth-Token", Value: "cAnArY"}, {Name: "X-Checksum", Value: "abc"}},
			Body:     message.Body{Bytes: packed.Bytes(), Size: int64(packed.Len())},
			First:    event.Stamp{Time: 20*second + 3_000_000, PID: 77, Generation: 1}, End: 20*second + 4_000_000,
		},
	}
}

// unanswered is a request on a Unix socket whose connection ended before an
// answer; its method is not a known one and its body was cut.
func unanswered() *transaction.Transaction {
	c := &transaction.Connection{
		ID: 44, FirstSeen: 30 * second, Late: true, Role: event.RoleServer, Protocol: event.ProtocolHTTP1, Unix: true, Path: "/run/app.sock",
	}
	return &transaction.Transaction{
		Connection: c, Sequence: 1, Missing: event.Of(event.ReasonNoResponse, event.ReasonConnectionClosed),
		Request: &message.Message{
			Kind: message.Request, Protocol: "HTTP/1.0", Method: "purge", Target: "/x\x1b[2J\xff", HeadSize: 30,
			Body:  message.Body{Bytes: []byte("half a ch\xc3"), Size: 5000, Missing: event.Of(event.ReasonBodyLimit)},
			First: event.Stamp{Time: 30 * second, PID: 500}, End: 31 * second,
		},
	}
}

// onlyResponse is an answer to a request that was not seen.
func onlyResponse() *transaction.Transaction {
	c := serverConnection()
	c.ID, c.Late, c.Opened = 45, true, 0
	return &transaction.Transaction{
		Connection: c, Sequence: 1, Missing: event.Of(event.ReasonNoRequest, event.ReasonJoinedLate),
		Response: &message.Message{
			Kind: message.Response, Protocol: "HTTP/1.1", Status: 502, Phrase: "Bad Gateway", HeadSize: 50,
			Body:  message.Body{Size: message.SizeUnknown, Missing: event.Of(event.ReasonConnectionClosed)},
			First: event.Stamp{Time: 40 * second, PID: 123, Generation: 1}, End: 40 * second,
		},
	}
}

package http1

import (
	"strings"
	"testing"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// discard is a Sink that gives memory back at once.
type discard struct {
	memory *ledger
	keep   int64
}

func (discard) Expect() (string, bool)        { return "GET", true }
func (d discard) Head(*message.Message) int64 { return d.keep }
func (d discard) Done(m *message.Message)     { d.memory.Give(m.Held) }
func (discard) Lost(event.Reason)             { panic("lost") }
func (discard) Opaque()                       { panic("opaque") }

// get is a request as browsers send it: about 400 bytes in 8 fields.
var get = []byte("GET /search?q=otel+collector&page=2 HTTP/1.1\r\nHost: shop.example.test\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n")

func benchmark(b *testing.B, keep int64, calls ...[]byte) {
	memory := &ledger{capacity: 1 << 30}
	p := New(discard{memory, keep}, memory, Limits{})
	size := 0
	for _, call := range calls {
		size += len(call)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, call := range calls {
			p.Bytes(call, event.Stamp{Time: 1, Begins: true})
		}
	}
}

func BenchmarkGet(b *testing.B) { benchmark(b, 0, get) }

func BenchmarkGetInTwoCalls(b *testing.B) { benchmark(b, 0, get[:200], get[200:]) }

var body = []byte(strings.Repeat("x", 64<<10))

func BenchmarkBody64KNotKept(b *testing.B) {
	benchmark(b, 0, []byte("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n"), body)
}

func BenchmarkBody64KKept(b *testing.B) {
	benchmark(b, 1<<20, []byte("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n"), body)
}

func BenchmarkChunks1KNotKept(b *testing.B) {
	chunk := "400\r\n" + string(body[:1024]) + "\r\n"
	benchmark(b, 0, []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
		[]byte(strings.Repeat(chunk, 64)+"0\r\n\r\n"))
}

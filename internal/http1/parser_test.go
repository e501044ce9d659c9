package http1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// ledger is a Memory that counts.
type ledger struct{ used, most, capacity int }

func (l *ledger) Take(n int) bool {
	if l.used+n > l.capacity {
		return false
	}
	l.used += n
	l.most = max(l.most, l.used)
	return true
}

func (l *ledger) Give(n int) { l.used -= n }

// transcript is a Sink that writes down what it is told.
type transcript struct {
	methods  []string // of requests that wait for a response
	keep     int64
	messages []*message.Message
	heads    int
	losses   []event.Reason
	opaque   int
}

func (s *transcript) Expect() (string, bool) {
	if len(s.methods) == 0 {
		return "", false
	}
	return s.methods[0], true
}

func (s *transcript) Head(m *message.Message) int64 {
	s.heads++
	if m.Kind == message.Response && !interim(m) && len(s.methods) > 0 {
		s.methods = s.methods[1:]
	}
	return s.keep
}

func (s *transcript) Done(m *message.Message) { s.messages = append(s.messages, m) }
func (s *transcript) Lost(r event.Reason)     { s.losses = append(s.losses, r) }
func (s *transcript) Opaque()                 { s.opaque++ }
func (s *transcript) expecting(m ...string)   { s.methods = append(s.methods, m...) }
func stamp(at int) event.Stamp                { return event.Stamp{Time: uint64(at), PID: 7, Begins: true} }

func gap(n int) event.Gap {
	return event.Gap{From: 1000, To: 1000 + uint64(n), Reason: event.ReasonRingFull}
}

func newTranscript(methods ...string) *transcript {
	return &transcript{methods: methods, keep: 1 << 20}
}

func newParser(s Sink) *Parser { return New(s, &ledger{capacity: 1 << 30}, Limits{}) }

// brief writes a message on one line: what a reader compares first.
func brief(m *message.Message) string {
	var b strings.Builder
	if m.Kind == message.Request {
		fmt.Fprintf(&b, "%s %s %s", m.Method, m.Target, m.Protocol)
	} else {
		fmt.Fprintf(&b, "%s %d %s", m.Protocol, m.Status, m.Phrase)
	}
	fmt.Fprintf(&b, " %d %q", m.Body.Size, m.Body.Bytes)
	for _, f := range m.Trailers {
		fmt.Fprintf(&b, " +%s=%s", f.Name, f.Value)
	}
	if m.Upgrade {
		b.WriteString(" upgrade")
	}
	if m.Missing != 0 {
		fmt.Fprintf(&b, " missing %s", strings.Join(m.Missing.Names(), ","))
	}
	if m.Body.Missing != 0 {
		fmt.Fprintf(&b, " body %s", strings.Join(m.Body.Missing.Names(), ","))
	}
	return b.String()
}

// story is what a parser said of one input, for comparison.
func (s *transcript) story() []string {
	var all []string
	for _, m := range s.messages {
		all = append(all, brief(m))
	}
	for _, r := range s.losses {
		all = append(all, "lost "+r.String())
	}
	for range s.opaque {
		all = append(all, "opaque")
	}
	return all
}

type messageCase struct {
	name    string
	input   string
	methods string // answered, for responses; empty for requests
	reset   bool   // the close is not orderly
	want    []string
}

var requestCases = []messageCase{
	{
		"a request without a body ends with its head", "GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n", "", false,
		[]string{`GET /a?b=1 HTTP/1.1 0 ""`},
	},
	{
		"a body of known length", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "", false,
		[]string{`POST / HTTP/1.1 3 "abc"`},
	},
	{"any method token", "M-SEARCH!~ * HTTP/1.1\r\n\r\n", "", false, []string{`M-SEARCH!~ * HTTP/1.1 0 ""`}},
	{
		"absolute form and authority form", "GET http://x/y HTTP/1.1\r\n\r\nCONNECT x:1 HTTP/1.1\r\n\r\n", "", false,
		[]string{`GET http://x/y HTTP/1.1 0 ""`, `CONNECT x:1 HTTP/1.1 0 ""`},
	},
	{
		"pipelined requests", "GET /1 HTTP/1.1\r\n\r\nPUT /2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP/1.0\r\n\r\n", "", false,
		[]string{`GET /1 HTTP/1.1 0 ""`, `PUT /2 HTTP/1.1 1 "x"`, `GET /3 HTTP/1.0 0 ""`},
	},
	{
		"empty lines before a request are skipped", "\r\n\n\r\nGET / HTTP/1.1\r\n\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", "", false,
		[]string{`GET / HTTP/1.1 0 ""`, `GET /2 HTTP/1.1 0 ""`},
	},
	{"bare LF ends lines", "POST / HTTP/1.1\nContent-Length: 2\n\nab", "", false, []string{`POST / HTTP/1.1 2 "ab"`}},
	{
		"chunks with extensions and trailers",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b;c=\"d\"\r\nabc\r\n0002 \t; x\r\nde\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nGET / HTTP/1.1\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 5 "abcde" +X-Sum=1 +Y=2`, `GET / HTTP/1.1 0 ""`},
	},
	{
		"trailers frame nothing", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\n\r\nGET / HTTP/1.1\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 0 "" +Content-Length=9`, `GET / HTTP/1.1 0 ""`},
	},
	{
		"a message cut by the close has no known size", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", "", false,
		[]string{`POST / HTTP/1.1 -1 "abc" missing connection_closed body connection_closed`},
	},
	{
		"a head cut by the close is given as far as it came", "POST /x HTTP/1.1\r\nHost: x\r\nCont", "", false,
		[]string{`POST /x HTTP/1.1 -1 "" missing connection_closed body connection_closed`},
	},
	{"a start line cut by the close gives nothing", "POS", "", false, nil},
	{
		"trailers cut by the close leave the size known", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\nC", "", false,
		[]string{`POST / HTTP/1.1 1 "a" +A=b missing connection_closed`},
	},
	{
		"a trailer section that is not valid is marked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA : b\r\n c\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 0 "" +A=b c missing malformed`},
	},
	{"a minor version that is not known is 1.1", "POST / HTTP/1.7\r\nContent-Length: 1\r\n\r\na", "", false, []string{`POST / HTTP/1.7 1 "a"`}},
	{"white space beside the target is marked", "GET  /a HTTP/1.1 \r\n\r\n", "", false, []string{`GET /a HTTP/1.1 0 "" missing malformed`}},
	{"an endless method is opaque", strings.Repeat("A", 300) + " / HTTP/1.1\r\n\r\n", "", false, []string{"opaque"}},
	{"a request without a target is opaque", "GET HTTP/1.1\r\n\r\n", "", false, []string{"opaque"}},
	{"what never was HTTP is opaque", "SSH-2.0-OpenSSH_9.6\r\n", "", false, []string{"opaque"}},
	{"arbitrary bytes are opaque", "\x16\x03\x01\x02\x00\x01", "", false, []string{"opaque"}},
	{"the HTTP/2 preface is opaque", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", false, []string{"opaque"}},
	{"HTTP/0.9 is opaque", "GET /\r\n", "", false, []string{"opaque"}},
	{
		"garbage after a request is a loss", "GET / HTTP/1.1\r\n\r\n\x00\x01\x02", "", false,
		[]string{`GET / HTTP/1.1 0 ""`, "lost malformed"},
	},
	{
		"garbage after an upgrade request is opaque", "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x05hello", "", false,
		[]string{`GET / HTTP/1.1 0 ""`, "opaque"},
	},
	{
		"garbage after CONNECT is opaque", "CONNECT a:1 HTTP/1.1\r\n\r\n\x16\x03\x01", "", false,
		[]string{`CONNECT a:1 HTTP/1.1 0 ""`, "opaque"},
	},
	{"a target with a space is marked", "GET /a b HTTP/1.1\r\n\r\n", "", false, []string{`GET /a b HTTP/1.1 0 "" missing malformed`}},
}

var smugglingCases = []messageCase{
	{
		"Transfer-Encoding overrides Content-Length, all that follows is in doubt",
		"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 1 "a" missing ambiguous_length`, `GET /2 HTTP/1.1 0 "" missing ambiguous_length`},
	},
	{
		"different lengths end a request with its head", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "", false,
		[]string{`POST / HTTP/1.1 -1 "" missing ambiguous_length body ambiguous_length`, "lost ambiguous_length"},
	},
	{
		"equal lengths are one length, marked", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 3 "abc" missing ambiguous_length`, `GET / HTTP/1.1 0 ""`},
	},
	{
		"a list of equal lengths is one length, marked", "POST / HTTP/1.1\r\nContent-Length: 3 , 3\r\n\r\nabc", "", false,
		[]string{`POST / HTTP/1.1 3 "abc" missing ambiguous_length`},
	},
	{
		"chunked twice", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 0 "" missing ambiguous_length`},
	},
	{
		"chunked in two fields", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 0 "" missing ambiguous_length,decode_failed`},
	},
	{
		"another coding below chunked stays undone", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 0 "" missing decode_failed`},
	},
	{
		"a quoted coding", "POST / HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 -1 "" missing ambiguous_length,decode_failed body ambiguous_length`, "lost ambiguous_length"},
	},
	{
		"an empty Transfer-Encoding", "POST / HTTP/1.1\r\nTransfer-Encoding:\r\nContent-Length: 1\r\n\r\na", "", false,
		[]string{`POST / HTTP/1.1 -1 "" missing ambiguous_length,decode_failed body ambiguous_length`, "lost ambiguous_length"},
	},
	{
		"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.0 0 "" missing ambiguous_length`},
	},
	{
		"a request whose last coding is not chunked has no end", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 -1 "" missing ambiguous_length,decode_failed body ambiguous_length`, "lost ambiguous_length"},
	},
	{
		"white space before the colon of a length", "POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\na", "", false,
		[]string{`POST / HTTP/1.1 1 "a" missing malformed,ambiguous_length`},
	},
	{
		"white space before another colon", "POST / HTTP/1.1\r\nX : 1\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 0 "" missing malformed`},
	},
	{
		"a folded Transfer-Encoding", "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 0 "" missing ambiguous_length`},
	},
	{
		"a control byte in the name of a length", "POST / HTTP/1.1\r\n\vTransfer-Encoding: chunked\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 0 "" missing malformed,ambiguous_length`},
	},
	{
		"a bare CR in a value", "GET / HTTP/1.1\r\nA: b\rContent-Length: 5\r\n\r\n", "", false,
		[]string{`GET / HTTP/1.1 0 "" missing malformed`},
	},
	{"NUL in a value", "GET / HTTP/1.1\r\nA: b\x00\r\n\r\n", "", false, []string{`GET / HTTP/1.1 0 "" missing malformed`}},
	{"a line without a colon", "GET / HTTP/1.1\r\nhello\r\n\r\n", "", false, []string{`GET / HTTP/1.1 0 "" missing malformed`}},
	{
		"a fold before the first field", "GET / HTTP/1.1\r\n Content-Length: 5\r\nA: b\r\n\r\n", "", false,
		[]string{`GET / HTTP/1.1 0 "" missing malformed`},
	},
	{
		"LF alone after a chunk size", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 1 "a" missing ambiguous_length`},
	},
	{
		"LF alone after a chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 1 "a" missing ambiguous_length`},
	},
	{
		"a bare CR in a chunk extension", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\na\r\n0;\r\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 1 "a" missing ambiguous_length`},
	},
	{
		"a chunk longer than its size", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 -1 "a" missing malformed,ambiguous_length body malformed`, "lost malformed"},
	},
}

func lostChunk(size string) messageCase {
	return messageCase{
		"chunk size " + size, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + size + "\r\na\r\n0\r\n\r\n", "", false,
		[]string{`POST / HTTP/1.1 -1 "" missing malformed,ambiguous_length body malformed`, "lost malformed"},
	}
}

func lostLength(value string) messageCase {
	return messageCase{
		"length " + value, "POST / HTTP/1.1\r\nContent-Length: " + value + "\r\n\r\nabc", "", false,
		[]string{`POST / HTTP/1.1 -1 "" missing ambiguous_length body ambiguous_length`, "lost ambiguous_length"},
	}
}

var responseCases = []messageCase{
	{
		"a body until the close is whole after an orderly one", "HTTP/1.1 200 OK\r\n\r\nabc", "GET", false,
		[]string{`HTTP/1.1 200 OK 3 "abc"`},
	},
	{
		"a body until the close is cut by a reset", "HTTP/1.1 200 OK\r\n\r\nabc", "GET", true,
		[]string{`HTTP/1.1 200 OK -1 "abc" missing connection_closed body connection_closed`},
	},
	{
		"a response to HEAD has no body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "HEAD GET", false,
		[]string{`HTTP/1.1 200 OK 0 ""`, `HTTP/1.1 200 OK 1 "a"`},
	},
	{
		"204 and 304 have no body", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET GET", false,
		[]string{`HTTP/1.1 204 No Content 0 ""`, `HTTP/1.1 304 Not Modified 0 ""`},
	},
	{
		"204 with a length is marked", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "GET", false,
		[]string{`HTTP/1.1 204 No Content 0 "" missing ambiguous_length`},
	},
	{
		"interim responses precede the final one", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "POST", false,
		[]string{`HTTP/1.1 100 Continue 0 ""`, `HTTP/1.1 103 Early Hints 0 ""`, `HTTP/1.1 200 OK 1 "a"`},
	},
	{
		"after 101 the rest is opaque", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\x81\x05hello", "GET", false,
		[]string{`HTTP/1.1 101 Switching Protocols 0 "" upgrade`, "opaque"},
	},
	{
		"after 2xx to CONNECT the rest is opaque", "HTTP/1.1 200 Established\r\nContent-Length: 9\r\n\r\n\x16\x03", "CONNECT", false,
		[]string{`HTTP/1.1 200 Established 0 "" upgrade`, "opaque"},
	},
	{
		"a refused CONNECT is an ordinary response", "HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "CONNECT GET", false,
		[]string{`HTTP/1.1 403 No 1 "a"`, `HTTP/1.1 200 OK 0 ""`},
	},
	{
		"a status line without a phrase", "HTTP/1.0 200\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "GET GET", false,
		[]string{`HTTP/1.0 200  0 ""`, `HTTP/1.1 200  0 ""`},
	},
	{
		"a last coding that is not chunked ends with the close, marked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", "GET", false,
		[]string{`HTTP/1.1 200 OK 3 "abc" missing ambiguous_length,decode_failed`},
	},
	{
		"a response that nobody asked for is framed", "HTTP/1.1 408 Timeout\r\nContent-Length: 1\r\n\r\na", "", false,
		[]string{`HTTP/1.1 408 Timeout 1 "a"`},
	},
	{
		"bytes after a body are a loss", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", "GET", false,
		[]string{`HTTP/1.1 200 OK 1 "a"`, "lost malformed"},
	},
	{
		"white space before the status is marked", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", "GET", false,
		[]string{`HTTP/1.1 200 OK 0 "" missing malformed`},
	},
	{"a phrase that touches the status", "HTTP/1.1 200OK\r\n\r\n", "GET", false, []string{"opaque"}},
	{"another protocol with a version", "RTSP/1.0 200 OK\r\n\r\n", "GET", false, []string{"opaque"}},
	{"HTTP/2 spoken as text", "HTTP/2.0 200 OK\r\n\r\n", "GET", false, []string{"opaque"}},
	{"a status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n", "GET", false, []string{"opaque"}},
}

func allCases() []messageCase {
	all := append([]messageCase(nil), requestCases...)
	all = append(all, smugglingCases...)
	all = append(all, responseCases...)
	for _, size := range []string{"", "x", "-1", "+1", "0x1", "1 1", "ffffffffffffffff1", "fffffffffffffff", "1_0", " 1"} {
		all = append(all, lostChunk(size))
	}
	for _, value := range []string{"", "+3", "-3", "3 3", "3,4", "3,", "0x3", "3.0", "99999999999999999999", "9223372036854775808", "٣"} {
		all = append(all, lostLength(value))
	}
	return all
}

func (c messageCase) sink() *transcript { return newTranscript(strings.Fields(c.methods)...) }

func TestMessages(t *testing.T) {
	for _, c := range allCases() {
		t.Run(c.name, func(t *testing.T) {
			sink := c.sink()
			p := newParser(sink)
			p.Bytes([]byte(c.input), stamp(1))
			p.Close(!c.reset, stamp(2))
			p.Close(!c.reset, stamp(3))
			assert.Equal(t, c.want, sink.story())
			assert.Len(t, sink.messages, sink.heads, "every Head has its Done")
		})
	}
}

func TestEverySplitGivesTheSameMessages(t *testing.T) {
	for _, c := range allCases() {
		whole := c.sink()
		p := newParser(whole)
		p.Bytes([]byte(c.input), stamp(1))
		p.Close(!c.reset, stamp(1))
		for _, parts := range splits(c.input) {
			sink := c.sink()
			memory := &ledger{capacity: 1 << 30}
			p := New(sink, memory, Limits{})
			for i, part := range parts {
				at := stamp(1)
				at.Begins = i == 0
				p.Bytes([]byte(part), at)
			}
			p.Close(!c.reset, stamp(1))
			p.Release()
			require.Equal(t, whole.story(), sink.story(), "%s: %q", c.name, parts)
			for i := range whole.messages {
				require.Equal(t, whole.messages[i].Fields, sink.messages[i].Fields)
				require.Equal(t, whole.messages[i].HeadSize, sink.messages[i].HeadSize, "%s: %q", c.name, parts)
				memory.Give(sink.messages[i].Held)
			}
			require.Zero(t, memory.used, "%s: %q", c.name, parts)
		}
	}
}

// splits returns the text in two parts at every point, and byte by byte.
func splits(text string) [][]string {
	all := [][]string{strings.Split(text, "")}
	for i := 1; i < len(text); i++ {
		all = append(all, []string{text[:i], text[i:]})
	}
	return all
}

package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// clean reports whether a message claims to be what the peers exchanged.
func clean(m *message.Message) bool {
	return m.Missing == 0 && m.Body.Missing == 0 && m.Body.Size != message.SizeUnknown
}

// parseBoth parses text whole and in pieces of the given size, checks that
// both give the same and that no memory is left over, and returns the first.
func parseBoth(t *testing.T, text []byte, size int, methods ...string) *transcript {
	t.Helper()
	var sinks [2]*transcript
	for i := range sinks {
		sink, memory := newTranscript(methods...), &ledger{capacity: 1 << 24}
		p := New(giveUp{sink}, memory, Limits{HeaderBytes: 4096})
		n := len(text)
		if i == 1 {
			n = max(size, 1)
		}
		feed(p, string(text), n)
		p.Close(true, stamp(2))
		p.Release()
		require.Len(t, sink.messages, sink.heads)
		for _, m := range sink.messages {
			memory.Give(m.Held)
			require.LessOrEqual(t, int64(len(m.Body.Bytes)), max(m.Body.Size, int64(len(text))))
		}
		require.Zero(t, memory.used)
		sinks[i] = sink
	}
	require.Equal(t, sinks[0].story(), sinks[1].story())
	for i := range sinks[0].messages {
		require.Equal(t, sinks[0].messages[i].Fields, sinks[1].messages[i].Fields)
	}
	return sinks[0]
}

func seeds(f *testing.F) {
	for _, c := range allCases() {
		f.Add([]byte(c.input), uint8(3))
	}
}

// FuzzRequests compares with net/http where it takes what we call clean.
func FuzzRequests(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		sink := parseBoth(t, text, int(size))
		reader := bufio.NewReader(bytes.NewReader(bytes.TrimLeft(text, "\r\n")))
		for _, m := range sink.messages {
			if m.Kind != message.Request || !clean(m) || m.Upgrade {
				return
			}
			request, err := http.ReadRequest(reader)
			if err != nil {
				return // it refuses more than we do
			}
			body, err := io.ReadAll(request.Body)
			if err != nil {
				return
			}
			require.Equal(t, request.Method, m.Method)
			require.Equal(t, request.RequestURI, m.Target)
			require.Equal(t, request.Proto, m.Protocol)
			require.Equal(t, string(body), string(m.Body.Bytes))
			sameFields(t, request.Header, m.Fields, "Host", "Transfer-Encoding", "Trailer", "Content-Length")
			sameFields(t, request.Trailer, m.Trailers, "Host")
			skipLines(reader)
		}
	})
}

// skipLines skips the empty lines that we skip between messages.
func skipLines(r *bufio.Reader) {
	for {
		b, err := r.Peek(1)
		if err != nil || b[0] != '\r' && b[0] != '\n' {
			return
		}
		_, _ = r.Discard(1)
	}
}

// sameFields compares what net/http kept with what we kept.
func sameFields(t *testing.T, want http.Header, got message.Fields, but ...string) {
	t.Helper()
	have := http.Header{}
	for _, field := range got {
		name := textproto.CanonicalMIMEHeaderKey(field.Name)
		have[name] = append(have[name], field.Value)
	}
	for _, name := range but {
		delete(have, name)
	}
	for name, values := range want {
		if !slices.Contains(but, name) {
			for i := range values {
				values[i] = strings.Trim(values[i], " \t")
			}
			require.Equal(t, values, have[name], name)
		}
	}
}

// FuzzResponses compares with net/http where it takes what we call clean.
func FuzzResponses(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		method := []string{"GET", "HEAD", "POST", "CONNECT"}[size%4]
		methods := []string{method, method, method, method, method, method}
		sink := parseBoth(t, text, int(size), methods...)
		reader := bufio.NewReader(bytes.NewReader(bytes.TrimLeft(text, "\r\n")))
		for i, m := range sink.messages {
			if m.Kind != message.Response || !clean(m) || m.Upgrade || i >= len(methods) {
				return
			}
			response, err := http.ReadResponse(reader, &http.Request{Method: method})
			if err != nil {
				return
			}
			body, err := io.ReadAll(response.Body)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			require.NoError(t, err, "it misses bytes that we have")
			require.Equal(t, response.StatusCode, m.Status)
			require.Equal(t, response.Proto, m.Protocol)
			require.Equal(t, string(body), string(m.Body.Bytes))
			sameFields(t, response.Header, m.Fields, "Transfer-Encoding", "Trailer", "Content-Length")
			skipLines(reader)
		}
	})
}

// FuzzGaps tears a hole into a stream of messages that are known and checks
// that no message that claims to be whole differs from the one sent.
func FuzzGaps(f *testing.F) {
	f.Add([]byte("hello\r\n\r\nGET /z HTTP/1.1\r\n\r\n"), uint16(3), uint16(40), uint16(30))
	f.Add([]byte("1\r\n0\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"), uint16(1), uint16(0), uint16(500))
	f.Add([]byte("0\r\n\r\n0\r\n\r\n"), uint16(2), uint16(90), uint16(7))
	f.Fuzz(func(t *testing.T, body []byte, call, from, length uint16) {
		stream, sent := conversation(body)
		start := int(from) % (len(stream) + 1)
		end := min(start+int(length), len(stream))
		sink, memory := newTranscript(), &ledger{capacity: 1 << 24}
		p := New(sink, memory, Limits{HeaderBytes: 4096})
		p.kind = message.Request
		size := int(call)%200 + 1
		for i := 0; i < len(stream); {
			if i == start && end > start {
				p.Gap(event.Gap{From: uint64(start), To: uint64(end), Reason: event.ReasonRingFull}, stamp(1))
				i = end
				continue
			}
			n := min(size-i%size, len(stream)-i)
			if i < start {
				n = min(n, start-i)
			}
			at := stamp(1)
			at.Begins = i%size == 0
			p.Bytes(stream[i:i+n], at)
			i += n
		}
		p.Close(true, stamp(2))
		p.Release()
		for _, m := range sink.messages {
			memory.Give(m.Held)
			if clean(m) && m.Fields != nil {
				checkSent(t, m, sent, body)
			}
		}
		require.Zero(t, memory.used)
	})
}

// conversation returns requests that carry the body in all framings, and the
// body sizes by target.
func conversation(body []byte) (stream []byte, sent map[string]int) {
	sent = map[string]int{}
	var b bytes.Buffer
	write := func(target string, chunk int) {
		sent[target] = len(body)
		b.WriteString("POST " + target + " HTTP/1.1\r\nX-True: yes\r\n")
		if chunk == 0 {
			b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
			b.Write(body)
			return
		}
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for rest := body; len(rest) > 0; {
			n := min(chunk, len(rest))
			b.WriteString(strconv.FormatInt(int64(n), 16) + "\r\n")
			b.Write(rest[:n])
			b.WriteString("\r\n")
			rest = rest[n:]
		}
		b.WriteString("0\r\n\r\n")
	}
	write("/true/1", 0)
	write("/true/2", 7)
	write("/true/3", 0)
	write("/true/4", 1000)
	write("/true/5", 3)
	return b.Bytes(), sent
}

// checkSent fails when a clean message is none that was sent. Text in the body
// that looks like a request has no X-True; when two such requests begin at
// calls of their own only the pairing can tell (see resync.go), so they are
// not looked at here.
func checkSent(t *testing.T, m *message.Message, sent map[string]int, body []byte) {
	t.Helper()
	if mark, _ := m.Fields.Get("X-True"); mark != "yes" || bytes.Contains(body, []byte("X-True")) {
		return
	}
	size, ok := sent[m.Target]
	require.True(t, ok, "target %q", m.Target)
	require.EqualValues(t, size, m.Body.Size)
	require.Equal(t, string(body), string(m.Body.Bytes))
}

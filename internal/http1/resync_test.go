package http1

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// part is what one call of the application moved, a hole, or the next request.
type part struct {
	text string
	hole int
	more bool   // the text goes on in the same call
	ask  string // a request with the method is sent
}

func (s *transcript) play(p *Parser, parts []part) {
	for i, x := range parts {
		at := stamp(i + 1)
		switch {
		case x.ask != "":
			s.expecting(x.ask)
		case x.hole > 0:
			p.Gap(gap(x.hole), at)
		default:
			at.Begins = !x.more
			p.Bytes([]byte(x.text), at)
		}
	}
}

// giveUp is a Sink that forgets what waits when synchronisation is lost, as
// the pairing does.
type giveUp struct{ *transcript }

func (s giveUp) Lost(r event.Reason) {
	s.methods = nil
	s.transcript.Lost(r)
}

func TestHoles(t *testing.T) {
	const get = "GET / HTTP/1.1\r\n\r\n"
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
	for _, c := range []struct {
		name    string
		methods []string
		parts   []part
		want    []string
	}{
		{
			"in a body of known length", nil,
			[]part{{text: "PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"}, {hole: 4}, {text: "ghi" + get}},
			[]string{`PUT / HTTP/1.1 9 "ab" body ring_full`, `GET / HTTP/1.1 0 ""`},
		},
		{
			"that ends with the body", nil,
			[]part{{text: "PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"}, {hole: 7}, {text: get}},
			[]string{`PUT / HTTP/1.1 9 "ab" body ring_full`, `GET / HTTP/1.1 0 ""`},
		},
		{
			"that goes beyond the body: its end is known, the next message is on probation", nil,
			[]part{{text: "PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"}, {hole: 8}, {text: "rest\n\n"}, {text: get}, {text: get}},
			[]string{`PUT / HTTP/1.1 9 "ab" body ring_full`, `GET / HTTP/1.1 0 "" missing ring_full`, `GET / HTTP/1.1 0 ""`, "lost ring_full"},
		},
		{
			"within a chunk", nil,
			[]part{{text: "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na"}, {hole: 4}, {text: "\r\n1\r\nf\r\n0\r\n\r\n" + get}},
			[]string{`PUT / HTTP/1.1 6 "a" body ring_full`, `GET / HTTP/1.1 0 ""`},
		},
		{
			"beyond a chunk", nil,
			[]part{{text: "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na"}, {hole: 5}, {text: "\n0\r\n\r\n"}, {text: get}},
			[]string{`PUT / HTTP/1.1 -1 "a" missing ring_full body ring_full`, `GET / HTTP/1.1 0 "" missing ring_full`, "lost ring_full"},
		},
		{
			"in a head", nil,
			[]part{{text: "PUT /x HTTP/1.1\r\nA: b\r\nConte"}, {hole: 5}, {text: "th: 3\r\n\r\nabc"}, {text: get}},
			[]string{`PUT /x HTTP/1.1 -1 "" missing ring_full body ring_full`, `GET / HTTP/1.1 0 "" missing ring_full`, "lost ring_full"},
		},
		{
			"between messages", nil,
			[]part{{text: get}, {hole: 5}, {text: get}},
			[]string{`GET / HTTP/1.1 0 ""`, `GET / HTTP/1.1 0 "" missing ring_full`, "lost ring_full"},
		},
		{
			"before the first message", nil,
			[]part{{hole: 5}, {text: "xyz"}, {text: get, more: true}, {text: get}},
			[]string{`GET / HTTP/1.1 0 "" missing ring_full`, "lost ring_full"},
		},
		{
			"requests side by side in a body stay on probation", nil,
			[]part{{hole: 5}, {text: get + get + get}},
			[]string{`GET / HTTP/1.1 0 "" missing ring_full`, `GET / HTTP/1.1 0 "" missing ring_full`, `GET / HTTP/1.1 0 "" missing ring_full`, "lost ring_full"},
		},
		{
			"text that is nearly a start line is no start", nil,
			[]part{{text: get}, {hole: 5}, {text: "GET / b HTTP/1.1\r\n\r\n"}, {text: "HTTP/1.1 200 OK\r\n\r\n"}, {text: "GET / HTTP/1.1"}, {text: "\r\n" + get}},
			[]string{`GET / HTTP/1.1 0 ""`, "lost ring_full"},
		},
		{
			"in a body that ends with the close",
			[]string{"GET"},
			[]part{{text: "HTTP/1.1 200 OK\r\n\r\nab"}, {hole: 4}, {text: "gh"}},
			[]string{`HTTP/1.1 200 OK 8 "ab" body ring_full`},
		},
		{
			"in responses: the next answer to a later request is a start",
			[]string{"GET"},
			[]part{{text: ok}, {hole: 4}, {text: ok + "x"}, {ask: "GET"}, {text: ok + "y"}, {ask: "GET"}, {text: ok + "z"}},
			[]string{`HTTP/1.1 200 OK 1 "" body ring_full`, `HTTP/1.1 200 OK 1 "y" missing ring_full`, `HTTP/1.1 200 OK 1 "z"`, "lost ring_full"},
		},
		{
			"in responses: a request whose answer does not begin with a start line is given up",
			[]string{"GET"},
			[]part{{text: ok}, {hole: 4}, {ask: "GET"}, {text: "body"}, {text: ok + "y"}, {ask: "GET"}, {text: ok + "z"}},
			[]string{`HTTP/1.1 200 OK 1 "" body ring_full`, `HTTP/1.1 200 OK 1 "z" missing ring_full`, "lost ring_full", "lost ring_full"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := newTranscript(c.methods...)
			memory := &ledger{capacity: 1 << 20}
			p := New(giveUp{sink}, memory, Limits{})
			sink.play(p, c.parts)
			p.Close(true, stamp(99))
			assert.Equal(t, c.want, sink.story())
			assert.Len(t, sink.messages, sink.heads, "every Head has its Done")
			for _, m := range sink.messages {
				memory.Give(m.Held)
			}
			assert.Zero(t, memory.used)
		})
	}
}

func TestAnUnaskedResponseThatSwallowsAnAnswerLosesIt(t *testing.T) {
	// It answered a HEAD that was not seen: its length is of no body.
	sink := newTranscript()
	p := newParser(giveUp{sink})
	sink.play(p, []part{
		{text: "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"},
		{ask: "GET"},
		{text: "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\nxxHTTP/1.1 200 FAKE\r\n\r\n"},
	})
	require.Len(t, sink.messages, 1)
	assert.Equal(t, []event.Reason{event.ReasonNoRequest}, sink.losses)
}

func TestAHugeHoleIsOneStep(t *testing.T) {
	sink := newTranscript()
	p := newParser(sink)
	p.Bytes([]byte("PUT / HTTP/1.1\r\nContent-Length: 1099511627776\r\n\r\n"), stamp(1))
	p.Gap(event.Gap{From: 0, To: 1 << 40, Reason: event.ReasonBodyLimit}, stamp(2))
	p.Bytes([]byte("GET / HTTP/1.1\r\n\r\n"), stamp(3))
	p.Gap(event.Gap{From: 0, To: ^uint64(0), Reason: event.ReasonBodyLimit}, stamp(4))
	assert.Equal(t, []string{`PUT / HTTP/1.1 1099511627776 "" body body_limit`, `GET / HTTP/1.1 0 ""`, "lost body_limit"}, sink.story())
}

func TestStopAndAbandon(t *testing.T) {
	sink, memory := newTranscript(), &ledger{capacity: 1 << 20}
	p := New(sink, memory, Limits{})
	p.Bytes([]byte("PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"), stamp(1))
	p.Abandon(event.ReasonIdle, stamp(2))
	p.Bytes([]byte("cde"), stamp(3))
	p.Gap(gap(3), stamp(3))
	p.Close(true, stamp(4))
	assert.Equal(t, []string{`PUT / HTTP/1.1 -1 "ab" missing idle body idle`}, sink.story())

	p = New(sink, memory, Limits{})
	p.Bytes([]byte("GET / HT"), stamp(1))
	p.Stop()
	p.Bytes([]byte("TP/1.1\r\n\r\n"), stamp(1))
	assert.Len(t, sink.messages, 1)
	assert.Zero(t, sink.opaque)
	assert.Equal(t, memory.used, sink.messages[0].Held)
}

// stopping is a Sink whose owner stops the parser from within.
type stopping struct {
	*transcript
	parser *Parser
	atHead bool
}

func (s *stopping) Head(m *message.Message) int64 {
	keep := s.transcript.Head(m)
	if s.atHead {
		s.parser.Release()
	}
	return keep
}

func (s *stopping) Done(m *message.Message) {
	s.transcript.Done(m)
	s.parser.Release()
}

func TestReleaseFromWithinTheSink(t *testing.T) {
	for _, input := range []string{
		"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\n\r\nGET",
		"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"HTTP/1.1 101 X\r\n\r\nabc",
		"HTTP/1.1 200 X\r\n\r\nabc",
	} {
		for _, atHead := range []bool{false, true} {
			s := &stopping{transcript: newTranscript("GET"), atHead: atHead}
			memory := &ledger{capacity: 1 << 20}
			s.parser = New(s, memory, Limits{})
			s.parser.Bytes([]byte(input), stamp(1))
			s.parser.Gap(gap(1), stamp(1))
			s.parser.Close(true, stamp(1))
			assert.LessOrEqual(t, len(s.messages), 1)
			for _, m := range s.messages {
				memory.Give(m.Held)
			}
			assert.Zero(t, memory.used, "%q", input)
		}
	}
}

func TestABodyDoesNotDecideWhatADirectionCarries(t *testing.T) {
	sink := newTranscript("GET")
	p := New(sink, &ledger{capacity: 1 << 20}, Limits{})
	p.Suggest(message.Response)
	p.Gap(gap(100), stamp(1))
	p.Bytes([]byte("POST /text-in-a-body HTTP/1.1\r\n\r\n"), stamp(2))
	require.Empty(t, sink.messages)
	require.EqualValues(t, 1, p.TakePassed(), "what is passed over is counted")
	require.Zero(t, p.TakePassed())

	first := New(sink, &ledger{capacity: 1 << 20}, Limits{})
	first.Suggest(message.Response)
	first.Bytes([]byte("POST /first-bytes HTTP/1.1\r\n\r\n"), stamp(1))
	require.Len(t, sink.messages, 1, "the first bytes of a connection tell better")
}

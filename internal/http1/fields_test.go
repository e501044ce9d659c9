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

func TestFields(t *testing.T) {
	for _, c := range []struct {
		name, section string
		want          message.Fields
		valid         bool
	}{
		{"order, case and repetitions are kept", "b: 1\r\nA: 2\r\nB: 3\r\n\r\n", message.Fields{{Name: "b", Value: "1"}, {Name: "A", Value: "2"}, {Name: "B", Value: "3"}}, true},
		{"white space around the value is removed", "A: \t b c \t\r\nB:\r\n\r\n", message.Fields{{Name: "A", Value: "b c"}, {Name: "B", Value: ""}}, true},
		{"folded lines are joined by one space", "A: b\r\n  c \r\n\td\r\nE: f\r\n\r\n", message.Fields{{Name: "A", Value: "b c d"}, {Name: "E", Value: "f"}}, true},
		{"a line of white space is a fold", "A: b\r\n \r\nC: d\r\n\r\n", message.Fields{{Name: "A", Value: "b"}, {Name: "C", Value: "d"}}, true},
		{"bytes over 0x7f are values", "A: \xff\xc3\xa9\r\n\r\n", message.Fields{{Name: "A", Value: "\xff\xc3\xa9"}}, true},
		{"an empty name is left out", ": x\r\nA: b\r\n\r\n", message.Fields{{Name: "A", Value: "b"}}, false},
		{"a fold of a line without a name goes with it", "x\r\n y\r\nA: b\r\n\r\n", message.Fields{{Name: "A", Value: "b"}}, false},
		{"space before the colon is removed from the name", "Authorization : x\r\n\r\n", message.Fields{{Name: "Authorization", Value: "x"}}, false},
		{"a name that is no token is kept", "a b: x\r\n\r\n", message.Fields{{Name: "a b", Value: "x"}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := framing{length: -1}
			got, valid := parseFields(c.section, nil, &f)
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.valid, valid)
		})
	}
}

func TestHeadsOverTheLimit(t *testing.T) {
	long := strings.Repeat("X-Fill: "+strings.Repeat("y", 56)+"\r\n", 40) // 66 bytes each
	for _, c := range []struct {
		name, head string
		fields     int
		want       []string
	}{
		{
			"the length beyond the limit still counts", "POST / HTTP/1.1\r\nA: b\r\n" + long + "Content-Length: 3\r\n\r\nabc", 16,
			[]string{`POST / HTTP/1.1 3 "abc" missing header_limit`, `GET / HTTP/1.1 0 ""`},
		},
		{
			"chunked beyond the limit still counts", "POST / HTTP/1.1\r\n" + long + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 15,
			[]string{`POST / HTTP/1.1 3 "abc" missing header_limit`, `GET / HTTP/1.1 0 ""`},
		},
		{
			"a length on both sides of the limit is two", "POST / HTTP/1.1\r\nContent-Length: 3\r\n" + long + "Content-Length: 4\r\n\r\n", 15,
			[]string{`POST / HTTP/1.1 -1 "" missing header_limit,ambiguous_length body ambiguous_length`, "lost ambiguous_length"},
		},
		{
			"a folded length beyond the limit", "POST / HTTP/1.1\r\n" + long + "Content-Length: 3\r\n ,3\r\n\r\nabc", 15,
			[]string{`POST / HTTP/1.1 3 "abc" missing header_limit,ambiguous_length`, `GET / HTTP/1.1 0 "" missing ambiguous_length`},
		},
		{
			"one endless field", "POST / HTTP/1.1\r\nA: b\r\nB: " + strings.Repeat("c", 5000) + "\r\nContent-Length: 3\r\n\r\nabc", 1,
			[]string{`POST / HTTP/1.1 3 "abc" missing header_limit`, `GET / HTTP/1.1 0 ""`},
		},
		{
			"an endless length is none", "POST / HTTP/1.1\r\n" + long + "Content-Length: " + strings.Repeat("0", 500) + "3\r\n\r\nabc", 15,
			[]string{`POST / HTTP/1.1 -1 "" missing header_limit,ambiguous_length body ambiguous_length`, "lost ambiguous_length"},
		},
		{
			"an endless target is left out", "GET /0 HTTP/1.1\r\n\r\nPOST /" + strings.Repeat("c", 5000) + " HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 0,
			[]string{`GET /0 HTTP/1.1 0 ""`, `POST   3 "abc" missing header_limit`, `GET / HTTP/1.1 0 ""`},
		},
		{
			"an endless trailer section", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: "+strings.Repeat("b", 95)+"\r\n", 11) + "\r\n", 1,
			[]string{`POST / HTTP/1.1 0 ""` + strings.Repeat(" +A="+strings.Repeat("b", 95), 10) + ` missing header_limit`, `GET / HTTP/1.1 0 ""`},
		},
	} {
		for _, size := range []int{1, 7, 1 << 20} {
			t.Run(fmt.Sprintf("%s, %d bytes at a time", c.name, size), func(t *testing.T) {
				sink, memory := newTranscript(), &ledger{capacity: 1 << 30}
				p := New(sink, memory, Limits{HeaderBytes: 1024})
				feed(p, c.head+"GET / HTTP/1.1\r\n\r\n", size)
				want := c.want
				assert.Equal(t, want, sink.story())
				for _, m := range sink.messages {
					if m.Method == "POST" {
						assert.Len(t, m.Fields, c.fields)
					}
					memory.Give(m.Held)
				}
				p.Release()
				assert.Zero(t, memory.used)
				assert.Less(t, memory.most, 8<<10)
			})
		}
	}
}

// feed gives text in pieces of one call.
func feed(p *Parser, text string, size int) {
	at := stamp(1)
	for len(text) > 0 {
		n := min(size, len(text))
		p.Bytes([]byte(text[:n]), at)
		text = text[n:]
		at.Begins = false
	}
}

func TestAnEndlessFirstLineIsOpaque(t *testing.T) {
	sink, memory := newTranscript(), &ledger{capacity: 1 << 30}
	p := New(sink, memory, Limits{})
	feed(p, "GET "+strings.Repeat("x", 1<<17), 1000)
	assert.Equal(t, []string{"opaque"}, sink.story())
	assert.Zero(t, memory.used)
	assert.LessOrEqual(t, memory.most, 2*defaultHeaderBytes+2048)
}

func TestARefusedBudgetKeepsTheParserInSync(t *testing.T) {
	input := "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
	for _, size := range []int{1, 20, 1 << 20} {
		sink := newTranscript()
		p := New(sink, &ledger{capacity: 0}, Limits{})
		p.kind = message.Request
		feed(p, input+input, size)
		require.Len(t, sink.messages, 2, "%d at a time", size)
		for _, m := range sink.messages {
			if size > 1 {
				assert.Equal(t, "POST", m.Method)
			}
			assert.EqualValues(t, 3, m.Body.Size)
			assert.Empty(t, m.Body.Bytes)
			assert.Zero(t, m.Held)
			assert.True(t, m.Missing.Has(event.ReasonMemoryBudget))
			assert.Equal(t, event.Of(event.ReasonMemoryBudget), m.Body.Missing)
		}
		assert.Empty(t, sink.losses)
	}
}

func TestABudgetThatEndsInTheBodyKeepsItsBeginning(t *testing.T) {
	sink, memory := newTranscript(), &ledger{capacity: 3000}
	p := New(sink, memory, Limits{})
	feed(p, "POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n"+strings.Repeat("a", 5000)+"GET / HTTP/1.1\r\n\r\n", 700)
	require.Len(t, sink.messages, 2)
	m := sink.messages[0]
	assert.EqualValues(t, 5000, m.Body.Size)
	assert.NotEmpty(t, m.Body.Bytes)
	assert.Equal(t, event.Of(event.ReasonMemoryBudget), m.Body.Missing)
	assert.Zero(t, m.Missing)
	assert.LessOrEqual(t, memory.most, 3000)
}

func TestKeptBodyBytes(t *testing.T) {
	for _, c := range []struct {
		name string
		keep int64
		body string
		kept int
		want event.Reasons
	}{
		{"what was not asked for is not missing", 0, "abcd", 0, 0},
		{"the whole body", 4, "abcd", 4, 0},
		{"a body over the limit is cut and marked", 3, "abcd", 3, event.Of(event.ReasonBodyLimit)},
		{"a limit of nothing marks a body", -1, "abcd", 0, event.Of(event.ReasonBodyLimit)},
		{"a limit of nothing does not mark an empty body", -1, "", 0, 0},
	} {
		for _, chunked := range []bool{false, true} {
			sink := newTranscript()
			sink.keep = c.keep
			text := fmt.Sprintf("POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", len(c.body), c.body)
			if chunked {
				text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
				var chunks strings.Builder
				for _, b := range c.body {
					fmt.Fprintf(&chunks, "1\r\n%c\r\n", b)
				}
				text += chunks.String() + "0\r\n\r\n"
			}
			p := newParser(sink)
			feed(p, text, 1<<20)
			require.Len(t, sink.messages, 1)
			m := sink.messages[0]
			assert.EqualValues(t, len(c.body), m.Body.Size, c.name)
			assert.Len(t, m.Body.Bytes, c.kept, c.name)
			assert.Equal(t, c.want, m.Body.Missing, c.name)
			assert.Zero(t, m.Missing, c.name)
		}
	}
}

func TestAnAnnouncedLengthCostsNothing(t *testing.T) {
	sink, memory := newTranscript(), &ledger{capacity: 1 << 30}
	sink.keep = 1 << 29
	p := New(sink, memory, Limits{})
	p.Bytes([]byte("POST / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\nabc"), stamp(1))
	assert.Less(t, memory.used, 2000)
}

func TestTimesAndSizesOfAMessage(t *testing.T) {
	sink := newTranscript()
	p := newParser(sink)
	for i, part := range []string{"\r\n", "GET / HT", "TP/1.1\r\nContent-Length: 2\r\n\r\na", "bGET"} {
		p.Bytes([]byte(part), stamp(10+i))
	}
	require.Len(t, sink.messages, 1)
	m := sink.messages[0]
	assert.EqualValues(t, 11, m.First.Time)
	assert.EqualValues(t, 7, m.First.PID)
	assert.EqualValues(t, 13, m.End)
	assert.EqualValues(t, len("GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\n"), m.HeadSize)
}

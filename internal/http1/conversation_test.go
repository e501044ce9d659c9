package http1_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/http1"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// conversation is what a server received and sent on one connection, cut into
// calls.
type conversation struct {
	calls    []call
	position [2]uint64
	bodies   []string // of request and response, by exchange
}

type call struct {
	direction event.Direction
	position  uint64
	text      string
}

// move adds bytes in calls of the given size.
func (c *conversation) move(d event.Direction, text string, size int) {
	for len(text) > 0 {
		n := min(size, len(text))
		c.calls = append(c.calls, call{d, c.position[d], text[:n]})
		c.position[d] += uint64(n)
		text = text[n:]
	}
}

func framed(start, body string, chunk int) (head, rest string) {
	if chunk == 0 {
		return fmt.Sprintf("%s\r\nContent-Length: %d\r\n\r\n", start, len(body)), body
	}
	var b strings.Builder
	for len(body) > 0 {
		n := min(chunk, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return start + "\r\nTransfer-Encoding: chunked\r\n\r\n", b.String() + "0\r\n\r\n"
}

// exchange returns the texts of one request and its response. Head and body
// are moved by calls of their own, as most senders do.
func (c *conversation) exchange(body string, chunk int) (request, response [2]string) {
	i := len(c.bodies)
	c.bodies = append(c.bodies, body)
	request[0], request[1] = framed(fmt.Sprintf("POST /%d HTTP/1.1", i), body, chunk)
	response[0], response[1] = framed(fmt.Sprintf("HTTP/1.1 200 %d", i), body, chunk)
	return request, response
}

// hold puts the conversation through both parsers and the pairing, with a hole
// in one direction, and checks what claims to be complete.
func (c *conversation) hold(t *testing.T, d event.Direction, from, to uint64) (complete int) {
	t.Helper()
	owner := &checker{t: t, bodies: c.bodies}
	pairing := transaction.NewPairing(&transaction.Connection{}, owner)
	for i := range owner.parsers {
		owner.parsers[i] = http1.New(pairing.Sink(event.Direction(i)), &owner.memory, http1.Limits{})
	}
	torn := false
	for i, x := range c.calls {
		at := event.Stamp{Time: uint64(i + 1), Begins: true}
		p := owner.parsers[x.direction]
		end := x.position + uint64(len(x.text))
		if x.direction != d || end <= from || x.position >= to || from >= to {
			p.Bytes([]byte(x.text), at)
			continue
		}
		if x.position < from {
			p.Bytes([]byte(x.text[:from-x.position]), at)
			at.Begins = false
		}
		// The hole is known when bytes after it come.
		if end < to {
			continue
		}
		torn = true
		p.Gap(event.Gap{From: from, To: to, Reason: event.ReasonRingFull}, at)
		at.Begins = at.Begins && to == x.position
		p.Bytes([]byte(x.text[to-x.position:]), at)
	}
	last := event.Stamp{Time: uint64(len(c.calls) + 1)}
	if !torn && from < to {
		owner.parsers[d].Gap(event.Gap{From: from, To: to, Reason: event.ReasonRingFull}, last)
	}
	for _, p := range owner.parsers {
		p.Close(true, last)
	}
	pairing.Close(true, event.ReasonConnectionClosed)
	for _, p := range owner.parsers {
		p.Release()
	}
	require.Zero(t, owner.memory.used)
	require.Zero(t, pairing.Open())
	return owner.complete
}

// checker is an Owner that knows what was exchanged.
type checker struct {
	t        *testing.T
	bodies   []string
	parsers  [2]*http1.Parser
	memory   budget
	complete int
}

type budget struct{ used int }

func (b *budget) Take(n int) bool { b.used += n; return true }
func (b *budget) Give(n int)      { b.used -= n }

func (c *checker) Keep(*transaction.Transaction, *message.Message) int64 { return 1 << 30 }
func (c *checker) Opaque(d event.Direction)                              { c.parsers[d].Stop() }

func (c *checker) Emit(t *transaction.Transaction) {
	for _, m := range []*message.Message{t.Request, t.Response} {
		if m != nil {
			c.memory.Give(m.Held)
		}
	}
	how, _ := t.Completeness(transaction.LevelFull)
	if how == transaction.Incomplete {
		return
	}
	var i int
	_, err := fmt.Sscanf(t.Request.Target, "/%d", &i)
	require.NoError(c.t, err, "target %q", t.Request.Target)
	require.Less(c.t, i, len(c.bodies))
	require.Equal(c.t, strconv.Itoa(i), t.Response.Phrase, "paired with another response")
	for _, m := range []*message.Message{t.Request, t.Response} {
		require.EqualValues(c.t, len(c.bodies[i]), m.Body.Size)
		require.True(c.t, strings.HasPrefix(c.bodies[i], string(m.Body.Bytes)))
		if how == transaction.Complete {
			require.Equal(c.t, c.bodies[i], string(m.Body.Bytes))
		}
	}
	if how == transaction.Complete {
		c.complete++
	}
}

// fakes look like messages, some of a length that swallows what follows.
var fakes = []string{
	"GET /fake HTTP/1.1\r\n\r\n",
	"POST /fake HTTP/1.1\r\nContent-Length: 30\r\n\r\n",
	"HTTP/1.1 200 FAKE\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 FAKE\r\nContent-Length: 60\r\n\r\n",
	"HTTP/1.1 200 FAKE\r\n\r\n",
	"POST /fake HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
	"0\r\n\r\n", "some text\n",
}

// build makes a conversation of a client that waits for each response, or of
// one that sends all requests at once.
func build(bodies []string, chunk, size int, pipelined bool) *conversation {
	c := &conversation{}
	var answers [][2]string
	answer := func() {
		for _, a := range answers {
			c.move(event.Send, a[0], size)
			c.move(event.Send, a[1], size)
		}
		answers = answers[:0]
	}
	for _, body := range bodies {
		request, response := c.exchange(body, chunk)
		c.move(event.Receive, request[0], size)
		c.move(event.Receive, request[1], size)
		answers = append(answers, response)
		if !pipelined {
			answer()
		}
	}
	answer()
	return c
}

func TestAHoleNeverGivesAWrongCompleteTransaction(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	complete := 0
	for range 4000 {
		var bodies []string
		for range 2 + random.IntN(5) {
			var b strings.Builder
			for range random.IntN(6) {
				b.WriteString(fakes[random.IntN(len(fakes))])
			}
			bodies = append(bodies, b.String())
		}
		c := build(bodies, random.IntN(2)*(1+random.IntN(60)), []int{1, 20, 24, 44, 45, 64, 1 << 20}[random.IntN(7)], random.IntN(3) == 0)
		d := event.Direction(random.IntN(2))
		from := random.Uint64N(c.position[d])
		complete += c.hold(t, d, from, min(from+1+random.Uint64N(200), c.position[d]))
	}
	require.Greater(t, complete, 4000, "nothing is left that could be wrong")
}

func TestWithoutAHoleEverythingIsComplete(t *testing.T) {
	for _, pipelined := range []bool{false, true} {
		for _, size := range []int{1, 3, 50, 1 << 20} {
			for _, chunk := range []int{0, 1, 100} {
				c := build([]string{"", "a", strings.Join(fakes, ""), "b"}, chunk, size, pipelined)
				require.Equal(t, 4, c.hold(t, event.Send, 0, 0))
			}
		}
	}
}

// FuzzConversations looks for bodies that a hole turns into a wrong record.
func FuzzConversations(f *testing.F) {
	for i, fake := range fakes {
		f.Add(fake+fake, fakes[(i+1)%len(fakes)], uint8(i), uint8(22), uint16(10*i), uint16(60), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, first, second string, chunk, size uint8, from, length uint16, pipelined bool) {
		c := build([]string{first, second, first + second, "", second}, int(chunk), int(size)+1, pipelined)
		d := event.Direction(chunk % 2)
		start := min(uint64(from), c.position[d])
		c.hold(t, d, start, min(start+uint64(length), c.position[d]))
	})
}

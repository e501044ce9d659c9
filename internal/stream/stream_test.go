package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

const ms = uint64(time.Millisecond)

// tape writes down what a stream gives: bytes as they are, a gap as
// "[length reason]", the end as "." or, when not orderly, "!".
type tape struct {
	strings.Builder
	stamps []event.Stamp
}

func (t *tape) Bytes(b []byte, at event.Stamp) {
	t.Write(b)
	t.stamps = append(t.stamps, at)
}

func (t *tape) Gap(g event.Gap, _ event.Stamp) { fmt.Fprintf(t, "[%d %v]", g.Len(), g.Reason) }

func (t *tape) Close(orderly bool, _ event.Stamp) {
	if orderly {
		t.WriteString(".")
	} else {
		t.WriteString("!")
	}
}

func terms() *Terms { return &Terms{Budget: NewBudget(1 << 20)} }

func data(position uint64, at uint64, payload string) *event.Data {
	return &event.Data{
		Header:   event.Header{Time: at},
		Position: position, Size: uint32(len(payload)), Payload: []byte(payload),
	}
}

func flagged(flags event.Flags, d *event.Data) *event.Data {
	d.Flags |= flags
	return d
}

func cut(d *event.Data, size uint32, r event.Reason) *event.Data {
	d.Size, d.Reason = size, r
	return d
}

func finish(position, at uint64, direction event.Direction) *event.Finish {
	return &event.Finish{Header: event.Header{Time: at}, Position: position, Direction: direction}
}

func TestAStreamGivesWhatItIsTold(t *testing.T) {
	at := func(ns uint64) event.Stamp { return event.Stamp{Time: ns} }
	cases := []struct {
		name string
		late bool
		do   func(s *Stream)
		want string
	}{
		{name: "bytes in order pass", do: func(s *Stream) {
			s.Data(data(0, 1, "abc"))
			s.Data(data(3, 2, "def"))
		}, want: "abcdef"},
		{name: "records that arrive in the wrong order are put in order", do: func(s *Stream) {
			s.Data(data(6, 1, "gh"))
			s.Data(data(3, 2, "def"))
			s.Data(data(0, 3, "abc"))
		}, want: "abcdefgh"},
		{name: "what is ahead waits until a mark has passed it by the margin", do: func(s *Stream) {
			s.Data(data(0, 1*ms, "abc"))
			s.Data(data(5, 2*ms, "fg"))
			s.Advance(52 * ms)
		}, want: "abc"},
		{name: "then the hole is a gap", do: func(s *Stream) {
			s.Data(data(0, 1*ms, "abc"))
			s.Data(data(5, 2*ms, "fg"))
			s.Advance(52*ms + 1)
		}, want: "abc[2 not_seen]fg"},
		{name: "a later hole waits for its own time", do: func(s *Stream) {
			s.Data(data(1, 1*ms, "b"))
			s.Data(data(3, 9*ms, "d"))
			s.Advance(52 * ms)
		}, want: "[1 not_seen]b"},
		{name: "a hole before a record that says so was refused by the ring", do: func(s *Stream) {
			s.Data(flagged(event.FlagLost, data(4, 1*ms, "x")))
			s.Advance(100 * ms)
		}, want: "[4 ring_full]x"},
		{name: "what fills a hole after it was given up is dropped", do: func(s *Stream) {
			s.Data(data(4, 1*ms, "x"))
			s.Advance(100 * ms)
			s.Data(data(0, 1*ms, "late"))
		}, want: "[4 not_seen]x"},
		{name: "an adopted connection begins at once behind what was not submitted", do: func(s *Stream) {
			s.Data(flagged(event.FlagAdopted, data(1000, 1, "GET")))
		}, want: "[1000 joined_late]GET"},
		{name: "what was held when a connection is adopted comes first", do: func(s *Stream) {
			s.Data(data(2, 1, "c"))
			s.Data(flagged(event.FlagAdopted, data(9, 2, "x")))
		}, want: "[2 not_seen]c[6 joined_late]x"},
		{name: "a connection older than the start has not lost its beginning", late: true, do: func(s *Stream) {
			s.Data(data(7, 1*ms, "x"))
			s.Advance(100 * ms)
		}, want: "[7 joined_late]x"},
		{name: "a connection older than the start may begin at its first byte", late: true, do: func(s *Stream) {
			s.Data(data(0, 1*ms, "x"))
		}, want: "x"},
		{name: "bytes that were moved but not copied are a gap with the record's reason", do: func(s *Stream) {
			s.Data(cut(data(0, 1, "head"), 1<<30, event.ReasonBodyLimit))
			s.Data(cut(data(1<<30, 1, ""), 5, event.ReasonSendfile))
			s.Data(data(1<<30+5, 1, "next"))
		}, want: "head[1073741820 body_limit][5 sendfile]next"},
		{name: "a record that is cut without a reason was not readable", do: func(s *Stream) {
			s.Data(cut(data(0, 1, "a"), 2, event.ReasonNone))
		}, want: "a[1 unreadable]"},
		{name: "an empty record is nothing", do: func(s *Stream) { s.Data(data(5, 1, "")) }, want: ""},
		{name: "the sender's end is the end when everything before it is there", do: func(s *Stream) {
			s.Data(data(0, 1, "abc"))
			s.Finish(finish(3, 2, event.Receive))
		}, want: "abc."},
		{name: "the application may read what came before the end at any time", do: func(s *Stream) {
			s.Finish(finish(3, 1, event.Receive))
			s.Advance(1000 * ms)
			s.Data(data(0, 2000*ms, "abc"))
		}, want: "abc."},
		{name: "what was sent before the end and is not there was lost", do: func(s *Stream) {
			f := finish(3, 1, event.Send)
			f.Flags = event.FlagLost
			s.Finish(f)
			s.Advance(1000 * ms)
		}, want: "[3 ring_full]."},
		{name: "an end by reset is not orderly", do: func(s *Stream) {
			f := finish(0, 1, event.Receive)
			f.Flags = event.FlagReset
			s.Finish(f)
		}, want: "!"},
		{name: "the end of the connection ends the stream", do: func(s *Stream) {
			s.Data(data(0, 1, "abc"))
			s.End(End{Position: 3, Known: true, Orderly: true}, at(2))
		}, want: "abc."},
		{name: "the end of the connection waits for what is on its way", do: func(s *Stream) {
			s.End(End{Position: 3, Known: true, Orderly: true}, at(2))
			s.Data(data(0, 1, "abc"))
		}, want: "abc."},
		{name: "but not for long", do: func(s *Stream) {
			s.Data(data(0, 1, "a"))
			s.End(End{Position: 3, Known: true, Orderly: true}, at(2*ms))
			s.Advance(52*ms + 1)
		}, want: "a[2 not_seen]."},
		{name: "an application that did not read to the end did not see it", do: func(s *Stream) {
			s.Data(data(0, 1, "a"))
			s.Finish(finish(3, 1, event.Receive))
			s.End(End{Position: 1, Known: true, Orderly: true}, at(2))
		}, want: "a!"},
		{name: "an end at an unknown position is not orderly", do: func(s *Stream) {
			s.Data(data(0, 1, "a"))
			s.Data(data(2, 1, "c"))
			s.End(End{Orderly: true}, at(2))
			s.Advance(100 * ms)
		}, want: "a[1 not_seen]c!"},
		{name: "an end before what was given is not orderly", do: func(s *Stream) {
			s.Data(data(0, 1, "abc"))
			s.End(End{Position: 2, Known: true, Orderly: true}, at(2))
		}, want: "abc!"},
		{name: "bytes beyond the announced end take it back", do: func(s *Stream) {
			s.Finish(finish(2, 1, event.Receive))
			s.Data(data(0, 1, "abc"))
			s.End(End{Position: 3, Known: true}, at(2))
		}, want: "abc!"},
		{name: "nothing follows the end", do: func(s *Stream) {
			s.End(End{Known: true, Orderly: true}, at(2))
			s.Data(data(0, 1, "abc"))
			s.Finish(finish(3, 1, event.Send))
			s.End(End{}, at(3))
			s.Flush()
		}, want: "."},
		{name: "a flush waits for nothing", do: func(s *Stream) {
			s.Data(data(1, 1, "b"))
			s.Flush()
		}, want: "[1 not_seen]b"},
		{name: "a release gives nothing", do: func(s *Stream) {
			s.Data(data(1, 1, "b"))
			s.Release()
			s.Data(data(0, 1, "a"))
		}, want: ""},
		{name: "a record that comes twice counts once", do: func(s *Stream) {
			s.Data(data(1, 1, "b"))
			s.Data(data(1, 1, "b"))
			s.Data(data(0, 1, "a"))
			s.Data(data(0, 1, "a"))
		}, want: "ab"},
		{name: "two that claim the same place with different bytes are both in doubt", do: func(s *Stream) {
			s.Data(data(3, 1, "AAA"))
			s.Data(data(3, 2, "BBB"))
			s.Data(data(6, 3, "ccc"))
			s.Advance(100 * ms)
		}, want: "[3 not_seen][3 not_seen]ccc"},
		{name: "so are the later pieces of their calls", do: func(s *Stream) {
			s.Data(data(3, 1, "AAA"))
			s.Data(data(4, 2, "BBB"))
			s.Data(data(7, 2, "bbb"))
			s.Data(data(10, 3, "ccc"))
			s.Advance(100 * ms)
		}, want: "[3 not_seen][4 not_seen][3 not_seen]ccc"},
		{name: "a claim that reaches into a held one is in doubt too", do: func(s *Stream) {
			s.Data(data(3, 1, "def"))
			s.Data(data(0, 2, "abcd"))
			s.Flush()
		}, want: "[6 not_seen]"},
		{name: "while positions are in doubt what is in order waits too", do: func(s *Stream) {
			s.Data(data(3, 1*ms, "def"))
			s.Data(data(0, 2*ms, "abcd"))
			s.Data(data(6, 3*ms, "ghi"))
			s.Advance(53 * ms)
		}, want: "[6 not_seen]"},
		{name: "even what fills the hole before it", do: func(s *Stream) {
			s.Data(data(3, 1*ms, "AAA"))
			s.Data(data(4, 2*ms, "BBB"))
			s.Data(data(0, 3*ms, "abc"))
			s.Advance(53 * ms)
		}, want: ""},
		{name: "and passes again when nothing is held any more", do: func(s *Stream) {
			s.Data(data(3, 1*ms, "def"))
			s.Data(data(0, 2*ms, "abcd"))
			s.Data(data(6, 3*ms, "ghi"))
			s.Advance(53*ms + 1)
			s.Data(data(9, 60*ms, "jkl"))
		}, want: "[6 not_seen]ghijkl"},
		{name: "a claim over several held ones covers them all", do: func(s *Stream) {
			s.Data(data(3, 1, "d"))
			s.Data(data(5, 1, "f"))
			s.Data(data(9, 1, "j"))
			s.Data(data(2, 2, "cdef"))
			s.Flush()
		}, want: "[2 not_seen][4 not_seen][3 not_seen][1 not_seen]"},
		{name: "a claim that begins in what was given was misplaced", do: func(s *Stream) {
			s.Data(data(0, 1, "abc"))
			s.Data(data(2, 2, "XYZ"))
			s.Data(data(5, 3, "f"))
			s.Flush()
		}, want: "abc[2 not_seen]f"},
		{name: "a position that overflows is nothing", do: func(s *Stream) {
			s.Data(data(^uint64(0), 1, "abc"))
			s.Flush()
		}, want: ""},
		{name: "the last position of all can be reached", do: func(s *Stream) {
			s.Data(data(^uint64(0)-3, 1, "abc"))
			s.Flush()
			s.Data(data(0, 1, "a"))
		}, want: "[18446744073709551612 not_seen]abc"},
		{name: "a time near the end of time does not wrap", do: func(s *Stream) {
			s.Data(data(1, ^uint64(0)-1, "b"))
			s.Advance(^uint64(0))
		}, want: ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			shared := terms()
			out := &tape{}
			s := New(out, shared, c.late)
			c.do(s)
			assert.Equal(t, c.want, out.String())
			s.Release()
			assert.Zero(t, shared.Budget.Used(), "everything held is given back")
		})
	}
}

func TestStampsSayWhoMovedTheBytesAndWhetherACallBegins(t *testing.T) {
	out := &tape{}
	s := New(out, terms(), false)
	header := event.Header{Time: 5, Generation: 6, PID: 7, Flags: event.FlagBegins}
	s.Data(&event.Data{Header: header, Position: 1, Size: 1, Payload: []byte("b")})
	s.Data(data(0, 4, "a"))
	assert.Equal(t, []event.Stamp{{Time: 4}, {Time: 5, Generation: 6, PID: 7, Begins: true}}, out.stamps)
}

func TestWhatIsHeldIsACopy(t *testing.T) {
	out := &tape{}
	s := New(out, terms(), false)
	d := data(1, 1, "b")
	s.Data(d)
	d.Payload[0] = 'X'
	s.Data(data(0, 2, "a"))
	assert.Equal(t, "ab", out.String())
}

func TestWithoutRoomToWaitTheHoleIsGivenUp(t *testing.T) {
	cases := []struct {
		name  string
		terms *Terms
	}{
		{"the budget is used up", &Terms{Budget: NewBudget(2*segmentBytes + 2)}},
		{"the stream holds too much", &Terms{Budget: NewBudget(1 << 20), HeldBytes: 2*segmentBytes + 2}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out := &tape{}
			s := New(out, c.terms, false)
			s.Data(data(2, 1, "c"))
			s.Data(data(5, 1, "f"))
			assert.Empty(t, out.String())
			s.Data(data(7, 1, "h"))
			assert.Equal(t, "[2 memory_budget]c[2 memory_budget]f[1 memory_budget]h", out.String())
			assert.Zero(t, c.terms.Budget.Used())
		})
	}
	t.Run("the stream holds too many records", func(t *testing.T) {
		out := &tape{}
		s := New(out, terms(), false)
		for i := range uint64(maxSegments) {
			s.Data(data(2+2*i, 1, "x"))
		}
		assert.Empty(t, out.String())
		s.Data(data(1, 1, "y"))
		assert.Equal(t, "[1 memory_budget]yx", out.String())
	})
}

func TestBytesInOrderAreNotCopiedOrAllocated(t *testing.T) {
	s := New(discard{}, terms(), false)
	d := data(0, 1, strings.Repeat("x", 4096))
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		s.Data(d)
		d.Position += 4096
	}))
}

type discard struct{}

func (discard) Bytes([]byte, event.Stamp)  {}
func (discard) Gap(event.Gap, event.Stamp) {}
func (discard) Close(bool, event.Stamp)    {}

func BenchmarkInOrder(b *testing.B) {
	s := New(discard{}, terms(), false)
	d := data(0, 1, strings.Repeat("x", 16384))
	b.SetBytes(16384)
	b.ReportAllocs()
	for b.Loop() {
		s.Data(d)
		d.Position += 16384
	}
}

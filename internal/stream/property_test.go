package stream

import (
	"bytes"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// ledger checks what a stream gives against the truth: every byte given must
// be the one that was moved at its position, and positions must follow.
type ledger struct {
	t       testing.TB
	truth   []byte
	at      uint64
	bytes   uint64
	gaps    uint64
	ended   bool
	orderly bool
}

func (l *ledger) Bytes(b []byte, _ event.Stamp) {
	l.check()
	end := l.at + uint64(len(b))
	if l.truth != nil && (end > uint64(len(l.truth)) || !bytes.Equal(b, l.truth[l.at:end])) {
		l.t.Fatalf("wrong bytes at %d..%d", l.at, end)
	}
	l.bytes += uint64(len(b))
	l.at = end
}

func (l *ledger) Gap(g event.Gap, _ event.Stamp) {
	l.check()
	if g.From != l.at || g.To <= g.From || g.Reason == event.ReasonNone {
		l.t.Fatalf("gap %+v at %d", g, l.at)
	}
	l.gaps += g.Len()
	l.at = g.To
}

func (l *ledger) Close(orderly bool, _ event.Stamp) {
	l.check()
	l.ended, l.orderly = true, orderly
}

func (l *ledger) check() {
	if l.ended {
		l.t.Fatal("something follows the end")
	}
}

// piece is one record of a call.
type piece struct {
	position, time uint64
	from, size     int
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.UintN(256))
	}
	return b
}

func (p piece) record(truth []byte, r *rand.Rand) *event.Data {
	captured := p.size
	if r.IntN(10) == 0 {
		captured = r.IntN(p.size + 1)
	}
	return &event.Data{
		Header:   event.Header{Time: p.time},
		Position: p.position, Size: uint32(p.size), Reason: event.ReasonBodyLimit,
		Payload: bytes.Clone(truth[p.from : p.from+captured]),
	}
}

// cutIntoPieces cuts the truth into records with ascending times.
func cutIntoPieces(r *rand.Rand, truth []byte, longest int) (pieces []piece) {
	for at := 0; at < len(truth); {
		size := min(1+r.IntN(longest), len(truth)-at)
		pieces = append(pieces, piece{position: uint64(at), from: at, size: size, time: uint64(len(pieces)+1) * ms})
		at += size
	}
	return pieces
}

func TestWhateverTheOrderAndLossOnlyTrueBytesAreGiven(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		truth := randomBytes(r, r.IntN(2000))
		pieces := cutIntoPieces(r, truth, 1+r.IntN(200))
		r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		lose := r.IntN(3) == 0
		shared := &Terms{Budget: NewBudget(int64(100 + r.IntN(100_000)))}
		out := &ledger{t: t, truth: truth}
		s := New(out, shared, false)
		for _, p := range pieces {
			if lose && r.IntN(4) == 0 {
				continue
			}
			s.Data(p.record(truth, r))
			if r.IntN(20) == 0 {
				s.Data(p.record(truth, r))
			}
			if r.IntN(5) == 0 {
				s.Advance(r.Uint64N(300 * ms))
			}
		}
		s.End(End{Position: uint64(len(truth)), Known: true, Orderly: true}, event.Stamp{Time: 300 * ms})
		s.Advance(1000 * ms)
		if !out.ended || out.at != uint64(len(truth)) || out.bytes+out.gaps != uint64(len(truth)) {
			t.Fatalf("seed %d: %d bytes and %d gaps of %d, ended %v", seed, out.bytes, out.gaps, len(truth), out.ended)
		}
		if used := shared.Budget.Used(); used != 0 {
			t.Fatalf("seed %d: %d bytes of the budget were not given back", seed, used)
		}
	}
}

// call is one send of one thread: its bytes take their place when it runs,
// its position is claimed when it returns.
type call struct {
	from, size         int
	returned           int // turn
	claimed, claimedAt uint64
}

// concurrentCalls simulates threads that send on one socket. Every call that
// is delayed claims a place that is too high by what others sent meanwhile.
func concurrentCalls(r *rand.Rand, truth []byte) []call {
	var calls []call
	for at := 0; at < len(truth); {
		size := min(1+r.IntN(100), len(truth)-at)
		delay := 0
		if r.IntN(4) == 0 {
			delay = r.IntN(3)
		}
		calls = append(calls, call{from: at, size: size, returned: len(calls) + delay})
		at += size
	}
	for i := range calls {
		c := &calls[i]
		last := min(c.returned, len(calls)-1)
		sent := calls[last].from + calls[last].size
		c.claimed, c.claimedAt = uint64(sent-c.size), uint64(c.returned+1)*ms
	}
	sort.SliceStable(calls, func(i, j int) bool { return calls[i].returned < calls[j].returned })
	return calls
}

func TestThreadsThatSendAtTheSameTimeNeverGiveMisplacedBytes(t *testing.T) {
	var given, doubtful uint64
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		truth := randomBytes(r, 1+r.IntN(3000))
		shared := terms()
		out := &ledger{t: t, truth: truth}
		s := New(out, shared, false)
		shared.Margin = 5 * time.Millisecond
		for _, c := range concurrentCalls(r, truth) {
			chunk := 1 + r.IntN(c.size)
			for at := 0; at < c.size; at += chunk {
				size := min(chunk, c.size-at)
				s.Data(&event.Data{
					Header:   event.Header{Time: c.claimedAt},
					Position: c.claimed + uint64(at), Size: uint32(size),
					Payload: truth[c.from+at : c.from+at+size],
				})
			}
			if r.IntN(10) == 0 {
				s.Advance(c.claimedAt)
			}
		}
		s.End(End{Position: uint64(len(truth)), Known: true, Orderly: true}, event.Stamp{Time: 10_000 * ms})
		s.Advance(20_000 * ms)
		if out.bytes+out.gaps != uint64(len(truth)) {
			t.Fatalf("seed %d: %d bytes and %d gaps of %d", seed, out.bytes, out.gaps, len(truth))
		}
		given += out.bytes
		doubtful += shared.Doubtful.Load()
	}
	if given == 0 || doubtful == 0 {
		t.Fatalf("the simulation shows nothing: %d bytes given, %d in doubt", given, doubtful)
	}
}

// FuzzStream drives a stream with arbitrary steps: it must not panic, must
// give each position once, and must give all memory back.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 0, 3, 0, 5, 2, 1, 9, 0, 0, 1, 2, 7, 200, 0, 5, 60, 0})
	f.Add([]byte{0, 255, 255, 1, 255, 3, 3, 0, 9, 5, 4, 4})
	f.Add([]byte("\x00\x04\x04\x00\x08\x04\x00\x02\x04\x00\x06\x06"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		shared := &Terms{Budget: NewBudget(2000), HeldBytes: 1000}
		out := &ledger{t: t}
		s := New(out, shared, len(steps)%2 == 0)
		now := uint64(0)
		for ; len(steps) >= 3; steps = steps[3:] {
			what, position, size := steps[0], uint64(steps[1]), uint32(steps[2])
			if what&0x80 != 0 {
				position = ^uint64(0) - position
			}
			now += uint64(what>>4&7) * 20 * ms
			drive(s, what&15, position, size, now)
			if used := shared.Budget.Used(); used < 0 || used > 2000 || used != int64(s.heldSize) {
				t.Fatalf("budget: %d, held %d", used, s.heldSize)
			}
			if out.at != s.Extent() || out.ended != s.Closed() {
				t.Fatalf("at %d of %d, ended %v %v", out.at, s.Extent(), out.ended, s.Closed())
			}
		}
		s.Flush()
		s.Release()
		if used := shared.Budget.Used(); used != 0 || out.bytes+out.gaps != out.at {
			t.Fatalf("budget %d, bytes %d, gaps %d, extent %d", used, out.bytes, out.gaps, out.at)
		}
	})
}

func drive(s *Stream, what byte, position uint64, size uint32, at uint64) {
	switch what {
	case 10:
		s.Finish(&event.Finish{Header: event.Header{Time: at}, Position: position, Direction: event.Direction(size & 1)})
	case 11:
		s.End(End{Position: position, Known: size&1 == 0, Orderly: size&2 == 0}, event.Stamp{Time: at})
	case 12, 13:
		s.Advance(at)
	case 14:
		s.Flush()
	default:
		flags := event.Flags(0)
		if what == 8 {
			flags = event.FlagAdopted
		}
		if what == 9 {
			flags = event.FlagLost
		}
		s.Data(&event.Data{
			Header:   event.Header{Time: at, Flags: flags},
			Position: position, Size: size, Payload: make([]byte, size/(1+size%2)),
		})
	}
}

//go:build linux

package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Bounds of one load, whichever comes first; what is recorded is some times
// larger.
const (
	oracleTime    = 6 * time.Second
	oracleBytes   = 32 << 20
	oracleWorkers = 6
)

// truth is what both peers of one exchange agree that they exchanged.
type truth struct {
	method                      string
	status                      int64
	requestSize, responseSize   int64
	requestDigest, responseHash [32]byte
	cut                         bool // the response ended before its end
}

// ledger is what the peers logged, by token.
type ledger struct {
	mu      sync.Mutex
	entries map[string]truth
	decoys  map[string]bool // tokens of messages that stand only in bodies
	bytes   int64
}

func newLedger() *ledger {
	return &ledger{entries: make(map[string]truth), decoys: make(map[string]bool)}
}

// decoy returns a token for a message that nobody sends.
func (l *ledger) decoy() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	token := newToken()
	l.decoys[token] = true
	return token
}

func (l *ledger) add(token string, entry truth) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[token] = entry
	l.bytes += entry.requestSize + entry.responseSize
}

func (l *ledger) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes >= oracleBytes
}

// TestOracle: whatever is marked complete is what the peers exchanged, byte
// for byte; everything else is marked.
func TestOracle(t *testing.T) {
	need(t)
	t.Run("a load that leaves time to watch", func(t *testing.T) {
		for attempt := 1; ; attempt++ {
			c := startCollector(t, everything())
			l := exchangeAtRandom(t, 25*time.Millisecond)
			v := l.judge(t, c)
			if v.lost > 0 && attempt < 3 {
				// The collector watches the whole machine: others can take its time.
				t.Log("the machine had no time to watch, once more")
				continue
			}
			assert.Zero(t, v.lost, "calls refused and records dropped")
			assert.Equal(t, 2*len(l.entries), v.captured, "captured on both ends")
			assert.Equal(t, 2*(len(l.entries)-l.cut()), v.complete)
			return
		}
	})
	t.Run("as much as goes through", func(t *testing.T) {
		roomy := startCollector(t, everything())
		starved := startCollector(t, object{
			"capture": object{"level": "full", "body_limit_bytes": 20_000},
			"limits":  object{"memory_mib": 16, "ring_mib": 1, "connections": 1024},
		})
		l := exchangeAtRandom(t, 0)
		for name, c := range map[string]*Collector{"with room": roomy, "starved": starved} {
			t.Log(name)
			assert.Positive(t, l.judge(t, c).complete)
		}
	})
}

// exchangeAtRandom makes traffic of many kinds and returns what it was. Each
// worker pauses between two exchanges.
func exchangeAtRandom(t *testing.T, pause time.Duration) *ledger {
	t.Helper()
	seed := time.Now().UnixNano()
	if s := os.Getenv("QTAP_ORACLE_SEED"); s != "" {
		_, err := fmt.Sscan(s, &seed)
		require.NoError(t, err)
	}
	t.Logf("QTAP_ORACLE_SEED=%d", seed)
	l := newLedger()
	var load sync.WaitGroup
	failures := make(chan error, oracleWorkers)
	until := time.Now().Add(oracleTime)
	for worker := range oracleWorkers {
		load.Go(func() {
			k := newTalker(seed, worker, l)
			k.pause = pause
			if err := k.talk(until); err != nil {
				failures <- err
			}
		})
	}
	for i, server := range servers() { // real clients and servers meanwhile
		address := startServer(t, append(server.argv, "127.0.0.1:0")...).Address
		steps := plan()
		steps = steps[:len(steps)-1] // without the large body, which is half a second's work
		runPlan(t, "http://"+address, clients()[i], steps)
		l.addPlan(steps)
	}
	load.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err, "the load itself failed")
	}
	return l
}

// cut returns the number of exchanges whose response ended before its end.
func (l *ledger) cut() (n int) {
	for _, e := range l.entries {
		if e.cut {
			n++
		}
	}
	return n
}

func (l *ledger) addPlan(steps []step) {
	for _, s := range steps {
		status := int64(max(s.want.Status, 200))
		l.add(tokenForm.FindString(s.Path), truth{
			method: s.Method, status: status,
			requestSize: int64(len(s.want.RequestBody)), requestDigest: sha256.Sum256(s.want.RequestBody),
			responseSize: int64(len(s.want.ResponseBody)), responseHash: sha256.Sum256(s.want.ResponseBody),
		})
	}
}

// verdict counts the ends of exchanges, of which every one has two, and what
// the collector itself counted as lost.
type verdict struct {
	captured, complete int
	lost               int64
}

// judge ends the collector and compares all of its records with the ledger.
func (l *ledger) judge(t *testing.T, c *Collector) verdict {
	t.Helper()
	time.Sleep(1200 * time.Millisecond) // the kernel's counts come once a second
	dropped, refused := c.Count(t, "records_dropped"), c.Count(t, "kernel_calls_refused")
	t.Logf("records dropped %d, calls refused %d", dropped, refused)
	c.Stop(t)
	seen, err := c.Transactions("")
	require.NoError(t, err)
	ends := make(map[string]Seen)
	counts, reasons := make(map[string]int), make(map[string]int)
	for _, s := range seen {
		token := tokenForm.FindString(s.Request.text("url.path"))
		entry, known := l.entries[token]
		if !known {
			if l.decoys[token] && s.completeness() == "complete" {
				t.Errorf("complete, and nobody sent it:\n%s", describe(s))
			}
			continue // other traffic of this machine
		}
		end := fmt.Sprint(token, " ", s.Request.text("qtap.direction"), " ", s.Request.Resource["process.pid"])
		if other, ok := ends[end]; ok {
			t.Errorf("two records of one end:\n%s", describe(other, s))
		}
		ends[end] = s
		counts[s.completeness()]++
		for _, reason := range s.missing() {
			reasons[reason]++
		}
		if s.completeness() == "complete" {
			entry.compare(t, s)
		} else {
			assert.NotEmpty(t, s.missing(), describe(s))
		}
	}
	served := 2 * len(l.entries)
	t.Logf("served %d, both ends counted; captured/served %.5f; %v; reasons %v", served, float64(len(ends))/float64(served), counts, reasons)
	return verdict{captured: len(ends), complete: counts["complete"], lost: dropped + refused}
}

func (e truth) compare(t *testing.T, s Seen) {
	t.Helper()
	o := objectOf(t, s)
	if o.Request == nil || o.Response == nil {
		t.Errorf("complete without a half:\n%s", describe(s))
		return
	}
	got := truth{
		method: s.Request.text("http.request.method"), status: s.Request.number("http.response.status_code"),
		requestSize: s.Request.number("http.request.body.size"), requestDigest: sha256.Sum256(o.Request.content(t)),
		responseSize: s.Request.number("http.response.body.size"), responseHash: sha256.Sum256(o.Response.content(t)),
	}
	if e.cut {
		t.Errorf("complete, but the response was cut:\n%s", describe(s))
	} else if got != e {
		t.Errorf("complete and wrong:\n%s sent %+v\n got  %+v", describe(s), e, got)
	}
}

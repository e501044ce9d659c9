//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestConnectionOlderThanTheCollector is adopted at its next message. What was
// half over at the start never becomes a complete record, also when its rest
// looks like a message of its own.
func TestConnectionOlderThanTheCollector(t *testing.T) {
	need(t)
	idle, uploading, answering, lying := newWire(t), newWire(t), newWire(t), newWire(t)
	all := []*Wire{idle, uploading, answering, lying}
	before, unfinished, asked, decoy := newToken(), newToken(), newToken(), newToken()
	for _, w := range all {
		w.up(get("/" + before))
		w.down(ok([]byte("before")))
	}
	upload := post("/"+unfinished, text(unfinished, 10_000))
	uploading.up(upload[:5000])
	answering.up(get("/" + asked))
	inner := get("/" + decoy)
	lying.up(head("POST /"+unfinished+" HTTP/1.1", fmt.Sprintf("Content-Length: %d", 100+len(inner))) + strings.Repeat("x", 100))

	c := startCollector(t, everything())
	uploading.up(upload[5000:])
	uploading.down(ok([]byte("after")))
	answering.down(ok([]byte("answer")))
	lying.up(inner) // the rest of a body
	lying.down(ok([]byte("to the upload")))
	for _, w := range all {
		for turn := range 3 {
			token := newToken()
			x := Exchange{Method: "POST", Path: "/" + token, RequestBody: text(token, 700), ResponseBody: text(token, 9000)}
			w.up(post(x.Path, x.RequestBody))
			w.down(ok(x.ResponseBody))
			e := split(t, c.await(t, token, 2, true))
			if turn > 0 || e.client.completeness() == "complete" { // where it joins is not certain
				x.compareEnd(t, e.client, "e2e.test")
			}
			if turn > 0 || e.server.completeness() == "complete" {
				x.compareEnd(t, e.server, "e2e.test")
			}
		}
	}
	c.Stop(t)
	for _, token := range []string{before, unfinished, asked, decoy} {
		seen, err := c.Transactions(token)
		require.NoError(t, err)
		for _, s := range seen {
			assert.NotEqual(t, "complete", s.completeness(), "half of it was before the start:\n%s", describe(s))
		}
	}
	for _, w := range all {
		for _, s := range c.nowBetween(t, w.ports()) {
			if s.Request.text("url.path") == "" {
				assert.NotEqual(t, "complete", s.completeness(), "an answer without its request:\n%s", describe(s))
			}
		}
	}
}

// TestEndLosesNothingComplete: a collector that is asked to end writes what
// it has seen.
func TestEndLosesNothingComplete(t *testing.T) {
	need(t)
	c := startCollector(t, everything())
	server := startServer(t, program("goserver"), "127.0.0.1:0")
	open, w := newToken(), newWire(t)
	w.up(get("/" + open))
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	var tokens []string
	for range 500 {
		token := newToken()
		response, err := client.Get("http://" + server.Address + "/" + token + "?size=1500")
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		tokens = append(tokens, token)
	}
	c.Stop(t)
	for _, token := range tokens {
		seen, err := c.Transactions(token)
		require.NoError(t, err)
		Exchange{Path: "/" + token + "?size=1500", ResponseBody: text(token, 1500)}.compare(t, split(t, seen))
		if t.Failed() {
			return
		}
	}
	seen, err := c.Transactions(open)
	require.NoError(t, err)
	require.Len(t, seen, 2, "a request without an answer is written too")
	for _, s := range seen {
		assert.Equal(t, "incomplete", s.completeness())
		assert.Contains(t, s.missing(), "shutdown")
	}
}

// kernelObject is what bpftool shows of a program, a map or a link.
type kernelObject struct {
	ID   int `json:"id"`
	PIDs []struct {
		PID int `json:"pid"`
	} `json:"pids"`
}

// kernelObjects returns the identifiers of all that is loaded and those that
// the process holds.
func kernelObjects(t *testing.T, pid int) (all, held []string) {
	t.Helper()
	for _, what := range []string{"prog", "map", "link"} {
		out, err := exec.Command("bpftool", "-j", what, "show").Output()
		require.NoError(t, err)
		var objects []kernelObject
		require.NoError(t, json.Unmarshal(out, &objects), string(out))
		for _, o := range objects {
			name := fmt.Sprint(what, " ", o.ID)
			all = append(all, name)
			for _, holder := range o.PIDs {
				if holder.PID == pid {
					held = append(held, name)
				}
			}
		}
	}
	return all, held
}

// TestNothingIsLeftBehind however the collector ends.
func TestNothingIsLeftBehind(t *testing.T) {
	need(t)
	for _, x := range []struct {
		name string
		end  func(c *Collector, t *testing.T)
	}{
		{"killed", func(c *Collector, _ *testing.T) { c.kill() }},
		{"stopped", func(c *Collector, t *testing.T) { c.Stop(t) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			before, _ := kernelObjects(t, 0)
			c := startCollector(t, everything())
			during, held := kernelObjects(t, c.PID())
			if len(held) == 0 { // bpftool cannot tell who holds what on some kernels
				for _, o := range during {
					if !slices.Contains(before, o) {
						held = append(held, o)
					}
				}
			}
			require.NotEmpty(t, held, "the collector has programs and maps")
			x.end(c, t)
			eventually(t, 10*time.Second, func() error { // the kernel frees maps after a grace period
				after, _ := kernelObjects(t, 0)
				for _, o := range held {
					if slices.Contains(after, o) {
						return fmt.Errorf("%s is left behind", o)
					}
				}
				return nil
			})
			processes, err := exec.Command("pgrep", "-f", c.Dir).CombinedOutput()
			assert.Error(t, err, "processes are left behind: %s", strings.TrimSpace(string(processes)))
		})
	}
}

//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLevelsAndLimits lets one collector per setting watch the same traffic.
func TestLevelsAndLimits(t *testing.T) {
	need(t)
	capture := func(settings object) *Collector { return startCollector(t, object{"capture": settings}) }
	none := capture(object{"level": "none"})
	summary := startCollector(t, object{}) // the default
	headers := capture(object{"level": "headers"})
	limited := capture(object{"level": "full", "body_limit_bytes": 1000})
	empty := capture(object{"level": "full", "body_limit_bytes": 0})
	all := []*Collector{none, summary, headers, limited, empty}

	token, w := newToken(), newWire(t)
	body := text(token, 300_000)
	small := text(token, 1000)
	w.up(head("POST /"+token+" HTTP/1.1", "X-Marker: abc", fmt.Sprintf("Content-Length: %d", len(body))) + string(body))
	w.down(ok(small))
	next := newToken()
	w.up(get("/" + next))
	w.down(ok(nil))
	w.close()

	hidden := Exchange{Method: "POST", Path: "/" + token, RequestBody: body, ResponseBody: small, HideBodies: true}
	for _, c := range []*Collector{summary, headers} {
		e := c.expect(t, hidden)
		for _, s := range []Seen{e.client, e.server} {
			o := objectOf(t, s)
			assert.Nil(t, o.Request.Body, "bodies are hidden below full")
			assert.Nil(t, o.Response.Body)
			assert.NotContains(t, s.Artifact.Body, "0123456789 abcdef", "nothing of a body is in the object")
			if c == headers {
				assert.Equal(t, []string{"abc"}, o.Request.get("X-Marker"))
				continue
			}
			assert.Empty(t, o.Request.Headers, "fields are hidden at summary")
			assert.NotContains(t, s.Artifact.Body, "X-Marker")
		}
	}
	for _, s := range none.await(t, token, 2, false) {
		assert.Equal(t, "complete", s.completeness())
		assert.NotContains(t, s.Request.Attributes, "qtap.artifact.digest")
		assert.EqualValues(t, len(body), s.Request.number("http.request.body.size"))
	}
	for _, c := range []*Collector{limited, empty} {
		for _, s := range c.await(t, token, 2, true) {
			assert.Equal(t, "truncated", s.completeness(), describe(s))
			assert.Equal(t, []string{"body_limit"}, s.missing())
			assert.EqualValues(t, len(body), s.Request.number("http.request.body.size"))
			o := objectOf(t, s)
			assert.True(t, o.Request.BodyTruncated)
			assert.EqualValues(t, len(body), *o.Request.BodySize)
			if c == empty {
				assert.Empty(t, o.Request.content(t))
				continue
			}
			assert.Equal(t, string(body[:1000]), string(o.Request.content(t)))
			assert.False(t, o.Response.BodyTruncated, "a body as long as the limit is whole")
			assert.Equal(t, string(small), string(o.Response.content(t)))
		}
	}
	for _, c := range all {
		for _, s := range c.await(t, next, 2, c != none) {
			assert.Equal(t, "complete", s.completeness(), "the connection stays in step beyond a limit: %s", describe(s))
		}
	}
	records, err := none.All()
	require.NoError(t, err)
	for _, r := range records {
		assert.Contains(t, []string{"qtap.request", "qtap.connection"}, r.Event, "level none has no artifacts")
	}
	for _, c := range all {
		c.Stop(t)
	}
}

// TestDirections lets one collector per filter watch the same traffic.
func TestDirections(t *testing.T) {
	need(t)
	collectors := make(map[string]*Collector)
	for _, direction := range []string{"all", "ingress", "egress", "egress-internal", "egress-external"} {
		collectors[direction] = startCollector(t, object{"capture": object{"direction": direction}})
	}
	collectors["no loopback"] = startCollector(t, object{"capture": object{"ignore_loopback": true}})

	loopback := startServer(t, program("goserver"), "127.0.0.1:0")
	space := newNamespace(t, "203.0.113.5/30", "203.0.113.6/30")
	outside := startServer(t, "ip", "netns", "exec", space, program("goserver"), "203.0.113.6:0")
	near, far := newToken(), newToken()
	execute(t, "", "curl", "-sS", "http://"+loopback.Address+"/"+near)
	execute(t, "", "curl", "-sS", "http://"+outside.Address+"/"+far)

	for name, want := range map[string]struct{ near, far []string }{
		"all":             {[]string{"egress-internal", "ingress"}, []string{"egress-external", "ingress"}},
		"ingress":         {[]string{"ingress"}, []string{"ingress"}},
		"egress":          {[]string{"egress-internal"}, []string{"egress-external"}},
		"egress-internal": {[]string{"egress-internal"}, nil},
		"egress-external": {nil, []string{"egress-external"}},
		"no loopback":     {nil, []string{"egress-external", "ingress"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := collectors[name]
			assert.Equal(t, want.far, directions(c.await(t, far, len(want.far), true)))
			assert.Equal(t, want.near, directions(c.await(t, near, len(want.near), true)))
			c.Stop(t)
			// After the end nothing can follow any more.
			assert.Equal(t, want.far, directions(c.await(t, far, len(want.far), true)))
			assert.Equal(t, want.near, directions(c.await(t, near, len(want.near), true)))
		})
	}
}

func directions(seen []Seen) (all []string) {
	for _, s := range seen {
		all = append(all, s.Request.text("qtap.direction"))
	}
	slices.Sort(all)
	return all
}

// TestFormats: the same transaction in the other two formats.
func TestFormats(t *testing.T) {
	need(t)
	artifacts := func(settings object) *Collector {
		r := everything()
		r["artifacts"] = settings
		return startCollector(t, r)
	}
	plain := artifacts(object{"format": "text", "access_url": "{{SCHEME}}://{{ENDPOINT}}/{{BUCKET}}/{{DIGEST}}", "bucket": "b", "endpoint": "store.test"})
	har := artifacts(object{"format": "har"})
	token, w := newToken(), newWire(t)
	w.up(post("/"+token, []byte("question")))
	w.down(ok([]byte("reply")))
	for _, s := range plain.await(t, token, 2, true) {
		checkArtifact(t, s)
		assert.Contains(t, s.Artifact.Body, "POST /"+token+" HTTP/1.1")
		assert.Contains(t, s.Artifact.Body, "question")
		assert.Contains(t, s.Artifact.Body, "reply")
		assert.Equal(t, "https://store.test/b/"+s.Request.text("qtap.artifact.digest"), s.ArtifactRecord.text("artifact.url"))
	}
	for _, s := range har.await(t, token, 2, true) {
		checkArtifact(t, s)
		var document struct {
			Log struct {
				Version string
				Entries []struct {
					Request  struct{ Method, URL string }
					Response struct{ Content struct{ Text string } }
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(s.Artifact.Body), &document))
		assert.Equal(t, "1.2", document.Log.Version)
		require.Len(t, document.Log.Entries, 1)
		assert.True(t, strings.HasSuffix(document.Log.Entries[0].Request.URL, token))
		assert.Equal(t, "reply", document.Log.Entries[0].Response.Content.Text)
		assert.NotContains(t, s.ArtifactRecord.Attributes, "artifact.url")
	}
	plain.Stop(t)
	har.Stop(t)
}

//go:build linux

package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// secretFields are the header fields that are redacted by default.
var secretFields = []string{
	"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token",
	"X-Amz-Security-Token", "X-Goog-Api-Key", "X-Csrf-Token",
}

// secretParameters are the URL parameters that are redacted.
var secretParameters = []string{
	"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "sig", "X-Goog-Signature", "Signature", "AWSAccessKeyId",
}

// TestSecretsNeverLeave plants a canary in every place that the rules cover,
// in whole and in broken messages, and then searches everything that the
// collectors wrote: records, log lines and telemetry.
func TestSecretsNeverLeave(t *testing.T) {
	need(t)
	const canary = "c4nary"
	var collectors []*Collector
	for _, format := range []string{"json", "text", "har"} {
		r := everything()
		r["artifacts"] = object{"format": format}
		collectors = append(collectors, startCollector(t, r))
	}
	var tokens []string
	play := func(request, response string, whole bool) {
		token, w := newToken(), newWire(t)
		w.up(strings.ReplaceAll(request, "{token}", token))
		if response != "" {
			w.down(response)
		}
		w.close()
		if whole {
			tokens = append(tokens, token)
		}
	}
	var fields, odd []string
	for _, name := range secretFields {
		fields = append(fields, name+": Basic "+canary, strings.ToLower(name)+":"+canary, strings.ToUpper(name)+":\t"+canary)
		odd = append(odd, name+": first\r\n "+canary, name+" : "+canary)
	}
	var parameters []string
	for _, name := range secretParameters {
		parameters = append(parameters, name+"="+canary, strings.ToLower(name)+"="+canary, strings.Replace(name, "i", "%69", 1)+"="+canary+"%20"+canary)
	}
	query := "?a=1&" + strings.Join(parameters, "&") + "&b=2"
	link := "http://user:" + canary + "@other.test/p" + query

	play(head("GET /{token}"+query+" HTTP/1.1", fields...), head("HTTP/1.1 200 OK", append(fields, "Content-Length: 0")...), true)
	play(head("GET http://user:"+canary+"@wire.test/{token}"+query+" HTTP/1.1"), ok(nil), true)
	play(head("GET /{token} HTTP/1.1", "Referer: "+link, "X-Original-URL: /p"+query),
		head("HTTP/1.1 302 Found", "Location: "+link, "Link: <"+link+">; rel=next", "Content-Length: 0"), true)
	play(head("PUT /{token} HTTP/1.1", "Transfer-Encoding: chunked")+"0\r\nAuthorization: "+canary+"\r\n\r\n",
		head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")+"0\r\nSet-Cookie: "+canary+"\r\n\r\n", true)
	play(head("GET /{token} HTTP/1.1", odd...), head("HTTP/1.1 200 OK", append(odd, "Content-Length: 0")...), false)
	play(head("GET /{token} HTTP/1.1", fields...), "", false)                                       // no answer
	play(strings.TrimSuffix(head("GET /{token} HTTP/1.1", fields...), "\r\n\r\n"), "", false)       // cut within a secret
	play("GET /{token}"+query+" HTTP/9 "+canary+"\r\nAuthorization: "+canary+"\r\n\r\n", "", false) // not HTTP
	play(head("CONNECT user:"+canary+"@{token}.test:443 HTTP/1.1", fields...), ok(nil), false)
	play(head("GET /{token} HTTP/1.1", "Content-Length: x", "Cookie: "+canary), ok(nil), false) // malformed
	last := newToken()
	w := newWire(t)
	w.up(get("/" + last))
	w.down(ok(nil))

	for _, c := range collectors {
		for _, token := range append(tokens, last) {
			for _, s := range c.await(t, token, 2, true) {
				assert.Equal(t, "complete", s.completeness(), describe(s))
			}
		}
		if telemetry := c.Telemetry(t); strings.Contains(telemetry, canary) {
			t.Errorf("a secret is in the telemetry: %s", telemetry)
		}
		c.Stop(t)
		found := 0
		require.NoError(t, filepath.WalkDir(c.Dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			found += bytes.Count(content, []byte("REDACTED"))
			if at := bytes.Index(content, []byte(canary)); at >= 0 {
				t.Errorf("a secret is in %s: %q", path, content[max(0, at-300):min(len(content), at+20)])
			}
			return nil
		}))
		assert.Greater(t, found, 100, "the canaries were in what was captured")
	}
}

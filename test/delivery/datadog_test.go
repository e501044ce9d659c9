//go:build linux

package delivery

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDatadog sends events to Datadog's log intake, as VictoriaLogs has it, and
// objects to a private bucket whose links open through nginx.
func TestDatadog(t *testing.T) {
	need(t)
	const key = "0123456789abcdef0123456789abcdef"
	events, site, storage := victoria(t), newSite(t), versity(t)
	bucket := storage.newBucket(t, false)
	links := startLinks(t, storage, bucket, t.TempDir()+"/")
	env := storage.environment(bucket)
	gate := newGate(t, events.address+"/insert/datadog", "DD-API-KEY", key)
	env["DD_API_KEY"], env["DD_LOGS_URL"] = key, gate.URL
	env["QTAP_S3_OPTIONS"] = "&use_path_style=true&endpoint=http://" + storage.address
	env["QTAP_LINK_HOST"] = links
	c := startExample(t, installation.full, "datadog-s3.yaml", env)
	for _, path := range []string{site.get(t, smallBody), site.get(t, largeBody)} {
		record := artifactInMessage(t, events, path)
		link := record["artifact.url"]
		assert.Equal(t, "http://"+links+"/"+bucket+"/"+record["artifact.digest"], link)
		var object []byte
		eventually(t, arrivesWithin, func() error {
			status, body, err := fetch("GET", link, reader)
			if err == nil && status != 200 {
				err = fmt.Errorf("%d from %s", status, link)
			}
			object = body
			return err
		})
		checkObject(t, object, record["artifact.digest"], record["artifact.size_bytes"], path)
	}
	c.stop(t)
	c.checkNothingRefused(t)
	require.NotContains(t, c.output(), key)
	events.checkSecrets(t)
}

// artifactInMessage waits for the artifact record of a path. The exporter sends
// the attributes as JSON in the message, which Datadog takes apart and
// VictoriaLogs does not.
func artifactInMessage(t testing.TB, events Victoria, path string) row {
	t.Helper()
	found := row{}
	eventually(t, arrivesWithin, func() error {
		for _, r := range events.find(t, "*") {
			var attributes map[string]any
			message := json.NewDecoder(strings.NewReader(r["_msg"]))
			message.UseNumber()
			if message.Decode(&attributes) != nil || attributes["event.type"] != "artifact_record" ||
				!strings.Contains(fmt.Sprint(attributes["url.full"]), path) {
				continue
			}
			for name, value := range attributes {
				found[name] = fmt.Sprint(value)
			}
			return nil
		}
		return fmt.Errorf("there is no artifact record of %s", path)
	})
	return found
}

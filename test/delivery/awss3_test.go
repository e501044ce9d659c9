//go:build linux

package delivery

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAWSS3 shows what the awss3 exporter makes of objects, including what makes
// the objectstore exporter the better choice.
func TestAWSS3(t *testing.T) {
	need(t)
	events, site, storage := victoria(t), newSite(t), versity(t)
	bucket := storage.newBucket(t, true)
	env := storage.environment(bucket)
	env["QTAP_OTLP_ENDPOINT"] = "http://" + events.address + "/insert/opentelemetry"
	env["QTAP_S3_PATH_STYLE"] = "true"
	env["QTAP_CONSOLE_HOST"] = "console.test"
	c := startExample(t, installation.lean, "awss3.yaml", env)
	path := site.get(t, smallBody)

	record := events.await(t, fmt.Sprintf("event.type:artifact_record url.full:%q", path))
	digest := record["artifact.digest"]
	assert.Equal(t, fmt.Sprintf("https://console.test/s3/buckets/%s?prefix=%s/", bucket, digest), record["artifact.url"])
	var object string
	eventually(t, arrivesWithin, func() error {
		for _, key := range storage.keys(t, bucket) {
			if strings.HasPrefix(key, digest+"/") {
				object = key
				return nil
			}
		}
		return fmt.Errorf("no object under %s/", digest)
	})
	assert.Regexp(t, "^[0-9a-f]{40}/logs_[0-9a-f-]{36}.txt$", object)
	content := open(t, "http://"+storage.address+"/"+bucket+"/"+object)
	exact, found := strings.CutSuffix(string(content), "\n")
	require.True(t, found, "awss3 no longer writes a line feed after the object: the example's comment and docs/delivery.md say that it does")
	checkObject(t, []byte(exact), digest, record["artifact.size_bytes"], path)

	c.stop(t)
	events.checkSecrets(t)
	storage.checkSecrets(t, bucket)
}

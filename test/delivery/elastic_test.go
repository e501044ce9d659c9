//go:build linux

package delivery

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestElastic sends events to the bulk interface of Elasticsearch, as VictoriaLogs
// has it, and objects to a bucket in the way that Google's S3 interface wants it.
func TestElastic(t *testing.T) {
	need(t)
	events, site, storage := victoria(t), newSite(t), minio(t)
	bucket := storage.newBucket(t, true)
	env := storage.environment(bucket)
	gate := newGate(t, events.address+"/insert/elasticsearch", "Authorization", "ApiKey c2VjcmV0")
	env["ELASTIC_ENDPOINT"] = gate.URL
	env["ELASTIC_API_KEY"] = "c2VjcmV0"
	c := startExample(t, installation.lean, "elastic-gcs.yaml", env)
	paths := []string{site.get(t, smallBody), site.get(t, largeBody)}
	events.await(t, fmt.Sprintf("attributes.event.type:artifact_record attributes.url.full:%q", paths[1]))

	// The exporter repeats requests itself, twice by default: more often here.
	gate.closed.Store(true)
	paths = append(paths, site.get(t, smallBody))
	eventually(t, arrivesWithin, func() error {
		if refused := gate.refused.Load(); refused < 5 {
			return fmt.Errorf("%d requests were refused", refused)
		}
		return nil
	})
	gate.closed.Store(false)
	for _, path := range paths {
		record := events.await(t, fmt.Sprintf("attributes.event.type:artifact_record attributes.url.full:%q", path))
		link := record["attributes.artifact.url"]
		assert.Equal(t, "http://"+storage.address+"/"+bucket+"/"+record["attributes.artifact.digest"], link)
		checkObject(t, awaitLink(t, link), record["attributes.artifact.digest"], record["attributes.artifact.size_bytes"], path)
	}
	c.stop(t)
	c.checkNothingRefused(t)
	events.checkSecrets(t)
	storage.checkSecrets(t, bucket)
}

//go:build linux

package delivery

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLoki sends events to Loki and objects to either S3 server.
func TestLoki(t *testing.T) {
	need(t)
	for _, storage := range []Storage{versity(t), minio(t)} {
		t.Run(storage.name, func(t *testing.T) {
			events, site := loki(t), newSite(t)
			bucket := storage.newBucket(t, true)
			env := storage.environment(bucket)
			env["LOKI_OTLP_ENDPOINT"] = "http://" + events.address + "/otlp"
			env["LOKI_HEADERS"] = "{X-Scope-OrgID: tenant}"
			c := startExample(t, installation.lean, "loki-s3.yaml", env)
			paths := []string{site.get(t, smallBody), site.get(t, largeBody)}
			for _, path := range paths {
				record := events.await(t, fmt.Sprintf(`{service_name="qtap"} | event_type="artifact_record" | url_full=~".*%s.*"`, path))
				assert.Equal(t, "http://"+storage.address+"/"+bucket+"/"+record["artifact_digest"], record["artifact_url"])
				checkObject(t, awaitLink(t, record["artifact_url"]), record["artifact_digest"], record["artifact_size_bytes"], path)
			}

			// Two attributes of 44 kB: more structured metadata than Loki takes, and
			// less than the receiver reads of a header section.
			long := "/" + newToken()
			response, err := http.Get(site.URL + long + "?" + strings.Repeat("long=query&", 4000))
			require.NoError(t, err)
			_, _ = io.Copy(io.Discard, response.Body)
			require.NoError(t, response.Body.Close())
			record := events.await(t, fmt.Sprintf(`{service_name="qtap"} | event_type="request" | url_path=%q`, long))
			assert.Equal(t, "true", record["qtap_shortened"])
			assert.Len(t, record["url_full"], 8192)

			c.stop(t)
			c.checkNothingRefused(t)
			for _, r := range events.find(t, `{service_name="qtap"}`) {
				for name, value := range r {
					require.NotContains(t, value, canary, name)
				}
			}
			storage.checkSecrets(t, bucket)
		})
	}
}

// await returns the one record that a query finds, once it does.
func (l Loki) await(t testing.TB, query string) (found row) {
	t.Helper()
	eventually(t, arrivesWithin, func() error {
		rows := l.find(t, query)
		if len(rows) != 1 {
			return fmt.Errorf("%d records are found by %s", len(rows), query)
		}
		found = rows[0]
		return nil
	})
	return found
}

// awaitLink opens a link, once what it names is there: objects and events travel
// apart.
func awaitLink(t testing.TB, link string) (content []byte) {
	t.Helper()
	require.NotEmpty(t, link)
	eventually(t, arrivesWithin, func() error {
		status, body, err := fetch("GET", link, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d from %s", status, link)
		}
		content = body
		return err
	})
	return content
}

//go:build linux

package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clickhouseRow is what the stand-in gives back of a row.
type clickhouseRow struct {
	Body, EventName, ServiceName string
	SeverityText                 string
	LogAttributes                row
	ResourceAttributes           row
}

// TestClickHouse inserts into a stand-in that checks the table's columns and types:
// no real ClickHouse can be built where these tests run.
func TestClickHouse(t *testing.T) {
	need(t)
	const user, password = "writer", "insert it"
	address := freeAddress(t)
	process := launch(t, server("clickhouse", address, user, password))
	answers(t, process, "http://"+address+"/ping")
	site, folder := newSite(t), t.TempDir()
	c := startExample(t, installation.full, "clickhouse.yaml", settings{
		"CLICKHOUSE_ENDPOINT": "http://" + address, "CLICKHOUSE_USER": user, "CLICKHOUSE_PASSWORD": password,
		"QTAP_ACCESS_URL":  "http://" + address + "/rows?{{DIGEST}}",
		"QTAP_OBJECTS_URL": "file://" + folder,
	})
	small, large := site.get(t, smallBody), site.get(t, largeBody)

	record := awaitRow(t, address, "qtap.artifact_record", "url.full", small)
	assert.Equal(t, "qtap", record.ServiceName)
	assert.Equal(t, "INFO", record.SeverityText)
	assert.Equal(t, "curl", record.ResourceAttributes["process.executable.name"])
	digest, size := record.LogAttributes["artifact.digest"], record.LogAttributes["artifact.size_bytes"]
	assert.True(t, strings.HasSuffix(record.LogAttributes["artifact.url"], "/rows?"+digest))
	object := awaitRow(t, address, "qtap.artifact", "artifact.digest", digest)
	checkObject(t, []byte(object.Body), digest, size, small)

	record = awaitRow(t, address, "qtap.artifact_record", "url.full", large)
	digest, size = record.LogAttributes["artifact.digest"], record.LogAttributes["artifact.size_bytes"]
	reference := awaitRow(t, address, "qtap.artifact", "artifact.digest", digest)
	assert.Equal(t, fmt.Sprintf("object %s of %s bytes is in the object store", digest, size), reference.Body)
	checkObject(t, awaitFile(t, filepath.Join(folder, digest)), digest, size, large)

	c.stop(t)
	c.checkNothingRefused(t)
	require.NotContains(t, process.output(), "refused", "by the stand-in")
	require.NotContains(t, c.output(), password)
	require.NotContains(t, string(open(t, "http://"+address+"/rows")), canary)
	checkFolder(t, folder)
}

// awaitRow returns the row of this event whose attribute holds a text.
func awaitRow(t testing.TB, address, event, attribute, text string) (found clickhouseRow) {
	t.Helper()
	eventually(t, arrivesWithin, func() error {
		for line := range bytes.Lines(open(t, "http://"+address+"/rows")) {
			var r clickhouseRow
			require.NoError(t, json.Unmarshal(line, &r), string(line))
			if r.EventName == event && strings.Contains(r.LogAttributes[attribute], text) {
				found = r
				return nil
			}
		}
		return fmt.Errorf("no row %s for %s", event, text)
	})
	return found
}

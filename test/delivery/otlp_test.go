//go:build linux

package delivery

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOTLP sends events and objects to the same back end; the link is a search in
// it for the digest.
func TestOTLP(t *testing.T) {
	need(t)
	events, site, folder := victoria(t), newSite(t), t.TempDir()
	gate := newGate(t, events.address+"/insert/opentelemetry", "X-Team", "team key")
	c := startExample(t, installation.lean, "otlp.yaml", settings{
		"QTAP_OTLP_ENDPOINT": gate.URL,
		"QTAP_OTLP_HEADERS":  `{X-Team: "team key"}`,
		"QTAP_ACCESS_URL":    searchLink(events),
		"QTAP_OBJECTS_URL":   "file://" + folder,
	})
	small, large := site.get(t, smallBody), site.get(t, largeBody)

	t.Run("a small object is a record, found by the link", func(t *testing.T) {
		record := events.await(t, fmt.Sprintf("event.type:artifact_record url.full:%q", small))
		events.await(t, "event.type:artifact artifact.digest:"+record["artifact.digest"])
		var found row
		require.NoError(t, json.Unmarshal(open(t, record["artifact.url"]), &found))
		checkObject(t, []byte(found["_msg"]), record["artifact.digest"], record["artifact.size_bytes"], small)
	})
	t.Run("a large object is a reference, and a file under its digest", func(t *testing.T) {
		record := events.await(t, fmt.Sprintf("event.type:artifact_record url.full:%q", large))
		reference := events.await(t, "event.type:artifact artifact.digest:"+record["artifact.digest"])
		assert.Equal(t, "true", reference["qtap.artifact.reference"])
		assert.Equal(t, fmt.Sprintf("object %s of %s bytes is in the object store", record["artifact.digest"], record["artifact.size_bytes"]), reference["_msg"])
		checkObject(t, awaitFile(t, filepath.Join(folder, record["artifact.digest"])), record["artifact.digest"], record["artifact.size_bytes"], large)
	})
	c.stop(t)
	c.checkNothingRefused(t)
	events.checkSecrets(t)
	checkFolder(t, folder)
}

// searchLink is the template of links that search VictoriaLogs for an object.
func searchLink(v Victoria) string {
	return "http://" + v.address + "/select/logsql/query?query=event.type:artifact%20artifact.digest:{{DIGEST}}"
}

// awaitFile returns a file's content, once there is one.
func awaitFile(t testing.TB, path string) (content []byte) {
	t.Helper()
	eventually(t, arrivesWithin, func() (err error) {
		content, err = os.ReadFile(path)
		return err
	})
	return content
}

// checkFolder checks that every file is named by its SHA-1, and looks for the
// canary in them.
func checkFolder(t testing.TB, folder string) {
	t.Helper()
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(folder, file.Name()))
		require.NoError(t, err)
		require.Equal(t, digestOf(content), file.Name())
		require.NotContains(t, string(content), canary)
	}
}

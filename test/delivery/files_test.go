//go:build linux

package delivery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
)

// TestFiles writes events and objects to a folder; nginx opens the links, for whoever
// signs in.
func TestFiles(t *testing.T) {
	need(t)
	site, folder := newSite(t), t.TempDir()
	objects := filepath.Join(folder, "objects")
	links := startLinks(t, Storage{address: freeAddress(t)}, "unused", objects+"/")
	c := startExample(t, installation.lean, "files.yaml", settings{
		"QTAP_FOLDER": folder, "QTAP_OBJECTS_URL": "file://" + objects,
		"QTAP_LINK_SCHEME": "http", "QTAP_LINK_HOST": links,
	})
	for _, path := range []string{site.get(t, smallBody), site.get(t, largeBody)} {
		var record row
		eventually(t, arrivesWithin, func() (err error) {
			record, err = findInFile(filepath.Join(folder, "events.jsonl"), path)
			return err
		})
		link := record["artifact.url"]
		assert.Equal(t, "http://"+links+"/files/"+record["artifact.digest"], link)
		awaitFile(t, filepath.Join(objects, record["artifact.digest"]))
		status, _, err := fetch("GET", link, nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusUnauthorized, status, "without a name")
		status, object, err := fetch("GET", link, reader)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		checkObject(t, object, record["artifact.digest"], record["artifact.size_bytes"], path)
	}
	c.stop(t)
	c.checkNothingRefused(t)
	checkFolder(t, objects)
	events, err := os.ReadFile(filepath.Join(folder, "events.jsonl"))
	require.NoError(t, err)
	require.NotContains(t, string(events), canary)
	for line := range strings.Lines(string(events)) {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

// findInFile looks for the artifact_record of a request in a file of OTLP in JSON.
func findInFile(file, path string) (row, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(content)) {
		if !strings.HasSuffix(line, "\n") {
			break // still being written
		}
		logs, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs([]byte(line))
		if err != nil {
			return nil, err
		}
		for _, resource := range logs.ResourceLogs().All() {
			for _, scope := range resource.ScopeLogs().All() {
				for _, record := range scope.LogRecords().All() {
					found := row{}
					for name, value := range record.Attributes().All() {
						found[name] = value.AsString()
					}
					if record.EventName() == "qtap.artifact_record" && strings.Contains(found["url.full"], path) {
						return found, nil
					}
				}
			}
		}
	}
	return nil, fmt.Errorf("no artifact_record for %s in %d bytes", path, len(content))
}

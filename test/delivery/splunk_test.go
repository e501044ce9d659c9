//go:build linux

package delivery

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// splunkTakes is what Splunk Cloud takes in one request, decompressed.
const splunkTakes = 1 << 20

// TestSplunk sends to the HTTP Event Collector as VictoriaLogs has it, behind a
// stand-in that checks what Splunk itself would check.
func TestSplunk(t *testing.T) {
	need(t)
	const token = "11111111-2222-3333-4444-555555555555"
	events, site, folder := victoria(t), newSite(t), t.TempDir()
	gate := newGate(t, events.address+"/insert/splunk", "Authorization", "Splunk "+token)
	gate.check = checkHEC
	c := startExample(t, installation.full, "splunk.yaml", settings{
		"SPLUNK_HEC_URL": gate.URL + "/services/collector/event", "SPLUNK_HEC_TOKEN": token,
		"QTAP_ACCESS_URL":  "http://" + events.address + "/select/logsql/query?query=fields.event.type:artifact%20fields.artifact.digest:{{DIGEST}}",
		"QTAP_OBJECTS_URL": "file://" + folder,
	})
	small, large := site.get(t, smallBody), site.get(t, largeBody)

	record := events.await(t, fmt.Sprintf("fields.event.type:artifact_record fields.url.full:%q", small))
	events.await(t, "fields.event.type:artifact fields.artifact.digest:"+record["fields.artifact.digest"])
	var found row
	require.NoError(t, json.Unmarshal(open(t, record["fields.artifact.url"]), &found))
	checkObject(t, []byte(found["_msg"]), record["fields.artifact.digest"], record["fields.artifact.size_bytes"], small)

	record = events.await(t, fmt.Sprintf("fields.event.type:artifact_record fields.url.full:%q", large))
	reference := events.await(t, "fields.event.type:artifact fields.artifact.digest:"+record["fields.artifact.digest"])
	assert.Contains(t, reference["_msg"], "is in the object store")
	checkObject(t, awaitFile(t, filepath.Join(folder, record["fields.artifact.digest"])), record["fields.artifact.digest"], record["fields.artifact.size_bytes"], large)

	c.stop(t)
	c.checkNothingRefused(t)
	require.NotContains(t, c.output(), token)
	events.checkSecrets(t)
	checkFolder(t, folder)
}

// checkHEC checks a request as the HTTP Event Collector does: JSON objects one after
// the other, each with an event and a time in seconds, not too much at once.
func checkHEC(r *http.Request) error {
	packed, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(packed))
	content := packed
	if r.Header.Get("Content-Encoding") == "gzip" {
		reader, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return err
		}
		if content, err = io.ReadAll(reader); err != nil {
			return err
		}
	}
	if len(content) > splunkTakes {
		return fmt.Errorf("a request of %d bytes", len(content))
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	for {
		var event struct {
			Time                json.Number
			Event               any
			Index, Source, Host string
			SourceType          string `json:"sourcetype"`
			Fields              map[string]any
		}
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("invalid data format: %w", err)
		}
		if event.Event == nil || event.Event == "" {
			return errors.New("event field is required")
		}
		if seconds, err := strconv.ParseFloat(event.Time.String(), 64); err != nil || seconds < 1e9 || seconds > 1e10 {
			return fmt.Errorf("time %q is not in seconds", event.Time)
		}
		if event.Index != "main" || event.SourceType != "qtap" {
			return fmt.Errorf("index %q, sourcetype %q", event.Index, event.SourceType)
		}
	}
}

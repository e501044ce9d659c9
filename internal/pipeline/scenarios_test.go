package pipeline

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Golden records change wholly when a recording is made anew: ports, times and
// numbers of processes are others. What the tests here ask does not change.

// told is one transaction as an end of the connection tells it.
type told struct {
	end     string // "server" or "client"
	call    string // method, path and query
	outcome string // status, body sizes, completeness and reasons
}

// tell returns the transactions of a recording, those of an end in order.
func tell(logs plog.Logs) (all []told) {
	for _, r := range appendRecords(nil, logs) {
		if r.EventName() != "qtap.request" {
			continue
		}
		get := func(name string) string {
			if v, ok := r.Attributes().Get(name); ok {
				return v.AsString()
			}
			return "-"
		}
		t := told{end: "client", call: get("http.request.method") + " " + get("url.path")}
		if get("qtap.direction") == "ingress" {
			t.end = "server"
		}
		if query := get("url.query"); query != "-" {
			t.call += "?" + query
		}
		t.outcome = fmt.Sprintf("%s %s/%s %s", get("http.response.status_code"),
			get("http.request.body.size"), get("http.response.body.size"), get("qtap.completeness"))
		if missing := get("qtap.missing"); missing != "-" {
			t.outcome += " " + missing
		}
		all = append(all, t)
	}
	return all
}

// facts returns one line per transaction, sorted; what both ends tell, once.
func facts(all []told) []string {
	lines := []string{}
	count := map[string]int{}
	for _, t := range all {
		count[t.end+t.call+t.outcome]++
	}
	for _, t := range all {
		switch {
		case count["server"+t.call+t.outcome] != count["client"+t.call+t.outcome]:
			lines = append(lines, t.end+": "+t.call+" "+t.outcome)
		case t.end == "server":
			lines = append(lines, t.call+" "+t.outcome)
		}
	}
	slices.Sort(lines)
	return lines
}

func TestRecordedScenariosAreToldAsTheyWere(t *testing.T) {
	for _, name := range recordingNames(t) {
		scenario := strings.TrimSuffix(filepath.Base(name), ".qtap")
		t.Run(scenario, func(t *testing.T) {
			want, ok := scenarios[scenario]
			require.True(t, ok, "it is not in the table")
			got, _ := playFile(t, name, 1)
			assert.Equal(t, want, facts(tell(got)))
		})
	}
	assert.Len(t, scenarios, len(recordingNames(t)))
}

// exchanged is what the peers sent each other, as an object has it: what both
// ends must tell alike when both are complete.
type exchanged struct {
	Completeness string
	Direction    string
	Request      map[string]any
	Response     map[string]any
}

func TestCompleteRecordsOfBothEndsHoldTheSame(t *testing.T) {
	compared := 0
	for _, name := range recordingNames(t) {
		logs, _ := playFile(t, name, 1)
		ends := map[bool]map[string][]exchanged{true: {}, false: {}}
		for _, r := range appendRecords(nil, logs) {
			if r.EventName() != "qtap.artifact" {
				continue
			}
			var e exchanged
			require.NoError(t, json.Unmarshal([]byte(r.Body().Str()), &e))
			url := fmt.Sprint(e.Request["url"])
			isServer := e.Direction == "ingress"
			e.Direction = ""
			ends[isServer][url] = append(ends[isServer][url], e)
		}
		for url, served := range ends[true] {
			asked := ends[false][url]
			if !assert.Len(t, asked, len(served), "%s: %s", name, url) {
				continue
			}
			for i := range served {
				if served[i].Completeness == "complete" && asked[i].Completeness == "complete" {
					compared++
					assert.Equal(t, served[i], asked[i], "%s: %s", name, url)
				}
			}
		}
	}
	assert.Greater(t, compared, len(scenarios), "transactions that are complete at both ends")
}

func TestNoSecretOfARecordingIsInItsRecords(t *testing.T) {
	file := filepath.Join(recordings, "secrets.qtap")
	recording, err := os.ReadFile(file)
	require.NoError(t, err)
	canaries := map[string]bool{}
	for _, canary := range regexp.MustCompile(`CANARY-\d\d`).FindAllString(string(recording), -1) {
		canaries[canary] = true
	}
	assert.Len(t, canaries, 15)
	logs, _ := playFile(t, file, 1)
	records, err := (&plog.JSONMarshaler{}).MarshalLogs(logs)
	require.NoError(t, err)
	assert.NotContains(t, string(records), "CANARY")
	assert.Contains(t, string(records), "REDACTED")
}

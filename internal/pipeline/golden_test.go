package pipeline

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/plogtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/policy"
	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/internal/replay"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

const (
	recordings = "../../testdata/events"
	goldens    = "../../testdata/golden"
	// leastRecordings are recorded; fewer means that the tests look in the
	// wrong place.
	leastRecordings = 15
	// bodyLimit keeps golden files small enough to review.
	bodyLimit = 2048
)

// recorded knows the processes of a recording as far as they are described in
// it: nothing of the machine on which it is played.
type recorded struct {
	guard sync.Mutex
	known map[transaction.ProcessKey]*transaction.Process
}

func (r *recorded) Observe(p *event.Process) {
	names := slices.Clone(p.Exe)
	slices.Reverse(names)
	process := &transaction.Process{PID: p.PID, ExecutablePath: "/" + strings.Join(names, "/")}
	process.ExecutableName = path.Base(process.ExecutablePath)
	r.guard.Lock()
	defer r.guard.Unlock()
	r.known[transaction.ProcessKey{PID: p.PID, Generation: p.Generation}] = process
}

func (r *recorded) Lookup(key transaction.ProcessKey) *transaction.Process {
	r.guard.Lock()
	defer r.guard.Unlock()
	return r.known[key]
}

// playFile plays a recording and returns all records in one Logs.
func playFile(t *testing.T, name string, shards int) (plog.Logs, Stats) {
	t.Helper()
	player, err := replay.Open(name)
	require.NoError(t, err)
	rules, err := policy.New(policy.Config{Level: transaction.LevelFull, BodyLimit: bodyLimit})
	require.NoError(t, err)
	config := Config{Policy: rules, Shards: shards}
	config.BatchRecords, config.BatchBytes, config.BatchAge = 1<<20, 1<<30, time.Hour
	config.Record = record.Options{
		ServiceName: "qtap", Session: "golden", BodyLimit: bodyLimit, Scheme: "https",
		AccessURL: "{{SCHEME}}://objects.example.test/{{DIGEST}}", ScopeName: "qtapreceiver", ScopeVersion: "test",
	}
	all := plog.NewLogs()
	p, err := New(config, player, &recorded{known: map[transaction.ProcessKey]*transaction.Process{}},
		func(_ context.Context, b record.Batch) (int, error) {
			b.Events.ResourceLogs().MoveAndAppendTo(all.ResourceLogs())
			for _, artifact := range b.Artifacts {
				artifact.ResourceLogs().MoveAndAppendTo(all.ResourceLogs())
			}
			return 0, nil
		})
	require.NoError(t, err)
	require.NoError(t, p.Run(context.Background()))
	require.NoError(t, player.Close())
	return all, p.Stats()
}

func recordingNames(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(recordings, "*.qtap"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(names), leastRecordings, "recordings in %s", recordings)
	return names
}

func TestRecordedTrafficGivesTheGoldenRecords(t *testing.T) {
	for _, name := range recordingNames(t) {
		scenario := strings.TrimSuffix(filepath.Base(name), ".qtap")
		t.Run(scenario, func(t *testing.T) {
			got, stats := playFile(t, name, 1)
			assert.Zero(t, stats.Malformed)
			assert.Zero(t, stats.Memory)
			assert.Zero(t, stats.DoubtfulBytes)
			file := filepath.Join(goldens, scenario+".yaml")
			if *update {
				require.NoError(t, os.MkdirAll(goldens, 0o755))
				require.NoError(t, golden.WriteLogsToFile(file, got))
				return
			}
			want, err := golden.ReadLogs(file)
			require.NoError(t, err)
			assert.NoError(t, plogtest.CompareLogs(want, got))
		})
	}
}

func TestSecretsOfTheRecordingsAreInNoRecord(t *testing.T) {
	const secret = "CANARY"
	played := 0
	for _, name := range recordingNames(t) {
		recording, err := os.ReadFile(name)
		require.NoError(t, err)
		if !bytes.Contains(recording, []byte(secret)) {
			continue
		}
		played++
		logs, _ := playFile(t, name, 1)
		text, err := (&plog.JSONMarshaler{}).MarshalLogs(logs)
		require.NoError(t, err)
		assert.NotContains(t, string(text), secret)
	}
	assert.Positive(t, played)
}

func TestEveryGoldenFileHasItsRecording(t *testing.T) {
	var want []string
	for _, name := range recordingNames(t) {
		want = append(want, strings.TrimSuffix(filepath.Base(name), ".qtap"))
	}
	files, err := filepath.Glob(filepath.Join(goldens, "*.yaml"))
	require.NoError(t, err)
	var got []string
	for _, file := range files {
		got = append(got, strings.TrimSuffix(filepath.Base(file), ".yaml"))
	}
	assert.Equal(t, want, got)
}

func TestRecordedTrafficGivesTheSameWithManyShards(t *testing.T) {
	for _, name := range recordingNames(t) {
		one, _ := playFile(t, name, 1)
		many, _ := playFile(t, name, 4)
		assert.Equal(t, bodies(one), bodies(many), name)
	}
}

// bodies returns the bodies of all records, sorted.
func bodies(logs plog.Logs) (texts []string) {
	for _, r := range appendRecords(nil, logs) {
		texts = append(texts, r.Body().AsString())
	}
	sort.Strings(texts)
	return texts
}

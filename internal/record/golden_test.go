package record

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/plogtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/policy"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// goldenCases are transactions with their process, redacted as the pipeline
// does it.
func goldenCases(t testing.TB) map[string]struct {
	transaction *transaction.Transaction
	process     *transaction.Process
} {
	type c = struct {
		transaction *transaction.Transaction
		process     *transaction.Process
	}
	cases := map[string]c{
		"get":           {simpleGet(), nginx()},
		"upload":        {uploadWithSecrets(t), curl()},
		"unanswered":    {unanswered(), nil},
		"only_response": {onlyResponse(), nginx()},
	}
	r := policy.NewRedactor(policy.DefaultHeaders())
	for _, c := range cases {
		r.Apply(c.transaction)
	}
	return cases
}

var levels = []transaction.Level{transaction.LevelNone, transaction.LevelSummary, transaction.LevelHeaders, transaction.LevelFull}

func TestRecordsAreTheGoldenOnes(t *testing.T) {
	for name, c := range goldenCases(t) {
		for _, level := range []transaction.Level{transaction.LevelNone, transaction.LevelFull} {
			t.Run(name+"/"+level.String(), func(t *testing.T) {
				e := newTestEncoder(t, testOptions())
				e.Transaction(c.transaction, c.process, level)
				b := e.Take()
				path := filepath.Join("testdata", "records", name+"_"+level.String())
				compare(t, path+"_events.yaml", b.Events)
				if level == transaction.LevelNone {
					assert.Empty(t, b.Artifacts)
					return
				}
				require.Len(t, b.Artifacts, 1)
				compare(t, path+"_artifact.yaml", b.Artifacts[0])
			})
		}
	}
}

func TestConnectionRecordsAreTheGoldenOnes(t *testing.T) {
	plain := serverConnection()
	plain.Closed, plain.Sent, plain.Received = 12*second+500_000_000, 123456, 789
	opaque := clientConnection()
	opaque.Protocol, opaque.Transactions, opaque.Closed, opaque.Reset = event.ProtocolHTTP2, 0, 20*second, true
	opaque.Missing = event.Of(event.ReasonRingFull)
	local := unanswered().Connection
	e := newTestEncoder(t, testOptions())
	e.Connection(plain, nginx())
	e.Connection(opaque, curl())
	e.Connection(local, nil)
	b := e.Take()
	assert.Equal(t, 3, b.Connections)
	compare(t, filepath.Join("testdata", "records", "connections_events.yaml"), b.Events)
}

func compare(t *testing.T, path string, got plog.Logs) {
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, golden.WriteLogsToFile(path, got))
		return
	}
	want, err := golden.ReadLogs(path)
	require.NoError(t, err)
	require.NoError(t, plogtest.CompareLogs(want, got))
}

func TestObjectsAreTheGoldenOnes(t *testing.T) {
	for name, c := range goldenCases(t) {
		for _, format := range []Format{FormatJSON, FormatText, FormatHAR} {
			for _, level := range levels[1:] {
				t.Run(name+"/"+format.String()+"/"+level.String(), func(t *testing.T) {
					got := objectOf(t, c.transaction, c.process, format, level)
					path := filepath.Join("testdata", "objects", name+"_"+level.String()+"."+format.String())
					if *update {
						require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
						require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
						return
					}
					want, err := os.ReadFile(path)
					require.NoError(t, err)
					assert.Equal(t, string(want), got)
				})
			}
		}
	}
}

// objectOf returns the object of a transaction.
func objectOf(t testing.TB, tr *transaction.Transaction, p *transaction.Process, format Format, level transaction.Level) string {
	o := testOptions()
	o.Format = format
	e := newTestEncoder(t, o)
	e.Transaction(tr, p, level)
	b := e.Take()
	require.Len(t, b.Artifacts, 1)
	return artifactOf(b.Artifacts[0]).Body().Str()
}

// artifactOf returns the record of an artifact.
func artifactOf(logs plog.Logs) plog.LogRecord {
	return logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
}

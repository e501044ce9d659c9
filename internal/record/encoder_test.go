package record

import (
	"crypto/sha1"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// everything returns all records of a batch as text.
func everything(t testing.TB, b Batch) string {
	var all strings.Builder
	for _, logs := range append(b.Artifacts, b.Events) {
		text, err := (&plog.JSONMarshaler{}).MarshalLogs(logs)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}

func TestEventsOfOneProcessShareTheirResource(t *testing.T) {
	e := newTestEncoder(t, testOptions())
	one, other := nginx(), curl()
	e.Transaction(simpleGet(), one, transaction.LevelSummary)
	e.Transaction(uploadWithSecrets(t), other, transaction.LevelNone)
	e.Transaction(simpleGet(), one, transaction.LevelNone)
	e.Connection(serverConnection(), one)
	records, bytes := e.Pending()
	assert.Equal(t, 6, records)
	assert.Positive(t, bytes)

	b := e.Take()
	assert.Equal(t, []int{3, 1, 1, 1}, []int{b.Requests, b.Connections, b.ArtifactRecords, len(b.Artifacts)})
	assert.Equal(t, bytes, b.Bytes)
	assert.Equal(t, 2, b.Events.ResourceLogs().Len())
	assert.Equal(t, b.Requests+b.Connections+b.ArtifactRecords, b.Events.LogRecordCount())
	assert.Equal(t, 1, b.Artifacts[0].LogRecordCount())

	records, bytes = e.Pending()
	assert.Zero(t, records)
	assert.Zero(t, bytes)
	assert.Zero(t, e.Take().Events.ResourceLogs().Len(), "the next batch shares nothing with the last")
}

func TestDigestIsOfTheObjectAndEverywhereTheSame(t *testing.T) {
	e := newTestEncoder(t, testOptions())
	e.Transaction(simpleGet(), nginx(), transaction.LevelFull)
	b := e.Take()
	artifact := artifactOf(b.Artifacts[0])
	sum := sha1.Sum([]byte(artifact.Body().Str()))
	want := hex.EncodeToString(sum[:])

	resource := b.Artifacts[0].ResourceLogs().At(0).Resource().Attributes().AsRaw()
	assert.Equal(t, want, resource["qtap.artifact.digest"])
	assert.NotContains(t, b.Events.ResourceLogs().At(0).Resource().Attributes().AsRaw(), "qtap.artifact.digest")
	assert.Equal(t, want, artifact.Attributes().AsRaw()["artifact.digest"])
	assert.EqualValues(t, len(artifact.Body().Str()), artifact.Attributes().AsRaw()["artifact.size_bytes"])
	records := b.Events.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	assert.Equal(t, want, records.At(0).Attributes().AsRaw()["qtap.artifact.digest"])
	assert.Equal(t, want, records.At(1).Attributes().AsRaw()["artifact.digest"])
}

func TestAccessURL(t *testing.T) {
	o := Options{Scheme: "https", Endpoint: "e.test", Bucket: "{{DIGEST}}"}
	for _, tt := range []struct{ template, want, err string }{
		{"", "", ""},
		{"https://h/{{DIGEST}}", "https://h/d", ""},
		{"{{SCHEME}}://{{ENDPOINT}}/{{BUCKET}}/{{DIGEST}}?x={{DIGEST}}", "https://e.test/{{DIGEST}}/d?x=d", ""},
		{"https://h/fixed", "https://h/fixed", ""},
		{"https://h/{{digest}}", "", "access URL: unknown placeholder {{digest}}, must be one of: {{DIGEST}}, {{BUCKET}}, {{ENDPOINT}}, {{SCHEME}}"},
		{"https://h/{{HOST}}/{{DIGEST}}", "", "access URL: unknown placeholder {{HOST}}, must be one of: {{DIGEST}}, {{BUCKET}}, {{ENDPOINT}}, {{SCHEME}}"},
		{"https://h/{{DIGEST", "", `access URL "https://h/{{DIGEST": {{ without }}`},
	} {
		o.AccessURL = tt.template
		e, err := NewEncoder(o)
		if tt.err != "" {
			assert.EqualError(t, err, tt.err)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, tt.want, e.accessURL.of("d"))
	}
}

func TestFormatsHaveTheirNames(t *testing.T) {
	for _, name := range []string{"json", "text", "har"} {
		var f Format
		require.NoError(t, f.UnmarshalText([]byte(name)))
		assert.Equal(t, name, f.String())
	}
	assert.EqualError(t, new(Format).UnmarshalText([]byte("xml")), `unknown format "xml", must be one of: json, text, har`)
	_, err := NewEncoder(Options{Format: 3})
	assert.Error(t, err)
}

func TestErrorTypeAndSeverity(t *testing.T) {
	for _, tt := range []struct {
		name     string
		status   int // 0: no response
		role     event.Role
		missing  event.Reasons
		want     string
		severity string
	}{
		{"a good answer is no error", 200, event.RoleClient, 0, "", "INFO"},
		{"a client error is the client's", 404, event.RoleClient, 0, "404", "WARN"},
		{"a client error is not the server's", 404, event.RoleServer, 0, "", "WARN"},
		{"a server error is both sides'", 503, event.RoleServer, 0, "503", "ERROR"},
		{"a connection that ended", 0, event.RoleClient, event.Of(event.ReasonNoResponse, event.ReasonConnectionClosed), "connection_closed", "ERROR"},
		{"a lost answer", 0, event.RoleClient, event.Of(event.ReasonNoResponse, event.ReasonRingFull), "no_response", "ERROR"},
		{"a status that no class has", 999, event.RoleServer, 0, "", "ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := simpleGet()
			tr.Connection.Role, tr.Missing = tt.role, tt.missing
			if tr.Response.Status = tt.status; tt.status == 0 {
				tr.Response = nil
			}
			e := newTestEncoder(t, testOptions())
			e.Transaction(tr, nil, transaction.LevelNone)
			record := artifactOf(e.Take().Events)
			got, _ := record.Attributes().AsRaw()["error.type"].(string)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.severity, record.SeverityText())
		})
	}
}

func TestNothingIsInventedForAnEmptyTransaction(t *testing.T) {
	for _, level := range levels {
		for _, format := range []Format{FormatJSON, FormatText, FormatHAR} {
			e := newTestEncoder(t, Options{Format: format})
			e.Transaction(&transaction.Transaction{Connection: &transaction.Connection{ID: 1}}, nil, level)
			b := e.Take()
			attributes := artifactOf(b.Events).Attributes().AsRaw()
			for _, name := range []string{
				"http.request.method", "http.response.status_code", "url.full", "server.address", "client.address", "network.peer.address",
				"qtap.direction", "qtap.duration_ms", "qtap.time_to_first_byte_ms", "http.request.body.size", "user_agent.original",
			} {
				assert.NotContains(t, attributes, name)
			}
			assert.Zero(t, artifactOf(b.Events).Timestamp())
			assert.Zero(t, b.Events.ResourceLogs().At(0).Resource().Attributes().Len())
			assert.Equal(t, "incomplete", attributes["qtap.completeness"])
		}
	}
}

func TestWhatIsNotUTF8IsMarkedWhereItIsShown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		field message.Field
		level transaction.Level
		want  bool
	}{
		{"a field at level headers", message.Field{Name: "X-A", Value: "\xe9"}, transaction.LevelHeaders, true},
		{"a field that summary does not show", message.Field{Name: "X-A", Value: "\xe9"}, transaction.LevelSummary, false},
		{"the user agent at every level", message.Field{Name: "USER-AGENT", Value: "\xe9"}, transaction.LevelNone, true},
		{"UTF-8 is no fault", message.Field{Name: "X-A", Value: "é"}, transaction.LevelFull, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := simpleGet()
			tr.Request.Fields = append(message.Fields{tt.field}, tr.Request.Fields...)
			e := newTestEncoder(t, testOptions())
			x := e.observe(tr, nil, tt.level)
			assert.Equal(t, tt.want, x.missing.Has(event.ReasonNotUTF8))
			assert.Equal(t, tt.want, x.completeness == transaction.Incomplete)
		})
	}
}

// documentation is the contract with the users.
const documentation = "../../docs/record-format.md"

func TestEveryAttributeAndReasonIsDocumented(t *testing.T) {
	text, err := os.ReadFile(documentation)
	require.NoError(t, err)
	names := map[string]bool{}
	attribute := regexp.MustCompile(`"((?:artifact|client|container|error|event|host|http|k8s|network|process|qtap|server|service|url|user_agent)\.[a-z_.]+)"`)
	for _, file := range []string{"attributes.go", "resource.go", "connection.go"} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range attribute.FindAllStringSubmatch(string(source), -1) {
			names[match[1]] = true
		}
	}
	assert.Greater(t, len(names), 40)
	for r := range event.Reason(32) {
		if r != event.ReasonNone && r.String() != "unknown" {
			names[r.String()] = true
		}
	}
	for name := range names {
		assert.Contains(t, string(text), "`"+name+"`")
	}
}

// Examples in the documentation are lines of golden files, so they stay real.
func TestExamplesOfTheDocumentationAreGolden(t *testing.T) {
	text, err := os.ReadFile(documentation)
	require.NoError(t, err)
	example := regexp.MustCompile("(?s)<!-- golden: ([a-z_./]+) -->\n```[a-z]*\n(.*?)\n```")
	matches := example.FindAllStringSubmatch(string(text), -1)
	assert.GreaterOrEqual(t, len(matches), 5)
	for _, match := range matches {
		want, err := os.ReadFile("testdata/" + match[1])
		require.NoError(t, err)
		assert.Contains(t, string(want), match[2], match[1])
	}
}

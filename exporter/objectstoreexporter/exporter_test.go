package objectstoreexporter

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/qtapreceiver/qtapreceiver/exporter/objectstoreexporter/internal/metadata"
	"github.com/qtapreceiver/qtapreceiver/exporter/objectstoreexporter/internal/metadatatest"
)

// statusHost keeps what the component reports about itself.
type statusHost struct {
	component.Host
	mu     sync.Mutex
	events []string
}

func newStatusHost() *statusHost { return &statusHost{Host: componenttest.NewNopHost()} }

func (h *statusHost) Report(event *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := event.Status().String()
	if event.Err() != nil {
		text += ": " + event.Err().Error()
	}
	h.events = append(h.events, text)
}

func (h *statusHost) reported() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.events...)
}

// testStore is a store in memory whose writes can be made to fail.
type testStore struct {
	mu      sync.Mutex
	objects map[string]object
	order   []string // bodies, in the order of their writes
	fail    func(key string) error
}

func newTestStore() *testStore { return &testStore{objects: make(map[string]object)} }

func (s *testStore) put(_ context.Context, o *object, ifAbsent bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = append(s.order, o.body)
	if s.fail != nil {
		if err := s.fail(o.key); err != nil {
			return false, err
		}
	}
	if _, there := s.objects[o.key]; there && ifAbsent {
		return true, nil
	}
	s.objects[o.key] = *o
	return false, nil
}

func (s *testStore) close() error { return nil }

// started is an exporter that is started, without exporterhelper around it.
type started struct {
	*objectExporter
	host      *statusHost
	telemetry *componenttest.Telemetry
}

func start(t *testing.T, s store, change func(*Config)) started {
	t.Helper()
	config := createDefaultConfig().(*Config)
	config.URL, config.Key = "mem://", "objects/{name}"
	if change != nil {
		change(config)
	}
	telemetry := componenttest.NewTelemetry()
	set := exportertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = telemetry.NewTelemetrySettings()
	e, err := newExporter(set, config)
	require.NoError(t, err)
	if s != nil {
		e.store.open = func(context.Context) (store, error) { return s, nil }
	}
	host := newStatusHost()
	require.NoError(t, e.start(t.Context(), host))
	t.Cleanup(func() {
		assert.NoError(t, e.shutdown(context.Background()))
		assert.NoError(t, telemetry.Shutdown(context.Background()))
	})
	return started{objectExporter: e, host: host, telemetry: telemetry}
}

// records makes a batch: each pair is the attribute name and the body.
func records(pairs ...string) plog.Logs {
	logs := plog.NewLogs()
	for i := 0; i < len(pairs); i += 2 {
		// Two records per scope, so that positions cross lists.
		if i%4 == 0 {
			r := logs.ResourceLogs().AppendEmpty()
			r.Resource().Attributes().PutStr("service.name", "shop")
			r.ScopeLogs().AppendEmpty()
		}
		list := logs.ResourceLogs().At(logs.ResourceLogs().Len() - 1).ScopeLogs().At(0).LogRecords()
		record := list.AppendEmpty()
		if pairs[i] != "" {
			record.Attributes().PutStr("name", pairs[i])
		}
		record.Body().SetStr(pairs[i+1])
	}
	return logs
}

func bodies(logs plog.Logs) []string {
	var found []string
	for _, r := range logs.ResourceLogs().All() {
		for _, s := range r.ScopeLogs().All() {
			for _, record := range s.LogRecords().All() {
				found = append(found, record.Body().AsString())
			}
		}
	}
	return found
}

func (s started) refusedByCause(t *testing.T) map[string]int64 {
	t.Helper()
	counts := make(map[string]int64)
	m, err := s.telemetry.GetMetric("otelcol_exporter_objectstore_records_refused")
	if err != nil {
		return counts
	}
	for _, point := range sumPoints(m) {
		value, _ := point.Attributes.Value("cause")
		counts[value.AsString()] += point.Value
	}
	return counts
}

func TestEachRecordBecomesAnObject(t *testing.T) {
	s := newTestStore()
	e := start(t, s, nil)
	require.NoError(t, e.push(t.Context(), records("a", "one", "b", "two", "c", "")))
	assert.Equal(t, "one", s.objects["objects/a"].body)
	assert.Equal(t, "two", s.objects["objects/b"].body)
	assert.Empty(t, s.objects["objects/c"].body)
	assert.Equal(t, "application/octet-stream", s.objects["objects/a"].contentType)
	assert.Len(t, s.objects, 3)
	assert.Empty(t, e.host.reported(), "what is well is not reported")
	metadatatest.AssertEqualExporterObjectstoreBytesWritten(t, e.telemetry, points(6), metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExporterObjectstoreObjects(t, e.telemetry, points(3, attribute.String("outcome", "written")), metricdatatest.IgnoreTimestamp())
}

func TestBodiesOfBytesAreKeptExactly(t *testing.T) {
	s := newTestStore()
	e := start(t, s, nil)
	logs := records("a", "")
	record := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	record.Body().SetEmptyBytes().FromRaw([]byte{0, 255, '\n'})
	require.NoError(t, e.push(t.Context(), logs))
	assert.Equal(t, "\x00\xff\n", s.objects["objects/a"].body)
}

func TestARefusedRecordLeavesTheOthersAlone(t *testing.T) {
	s := newTestStore()
	s.fail = func(key string) error {
		if key == "objects/toolong" {
			return apiError(400, "KeyTooLongError")
		}
		return nil
	}
	e := start(t, s, func(c *Config) { c.MaxObjectBytes = 5; c.ContentType = "{type|text/plain}" })
	logs := records("", "x", "..", "x", "good", "x", "big", "123456", "map", "", "type", "x", "toolong", "x", "fits", "12345")
	byName(logs, "map").Body().SetEmptyMap()
	byName(logs, "type").Attributes().PutStr("type", "no type")
	require.NoError(t, e.push(t.Context(), logs))
	assert.Len(t, s.objects, 2)
	assert.Contains(t, s.objects, "objects/good")
	assert.Contains(t, s.objects, "objects/fits")
	assert.Equal(t, map[string]int64{
		"attribute_missing": 1, "key_invalid": 1, "too_large": 1, "body_type": 1, "content_type": 1, "store_refused": 1,
	}, e.refusedByCause(t))
	require.NotEmpty(t, e.host.reported())
	assert.Contains(t, e.host.reported()[0], "StatusRecoverableError: the attribute name is absent")
}

func TestABatchOfRefusedRecordsIsAPermanentError(t *testing.T) {
	e := start(t, newTestStore(), nil)
	err := e.push(t.Context(), records("", "x", "a/b", "x"))
	require.ErrorContains(t, err, "none of 2 records can become an object, the first because: the attribute name is absent")
	assert.True(t, consumererror.IsPermanent(err))
}

func TestOnlyWhatFailedIsSentAgain(t *testing.T) {
	s := newTestStore()
	s.fail = func(key string) error {
		if key == "objects/b" || key == "objects/e" {
			return apiError(503, "SlowDown")
		}
		return nil
	}
	e := start(t, s, nil)
	err := e.push(t.Context(), records("a", "1", "b", "2", "", "refused", "d", "4", "e", "5", "f", "6"))
	require.ErrorContains(t, err, "2 of 5 objects were not stored: the store asks for fewer requests: ")
	assert.False(t, consumererror.IsPermanent(err))
	var again consumererror.Logs
	require.ErrorAs(t, err, &again)
	assert.Equal(t, []string{"2", "5"}, bodies(again.Data()))
	assert.Equal(t, "shop", again.Data().ResourceLogs().At(0).Resource().Attributes().AsRaw()["service.name"])
	assert.Len(t, s.objects, 3)

	s.fail = nil
	require.NoError(t, e.push(t.Context(), again.Data()))
	assert.Len(t, s.objects, 5)
	metadatatest.AssertEqualExporterObjectstoreObjectsFailed(t, e.telemetry, points(2, attribute.String("reason", "throttled")), metricdatatest.IgnoreTimestamp())
}

func TestObjectsThatExistAreLeftAlone(t *testing.T) {
	s := newTestStore()
	e := start(t, s, nil)
	require.NoError(t, e.push(t.Context(), records("a", "first", "a", "second")))
	require.NoError(t, e.push(t.Context(), records("a", "third")))
	assert.Equal(t, "first", s.objects["objects/a"].body)
}

func TestWithoutIfAbsentTheLastRecordOfAKeyWins(t *testing.T) {
	s := newTestStore()
	e := start(t, s, func(c *Config) { c.IfAbsent = false })
	var pairs []string
	for i := range 50 {
		pairs = append(pairs, fmt.Sprint("k", i%5), strconv.Itoa(i))
	}
	require.NoError(t, e.push(t.Context(), records(pairs...)))
	for i := range 5 {
		assert.Equal(t, strconv.Itoa(45+i), s.objects[fmt.Sprint("objects/k", i)].body)
	}
}

func TestABatchEndsEarlyWhenTheStoreIsDown(t *testing.T) {
	s := newTestStore()
	s.fail = func(string) error { return context.DeadlineExceeded }
	e := start(t, s, func(c *Config) { c.Concurrency = 2 })
	var pairs []string
	for i := range 100 {
		pairs = append(pairs, strconv.Itoa(i), "x")
	}
	err := e.push(t.Context(), records(pairs...))
	require.ErrorContains(t, err, "100 of 100 objects were not stored: there was no answer within the timeout")
	assert.LessOrEqual(t, len(s.order), leastFailuresToStop+1, "a worker may be inside of a write when the circuit opens")
}

func TestAnExpiredContextWritesNothing(t *testing.T) {
	s := newTestStore()
	e := start(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, e.push(ctx, records("a", "1")), "1 of 1 objects were not stored")
	assert.Empty(t, s.order)
}

func TestStatusChangesOnce(t *testing.T) {
	s := newTestStore()
	down := errors.New("down")
	s.fail = func(string) error { return down }
	e := start(t, s, nil)
	now := time.Unix(1000, 0)
	e.health.now = func() time.Time { now = now.Add(time.Second); return now }
	for range 3 {
		require.Error(t, e.push(t.Context(), records("a", "1")))
	}
	s.fail = nil
	for range 3 {
		require.NoError(t, e.push(t.Context(), records("a", "1")))
	}
	assert.Equal(t, []string{"StatusRecoverableError: the store reports an error: down", "StatusOK"}, e.host.reported())
}

func TestARefusalStaysVisibleForAMinute(t *testing.T) {
	e := start(t, newTestStore(), nil)
	now := time.Unix(1000, 0)
	e.health.now = func() time.Time { now = now.Add(time.Second); return now }
	require.Error(t, e.push(t.Context(), records("", "1")))
	require.NoError(t, e.push(t.Context(), records("a", "1")))
	assert.Len(t, e.host.reported(), 1)
	now = now.Add(refusalShown)
	require.NoError(t, e.push(t.Context(), records("a", "1")))
	assert.Equal(t, []string{"StatusRecoverableError: the attribute name is absent", "StatusOK"}, e.host.reported())
}

func TestABucketThatCannotBeOpenedNowIsTriedAgain(t *testing.T) {
	s := newTestStore()
	tries := 0
	e := start(t, s, nil)
	e.store.opened = nil
	e.store.open = func(context.Context) (store, error) {
		if tries++; tries < 3 {
			return nil, errors.New("not yet")
		}
		return s, nil
	}
	require.NoError(t, e.start(t.Context(), e.host))
	require.ErrorContains(t, e.push(t.Context(), records("a", "1")), "opening the bucket: not yet")
	require.NoError(t, e.push(t.Context(), records("a", "1")))
	assert.Equal(t, 3, tries)
	assert.Contains(t, s.objects, "objects/a")
}

func TestCompressedObjectsSayHow(t *testing.T) {
	text := strings.Repeat(`{"a":1}`, 100)
	for compression, decode := range map[string]func([]byte) (io.Reader, error){
		compressionGzip: func(b []byte) (io.Reader, error) { return gzip.NewReader(bytes.NewReader(b)) },
		compressionZstd: func(b []byte) (io.Reader, error) { return zstd.NewReader(bytes.NewReader(b)) },
	} {
		t.Run(compression, func(t *testing.T) {
			s := newTestStore()
			e := start(t, s, func(c *Config) { c.Compression = compression; c.MaxObjectBytes = int64(len(text)) })
			require.NoError(t, e.push(t.Context(), records("a", text, "b", text+"x", "c", "")))
			assert.Len(t, s.objects, 2, "the limit is of the body")
			for name, want := range map[string]string{"a": text, "c": ""} {
				o := s.objects["objects/"+name]
				assert.Equal(t, compression, o.encoding)
				r, err := decode([]byte(o.body))
				require.NoError(t, err)
				got, err := io.ReadAll(r)
				require.NoError(t, err)
				assert.Equal(t, want, string(got))
			}
			assert.Less(t, len(s.objects["objects/a"].body), len(text)/5)
		})
	}
}

func byName(logs plog.Logs, name string) plog.LogRecord {
	for _, r := range logs.ResourceLogs().All() {
		for _, s := range r.ScopeLogs().All() {
			for _, record := range s.LogRecords().All() {
				if v, ok := record.Attributes().Get("name"); ok && v.Type() == pcommon.ValueTypeStr && v.Str() == name {
					return record
				}
			}
		}
	}
	return plog.NewLogRecord()
}

package objectstoreexporter

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/qtapreceiver/qtapreceiver/exporter/objectstoreexporter/internal/metadata"
)

// artifactBytes is the size of a usual HTTP transaction with its headers.
const artifactBytes = 4096

// artifact is one record in a batch of its own, as a receiver of single objects
// gives it.
func artifact(n int) plog.Logs {
	body := strconv.Itoa(n) + strings.Repeat("x", artifactBytes)
	body = body[:artifactBytes]
	digest := sha1.Sum([]byte(body))
	logs := plog.NewLogs()
	record := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	record.Attributes().PutStr("artifact.digest", hex.EncodeToString(digest[:]))
	record.Attributes().PutStr("artifact.content_type", "application/json")
	record.Body().SetStr(body)
	return logs
}

// The whole exporter with its default queue: single records in, objects in a
// folder out, all of them stored when it ends. BUCKET_URL in the environment
// measures another store instead.
func BenchmarkArtifacts(b *testing.B) {
	config := createDefaultConfig().(*Config)
	config.URL, config.Key = bucketURL(b), "objects/{artifact.digest}"
	queue := config.QueueConfig.Get()
	queue.BlockOnOverflow = true
	set := exportertest.NewNopSettings(metadata.Type)
	e, err := NewFactory().CreateLogs(b.Context(), set, config)
	require.NoError(b, err)
	require.NoError(b, e.Start(b.Context(), componenttest.NewNopHost()))
	offset := int(time.Now().UnixNano())
	b.SetBytes(artifactBytes)
	began := time.Now()
	for i := 0; b.Loop(); i++ {
		require.NoError(b, e.ConsumeLogs(b.Context(), artifact(offset+i)))
	}
	// What is still in the queue counts too; the benchmark's own clock has
	// stopped by now.
	require.NoError(b, e.Shutdown(b.Context()))
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "objects/s")
}

// One batch, without the queue around it.
func BenchmarkBatch(b *testing.B) {
	config := createDefaultConfig().(*Config)
	config.URL, config.Key = bucketURL(b), "objects/{artifact.digest}"
	e, err := newExporter(exportertest.NewNopSettings(metadata.Type), config)
	require.NoError(b, err)
	require.NoError(b, e.start(b.Context(), componenttest.NewNopHost()))
	var n atomic.Int64
	n.Store(time.Now().UnixNano())
	const size = 128
	b.SetBytes(size * artifactBytes)
	for b.Loop() {
		batch := plog.NewLogs()
		for range size {
			artifact(int(n.Add(1))).ResourceLogs().MoveAndAppendTo(batch.ResourceLogs())
		}
		require.NoError(b, e.push(b.Context(), batch))
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "objects/s")
	require.NoError(b, e.shutdown(b.Context()))
}

func BenchmarkKey(b *testing.B) {
	k, err := parseKey("objects/{artifact.digest}", schemeFile)
	require.NoError(b, err)
	from := noAttributes()
	from[scopeRecord].PutStr("artifact.digest", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")
	b.ReportAllocs()
	for b.Loop() {
		if _, why := k.of(from); why != nil {
			b.Fatal(why.err)
		}
	}
}

package qtapreceiver

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/qtapreceiver/qtapreceiver/internal/pipeline"
	"github.com/qtapreceiver/qtapreceiver/receiver/qtapreceiver/internal/metadata"
	"github.com/qtapreceiver/qtapreceiver/receiver/qtapreceiver/internal/metadatatest"
)

func TestWhatHappenedIsCounted(t *testing.T) {
	observed := componenttest.NewTelemetry()
	defer func() { require.NoError(t, observed.Shutdown(context.Background())) }()
	next := new(consumertest.LogsSink)
	r, _ := newTestReceiver(t, next, &watched{records: conversation(true)}, func(_ *Config, s *receiver.Settings) {
		s.TelemetrySettings = observed.NewTelemetrySettings()
	})
	require.NoError(t, r.Start(context.Background(), componenttest.NewNopHost()))
	assert.Eventually(t, func() bool { return r.pipeline.Stats().Batches > 0 && next.LogRecordCount() == 4 }, 5*time.Second, time.Millisecond)

	ignore := metricdatatest.IgnoreTimestamp()
	by := func(key string, values map[string]int64) (points []metricdata.DataPoint[int64]) {
		for name, value := range values {
			points = append(points, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String(key, name)), Value: value})
		}
		return points
	}
	one := func(value int64) []metricdata.DataPoint[int64] { return []metricdata.DataPoint[int64]{{Value: value}} }
	metadatatest.AssertEqualReceiverQtapKernelCallsSeen(t, observed, one(5), ignore)
	metadatatest.AssertEqualReceiverQtapKernelCallsSubmitted(t, observed, one(2), ignore)
	metadatatest.AssertEqualReceiverQtapKernelCallsFiltered(t, observed, one(3), ignore)
	metadatatest.AssertEqualReceiverQtapKernelCallsRefused(t, observed, one(0), ignore)
	metadatatest.AssertEqualReceiverQtapSourceBytes(t, observed, one(int64(len(conversation(true)))), ignore)
	metadatatest.AssertEqualReceiverQtapMemoryCapacity(t, observed, one(256<<20), ignore)
	metadatatest.AssertEqualReceiverQtapConnectionsCapacity(t, observed, one(65536), ignore)
	metadatatest.AssertEqualReceiverQtapConnections(t, observed, one(0), ignore)
	metadatatest.AssertEqualReceiverQtapTransactions(t, observed, by("completeness", map[string]int64{
		"complete": 1, "truncated": 0, "incomplete": 0,
	}), ignore)
	metadatatest.AssertEqualReceiverQtapRecordsEmitted(t, observed, by("kind", map[string]int64{
		"request": 1, "connection": 1, "artifact_record": 1, "artifact": 1,
	}), ignore)
	metadatatest.AssertEqualReceiverQtapRecordsDropped(t, observed, by("cause", map[string]int64{
		"queue_full": 0, "refused": 0, "shutdown": 0,
	}), ignore)
	accepted, err := observed.GetMetric("otelcol_receiver_accepted_log_records")
	require.NoError(t, err)
	var sum int64
	for _, point := range accepted.Data.(metricdata.Sum[int64]).DataPoints {
		sum += point.Value
	}
	assert.EqualValues(t, 4, sum, "obsreport counts every record once")
	require.NoError(t, r.Shutdown(context.Background()))
}

// counted is a targetCounter.
type counted map[[2]string]int64

func (c counted) Counts() map[[2]string]int64 { return c }

// A metric that is declared and never registered would silently be absent.
func TestEveryDeclaredMetricIsReported(t *testing.T) {
	observed := componenttest.NewTelemetry()
	defer func() { require.NoError(t, observed.Shutdown(context.Background())) }()
	telemetry, err := metadata.NewTelemetryBuilder(observed.NewTelemetrySettings())
	require.NoError(t, err)
	defer telemetry.Shutdown()
	require.NoError(t, observe(telemetry, func() pipeline.Stats { return pipeline.Stats{} }))
	require.NoError(t, observeTargets(telemetry, counted{{"openssl", "attached"}: 2}))
	telemetry.ReceiverQtapDeliveryRetries.Add(context.Background(), 0)
	telemetry.ReceiverQtapDeliveryDuration.Record(context.Background(), 0)
	for _, name := range declaredMetrics(t) {
		_, err := observed.GetMetric("otelcol_" + name)
		require.NoError(t, err, name)
	}
}

// declaredMetrics returns the names in metadata.yaml.
func declaredMetrics(t *testing.T) []string {
	t.Helper()
	document, err := confmaptest.LoadConf("metadata.yaml")
	require.NoError(t, err)
	metrics, err := document.Sub("telemetry::metrics")
	require.NoError(t, err)
	names := slices.Sorted(maps.Keys(metrics.ToStringMap()))
	require.NotEmpty(t, names)
	return names
}

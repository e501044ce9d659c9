package qtapreceiver

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/pipeline"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
	"github.com/qtapreceiver/qtapreceiver/receiver/qtapreceiver/internal/metadata"
)

// figure is one metric: how it is registered, and its value.
type figure struct {
	register func(metric.Int64Callback) error
	value    func(*pipeline.Stats) int64
}

// series is a metric with one attribute, that tells its values apart.
type series struct {
	register  func(metric.Int64Callback) error
	attribute string
	values    func(*pipeline.Stats) map[string]uint64
}

// observe makes the counts of the pipeline metrics. The pipeline counts all
// the time, which is cheap; a value is looked up when somebody collects it.
// Closing the builder ends it.
func observe(telemetry *metadata.TelemetryBuilder, stats func() pipeline.Stats) error {
	var errs []error
	for _, f := range figures(telemetry) {
		errs = append(errs, f.register(func(_ context.Context, o metric.Int64Observer) error {
			now := stats()
			o.Observe(f.value(&now))
			return nil
		}))
	}
	for _, s := range allSeries(telemetry) {
		errs = append(errs, s.register(func(_ context.Context, o metric.Int64Observer) error {
			now := stats()
			for name, value := range s.values(&now) {
				o.Observe(int64(value), metric.WithAttributes(attribute.String(s.attribute, name)))
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}

// targetCounter counts files with TLS code by library and outcome.
type targetCounter interface {
	Counts() map[[2]string]int64
}

// observeTargets makes the counts of TLS targets a metric.
func observeTargets(telemetry *metadata.TelemetryBuilder, targets targetCounter) error {
	return telemetry.RegisterReceiverQtapTargetsCallback(func(_ context.Context, o metric.Int64Observer) error {
		for series, count := range targets.Counts() {
			o.Observe(count, metric.WithAttributes(attribute.String("library", series[0]), attribute.String("outcome", series[1])))
		}
		return nil
	})
}

func figures(t *metadata.TelemetryBuilder) []figure {
	kernel := func(c event.Counter) func(*pipeline.Stats) int64 {
		return func(s *pipeline.Stats) int64 { return int64(s.Kernel[c]) }
	}
	return []figure{
		{t.RegisterReceiverQtapKernelCallsSeenCallback, kernel(event.CallsSeen)},
		{t.RegisterReceiverQtapKernelCallsSubmittedCallback, kernel(event.CallsSubmitted)},
		{t.RegisterReceiverQtapKernelCallsFilteredCallback, kernel(event.CallsFiltered)},
		{t.RegisterReceiverQtapKernelCallsRefusedCallback, kernel(event.CallsRefused)},
		{t.RegisterReceiverQtapKernelBytesRefusedCallback, kernel(event.BytesRefused)},
		{t.RegisterReceiverQtapKernelRecordsSubmittedCallback, kernel(event.RecordsSubmitted)},
		{t.RegisterReceiverQtapKernelRecordsRefusedCallback, kernel(event.RecordsRefused)},
		{t.RegisterReceiverQtapKernelConnectionsRefusedCallback, kernel(event.ConnectionsRefused)},
		{t.RegisterReceiverQtapKernelCalls32bitCallback, kernel(event.Calls32Bit)},
		{t.RegisterReceiverQtapKernelCallsUnreadableCallback, kernel(event.CallsUnreadable)},
		{t.RegisterReceiverQtapKernelSightingsRefusedCallback, kernel(event.SightingsRefused)},

		{t.RegisterReceiverQtapSourceRecordsCallback, func(s *pipeline.Stats) int64 { return int64(s.Records) }},
		{t.RegisterReceiverQtapSourceBytesCallback, func(s *pipeline.Stats) int64 { return int64(s.Bytes) }},
		{t.RegisterReceiverQtapSourceRecordsMalformedCallback, func(s *pipeline.Stats) int64 { return int64(s.Malformed) }},
		{t.RegisterReceiverQtapStreamBytesLateCallback, func(s *pipeline.Stats) int64 { return int64(s.LateBytes) }},
		{t.RegisterReceiverQtapStreamCallsPassedOverCallback, func(s *pipeline.Stats) int64 { return int64(s.PassedCalls) }},
		{t.RegisterReceiverQtapStreamBytesDoubtfulCallback, func(s *pipeline.Stats) int64 { return int64(s.DoubtfulBytes) }},
		{t.RegisterReceiverQtapTransactionsFilteredCallback, func(s *pipeline.Stats) int64 { return int64(s.Unwanted) }},

		{t.RegisterReceiverQtapConnectionsCallback, func(s *pipeline.Stats) int64 { return s.Connections }},
		{t.RegisterReceiverQtapConnectionsCapacityCallback, func(s *pipeline.Stats) int64 { return s.ConnectionsCapacity }},
		{t.RegisterReceiverQtapConnectionsEvictedCallback, func(s *pipeline.Stats) int64 { return int64(s.Evicted) }},
		{t.RegisterReceiverQtapConnectionsForgottenCallback, func(s *pipeline.Stats) int64 { return int64(s.Forgotten) }},
		{t.RegisterReceiverQtapMemoryUsedCallback, func(s *pipeline.Stats) int64 { return s.Memory }},
		{t.RegisterReceiverQtapMemoryCapacityCallback, func(s *pipeline.Stats) int64 { return s.MemoryCapacity }},
		{t.RegisterReceiverQtapMemoryRefusedCallback, func(s *pipeline.Stats) int64 { return int64(s.MemoryRefused) }},

		{t.RegisterReceiverQtapQueueLengthCallback, func(s *pipeline.Stats) int64 { return s.QueueBatches }},
		{t.RegisterReceiverQtapQueueCapacityCallback, func(s *pipeline.Stats) int64 { return s.QueueBatchesCapacity }},
		{t.RegisterReceiverQtapQueueBytesCallback, func(s *pipeline.Stats) int64 { return s.QueueBytes }},
		{t.RegisterReceiverQtapQueueBytesCapacityCallback, func(s *pipeline.Stats) int64 { return s.QueueBytesCapacity }},
		{t.RegisterReceiverQtapDeliveryBatchesCallback, func(s *pipeline.Stats) int64 { return int64(s.Batches) }},
	}
}

func allSeries(t *metadata.TelemetryBuilder) []series {
	return []series{
		{t.RegisterReceiverQtapTransactionsCallback, "completeness", func(s *pipeline.Stats) map[string]uint64 {
			values := make(map[string]uint64, len(s.Transactions))
			for c, count := range s.Transactions {
				values[transaction.Completeness(c).String()] = count
			}
			return values
		}},
		{t.RegisterReceiverQtapRecordsEmittedCallback, "kind", func(s *pipeline.Stats) map[string]uint64 {
			return map[string]uint64{
				"request": s.Requests, "connection": s.ConnectionEvents,
				"artifact_record": s.ArtifactRecords, "artifact": s.Artifacts,
			}
		}},
		{t.RegisterReceiverQtapRecordsDroppedCallback, "cause", func(s *pipeline.Stats) map[string]uint64 {
			return map[string]uint64{
				"queue_full": s.DroppedQueueFull, "refused": s.DroppedRefused, "shutdown": s.DroppedShutdown,
			}
		}},
	}
}

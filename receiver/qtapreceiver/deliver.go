package qtapreceiver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/receiver/qtapreceiver/internal/metadata"
)

// retryBounds say how long a next consumer that refuses for a passing reason
// is asked again. Meanwhile the pipeline goes on: what does not fit into its
// bounded queue is dropped and counted there.
type retryBounds struct {
	first, longest time.Duration // pause before a repetition; doubles
	total          time.Duration // of one batch, from its first call
}

var defaultRetryBounds = retryBounds{
	first:   100 * time.Millisecond,
	longest: 5 * time.Second,
	total:   30 * time.Second,
}

// delivery hands batches of records to the next consumer. Safe for concurrent
// use.
type delivery struct {
	next      consumer.Logs
	operation *receiverhelper.ObsReport
	telemetry *metadata.TelemetryBuilder
	bounds    retryBounds
}

func newDelivery(next consumer.Logs, settings receiver.Settings, telemetry *metadata.TelemetryBuilder) (*delivery, error) {
	operation, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID:             settings.ID,
		ReceiverCreateSettings: settings,
	})
	if err != nil {
		return nil, fmt.Errorf("creating the receiver's telemetry: %w", err)
	}
	return &delivery{next: next, operation: operation, telemetry: telemetry, bounds: defaultRetryBounds}, nil
}

// batch delivers the objects and then the events, so that no event names an
// object that is not there yet. It returns how many records were not taken,
// and why.
func (d *delivery) batch(ctx context.Context, b record.Batch) (refused int, err error) {
	deadline := time.Now().Add(d.bounds.total)
	var errs []error
	deliver := func(logs plog.Logs) {
		if left, err := d.logs(ctx, logs, deadline); err != nil {
			refused += left
			errs = append(errs, err)
		}
	}
	for _, artifact := range b.Artifacts {
		deliver(artifact)
	}
	if b.Events.LogRecordCount() > 0 {
		deliver(b.Events)
	}
	return refused, errors.Join(errs...)
}

// logs delivers one plog.Logs and returns how many of its records were not
// taken. Every Logs is one operation, however often it is repeated, so that
// what obsreport calls accepted and refused adds up to what was emitted.
func (d *delivery) logs(ctx context.Context, logs plog.Logs, deadline time.Time) (refused int, err error) {
	records := logs.LogRecordCount()
	ctx = d.operation.StartLogsOp(ctx)
	refused, err = d.persist(ctx, logs, deadline)
	d.operation.EndLogsOp(ctx, metadata.Type.String(), records, err)
	return refused, err
}

// persist repeats the call until the consumer takes the logs, refuses them for
// good, the deadline passes or ctx ends. It calls at least once.
func (d *delivery) persist(ctx context.Context, logs plog.Logs, deadline time.Time) (refused int, err error) {
	for pause := d.bounds.first; ; pause = min(2*pause, d.bounds.longest) {
		err := d.consume(ctx, logs)
		if err == nil {
			return 0, nil
		}
		// The consumer may have taken a part: only the rest is repeated.
		if partial, ok := errors.AsType[consumererror.Logs](err); ok {
			logs = partial.Data()
		}
		if consumererror.IsPermanent(err) {
			return logs.LogRecordCount(), err
		}
		// Between half and the whole pause, so that several instances whose
		// consumer was away do not come back all at once.
		wait := pause/2 + rand.N(pause/2)
		if time.Until(deadline) < wait {
			return logs.LogRecordCount(), fmt.Errorf("giving up after %s: %w", d.bounds.total, err)
		}
		select {
		case <-ctx.Done():
			return logs.LogRecordCount(), fmt.Errorf("giving up because of the shutdown: %w", err)
		case <-time.After(wait):
		}
		d.telemetry.ReceiverQtapDeliveryRetries.Add(ctx, 1)
	}
}

func (d *delivery) consume(ctx context.Context, logs plog.Logs) error {
	start := time.Now()
	err := d.next.ConsumeLogs(ctx, logs)
	d.telemetry.ReceiverQtapDeliveryDuration.Record(ctx, time.Since(start).Seconds())
	return err
}

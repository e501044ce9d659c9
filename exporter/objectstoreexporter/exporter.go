package objectstoreexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/qtapreceiver/qtapreceiver/exporter/objectstoreexporter/internal/metadata"
)

// objectExporter puts log records into a bucket.
type objectExporter struct {
	settings    component.TelemetrySettings
	target      target
	key         keyTemplate
	contentType template
	encoder     *encoder
	ifAbsent    bool
	concurrency int
	maxBytes    int64

	store     lazyStore
	telemetry *metadata.TelemetryBuilder
	health    *health
	stop      sync.Once
}

func newExporter(set exporter.Settings, config *Config) (*objectExporter, error) {
	e := &objectExporter{
		settings:    set.TelemetrySettings,
		ifAbsent:    config.IfAbsent,
		concurrency: config.Concurrency,
		maxBytes:    config.MaxObjectBytes,
	}
	var err error
	if e.target, err = parseTarget(config.URL); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if e.key, err = parseKey(config.Key, e.target.scheme); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if e.contentType, err = parseContentType(config.ContentType); err != nil {
		return nil, fmt.Errorf("content_type: %w", err)
	}
	if e.encoder, err = newEncoder(config.Compression); err != nil {
		return nil, err
	}
	if e.telemetry, err = metadata.NewTelemetryBuilder(set.TelemetrySettings); err != nil {
		return nil, fmt.Errorf("making the metrics: %w", err)
	}
	connections := config.Concurrency
	if config.QueueConfig.HasValue() {
		connections *= config.QueueConfig.Get().NumConsumers
	}
	e.store.open = func(ctx context.Context) (store, error) { return openStore(ctx, e.target, connections) }
	return e, nil
}

// start opens the bucket. A bucket that cannot be opened now does not stop the
// Collector: each batch tries again, and the queue holds what comes meanwhile.
func (e *objectExporter) start(ctx context.Context, host component.Host) error {
	e.health = newHealth(host, e.settings.Logger)
	_, err := e.store.get(ctx)
	if _, wrong := errors.AsType[configurationError](err); wrong {
		return errors.New("url: " + redact(err.Error()))
	}
	if err != nil {
		f := ofBucket(err)
		e.settings.Logger.Warn("The bucket cannot be opened now; each batch tries again", zap.Error(f))
		e.health.failed(f)
	}
	return nil
}

// shutdown closes the bucket. exporterhelper has emptied its queue before.
func (e *objectExporter) shutdown(context.Context) error {
	var err error
	e.stop.Do(func() {
		err = e.store.close()
		e.telemetry.Shutdown()
	})
	return err
}

// push puts the records of a batch into the store. When some could not be
// written for now, its error carries these alone, so that a retry repeats no
// others.
func (e *objectExporter) push(ctx context.Context, logs plog.Logs) error {
	began := e.health.now()
	b := e.collect(logs)
	if s, err := e.store.get(ctx); err != nil {
		b.failAll(ofBucket(err))
	} else {
		b.write(ctx, s, e.ifAbsent, e.concurrency)
	}
	first := e.account(ctx, b)
	if first != nil {
		e.health.failed(first)
		failed, count := b.failedLogs(logs)
		err := fmt.Errorf("%d of %d objects were not stored: %w", count, len(b.entries), first)
		return consumererror.NewLogs(err, failed)
	}
	if len(b.refusals) == 0 {
		e.health.stored(began)
		return nil
	}
	if len(b.refusals) == logs.LogRecordCount() {
		return consumererror.NewPermanent(fmt.Errorf("none of %d records can become an object, the first because: %w", len(b.refusals), b.refusals[0].err))
	}
	return nil
}

// account counts what became of a batch, reports what was refused, and gives
// the first failure that can be repeated.
func (e *objectExporter) account(ctx context.Context, b *batch) *failure {
	var (
		first             *failure
		written, existing int64
		bytes             int64
	)
	for i := range b.entries {
		switch o := &b.entries[i]; {
		case o.failure == nil && o.existing:
			existing++
		case o.failure == nil:
			written++
			bytes += int64(len(o.object.body))
		case o.failure.permanent:
			b.refusals = append(b.refusals, refuse(causeStoreRefused, "the object %q: %w", o.object.key, o.failure))
		default:
			e.telemetry.ExporterObjectstoreObjectsFailed.Add(ctx, 1, with("reason", string(o.failure.reason)))
			if first == nil {
				first = o.failure
			}
		}
	}
	if written > 0 {
		e.telemetry.ExporterObjectstoreObjects.Add(ctx, written, outcomeWritten)
		e.telemetry.ExporterObjectstoreBytesWritten.Add(ctx, bytes)
	}
	if existing > 0 {
		e.telemetry.ExporterObjectstoreObjects.Add(ctx, existing, outcomeExisting)
	}
	for _, r := range b.refusals {
		e.telemetry.ExporterObjectstoreRecordsRefused.Add(ctx, 1, with("cause", string(r.cause)))
		e.health.refused(r)
	}
	return first
}

var (
	outcomeWritten  = with("outcome", "written")
	outcomeExisting = with("outcome", "existing")
)

func with(name, value string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String(name, value)))
}

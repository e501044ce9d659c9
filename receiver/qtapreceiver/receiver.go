package qtapreceiver

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/pipeline"
	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/internal/replay"
	"github.com/qtapreceiver/qtapreceiver/internal/target"
	"github.com/qtapreceiver/qtapreceiver/receiver/qtapreceiver/internal/metadata"
)

// qtapReceiver is the component: one event source, one pipeline, one consumer.
type qtapReceiver struct {
	config    *Config
	settings  receiver.Settings
	telemetry *metadata.TelemetryBuilder
	delivery  *delivery
	// open is openSource, and something else in tests of what goes wrong.
	open func(*Config, *zap.Logger) (event.Source, error)

	pipeline *pipeline.Pipeline // nil until started, and when error_mode ignored an error
	health   health
	stopped  chan struct{}
	shutdown sync.Once
}

func newReceiver(config *Config, settings receiver.Settings, next consumer.Logs) (*qtapReceiver, error) {
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("creating the receiver's telemetry: %w", err)
	}
	delivery, err := newDelivery(next, settings, telemetry)
	if err != nil {
		return nil, err
	}
	return &qtapReceiver{config: config, settings: settings, telemetry: telemetry, delivery: delivery, open: openSource}, nil
}

// openSource opens the recording of the configuration, or the kernel.
func openSource(config *Config, logger *zap.Logger) (event.Source, error) {
	if config.ReplayFile != "" {
		player, err := replay.Open(config.ReplayFile)
		if err != nil {
			// Not the typed nil that player holds.
			return nil, err
		}
		return player, nil
	}
	return openKernel(config, logger)
}

// Start opens the source and begins to watch. Whatever happens later is told
// through the component's status.
func (r *qtapReceiver) Start(_ context.Context, host component.Host) error {
	r.health = health{host: host}
	if err := r.start(); err != nil {
		if r.config.ErrorMode != errorModeIgnore {
			return err
		}
		r.settings.Logger.Error("Nothing is captured: the Collector runs on without this receiver (error_mode: ignore)", zap.Error(err))
		r.health.fail(err)
	}
	return nil
}

func (r *qtapReceiver) start() error {
	capture, err := r.config.pipeline(r.settings)
	if err != nil {
		return err
	}
	source, err := r.open(r.config, r.settings.Logger)
	if err != nil {
		return fmt.Errorf("starting to capture: %w", err)
	}
	processes := target.NewTable(processCapacity)
	if r.config.ReplayFile != "" {
		processes = target.NewRecordedTable(processCapacity)
	}
	if targets, ok := source.(pipeline.Targets); ok {
		capture.Targets = targets
	}
	p, err := pipeline.New(capture, source, processes, r.deliver)
	if err != nil {
		return errors.Join(err, source.Close())
	}
	if err := observe(r.telemetry, p.Stats); err != nil {
		return errors.Join(fmt.Errorf("registering metrics: %w", err), source.Close())
	}
	if counter, ok := source.(targetCounter); ok {
		if err := observeTargets(r.telemetry, counter); err != nil {
			return errors.Join(fmt.Errorf("registering metrics: %w", err), source.Close())
		}
	}
	r.settings.Logger.Info("Capturing",
		zap.String("level", r.config.Capture.Level), zap.String("direction", r.config.Capture.Direction))
	r.pipeline = p
	r.stopped = make(chan struct{})
	go r.run(source)
	return nil
}

// run lives until the source or Shutdown ends it. It has no context of the
// caller: that of Start ends when Start has returned.
func (r *qtapReceiver) run(source event.Source) {
	defer close(r.stopped)
	err := r.pipeline.Run(context.Background())
	if err = errors.Join(err, source.Close()); err != nil {
		r.settings.Logger.Error("Capturing has ended", zap.Error(err))
		r.health.fail(err)
		return
	}
	if r.config.ReplayFile != "" {
		r.settings.Logger.Info("The recording was played to its end or to the shutdown", zap.String("replay_file", r.config.ReplayFile))
	}
}

// deliver is what the pipeline calls with every batch, from one goroutine.
func (r *qtapReceiver) deliver(ctx context.Context, b record.Batch) (refused int, err error) {
	refused, err = r.delivery.batch(ctx, b)
	switch changed := r.health.delivered(err); {
	case !changed:
	case err != nil:
		// Once, not per batch: how much is dropped is a metric.
		r.settings.Logger.Warn("The next consumer refuses records, they are dropped", zap.Error(err))
	default:
		r.settings.Logger.Info("The next consumer takes records again")
	}
	return refused, err
}

// Shutdown stops capturing and delivers what is left until ctx ends. It works
// without Start and more than once.
func (r *qtapReceiver) Shutdown(ctx context.Context) (err error) {
	r.shutdown.Do(func() {
		if r.pipeline != nil {
			err = r.pipeline.Shutdown(ctx)
			select {
			case <-r.stopped:
			case <-ctx.Done():
			}
		}
		r.telemetry.Shutdown()
	})
	return err
}

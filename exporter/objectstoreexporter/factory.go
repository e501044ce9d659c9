package objectstoreexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"

	"github.com/qtapreceiver/qtapreceiver/exporter/objectstoreexporter/internal/metadata"
)

// NewFactory makes the factory of the exporter type objectstore.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(
		metadata.Type,
		createDefaultConfig,
		exporter.WithLogs(createLogs, metadata.LogsStability),
	)
}

func createDefaultConfig() component.Config {
	timeout := exporterhelper.NewDefaultTimeoutConfig()
	// Of a batch of objects, where the usual 5 s are for one request.
	timeout.Timeout = 30 * time.Second
	return &Config{
		TimeoutConfig:  timeout,
		QueueConfig:    configoptional.Some(defaultQueue()),
		RetryConfig:    configretry.NewDefaultBackOffConfig(),
		ContentType:    "{artifact.content_type|application/octet-stream}",
		Compression:    compressionNone,
		IfAbsent:       true,
		Concurrency:    16,
		MaxObjectBytes: 64 << 20,
	}
}

// defaultQueue counts bytes, because objects differ in size by orders of
// magnitude and memory is what has to be bounded.
func defaultQueue() exporterhelper.QueueBatchConfig {
	queue := exporterhelper.NewDefaultQueueConfig()
	queue.Sizer = exporterhelper.RequestSizerTypeBytes
	queue.QueueSize = 128 << 20
	// Two batches in flight, each with concurrency objects: while one waits
	// for its last object, the other keeps the store busy.
	queue.NumConsumers = 2
	queue.Batch = configoptional.Some(exporterhelper.BatchConfig{
		FlushTimeout: 200 * time.Millisecond,
		Sizer:        exporterhelper.RequestSizerTypeItems,
		MinSize:      128,
		// What a timeout or a retry repeats at the most.
		MaxSize: 1024,
	})
	return queue
}

func createLogs(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
	config := cfg.(*Config)
	e, err := newExporter(set, config)
	if err != nil {
		return nil, err
	}
	return exporterhelper.NewLogs(ctx, set, cfg, consumer.ConsumeLogsFunc(e.push),
		exporterhelper.WithStart(e.start),
		exporterhelper.WithShutdown(e.shutdown),
		exporterhelper.WithTimeout(config.TimeoutConfig),
		exporterhelper.WithQueue(config.QueueConfig),
		exporterhelper.WithRetry(config.RetryConfig),
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
	)
}

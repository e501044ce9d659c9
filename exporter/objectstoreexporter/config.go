package objectstoreexporter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// Values of compression.
const (
	compressionNone = "none"
	compressionGzip = "gzip"
	compressionZstd = "zstd"
)

const (
	// maxConcurrency bounds the connections of one batch; a store answers no
	// faster beyond it, and a typing error must not open thousands.
	maxConcurrency = 1024
	// s3MaxObjectBytes is the limit of one PutObject request; objects are
	// written in one request so that they appear whole or not at all.
	s3MaxObjectBytes = 5 << 30
)

// Config is the configuration of one exporter: one bucket, one key template.
type Config struct {
	TimeoutConfig exporterhelper.TimeoutConfig                             `mapstructure:",squash"`
	QueueConfig   configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
	RetryConfig   configretry.BackOffConfig                                `mapstructure:"retry_on_failure"`

	// URL names the bucket: s3://, gs://, azblob://, file:// or mem://.
	URL string `mapstructure:"url"`
	// Key is the template of an object's key.
	Key string `mapstructure:"key"`
	// ContentType is the template of an object's media type.
	ContentType string `mapstructure:"content_type"`
	// Compression is none, gzip or zstd.
	Compression string `mapstructure:"compression"`
	// IfAbsent leaves an object alone that exists under the key.
	IfAbsent bool `mapstructure:"if_absent"`
	// Concurrency is how many objects of one batch are written at a time.
	Concurrency int `mapstructure:"concurrency"`
	// MaxObjectBytes is the largest body, before compression.
	MaxObjectBytes int64 `mapstructure:"max_object_bytes"`
}

// Validate returns everything that is wrong, each with the path of its key.
// Settings that are embedded check themselves.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf(key+": "+format, args...))
	}
	t, err := parseTarget(c.URL)
	for _, err := range each(err) {
		wrong("url", "%w", err)
	}
	if _, err := parseKey(c.Key, t.scheme); err != nil {
		wrong("key", "%w", err)
	}
	if _, err := parseContentType(c.ContentType); err != nil {
		wrong("content_type", "%w", err)
	}
	if known := []string{compressionNone, compressionGzip, compressionZstd}; !slices.Contains(known, c.Compression) {
		wrong("compression", "unknown value %q, use one of %s", c.Compression, strings.Join(known, ", "))
	}
	if c.Concurrency < 1 || c.Concurrency > maxConcurrency {
		wrong("concurrency", "%d is not between 1 and %d", c.Concurrency, maxConcurrency)
	}
	if c.MaxObjectBytes < 1 {
		wrong("max_object_bytes", "%d is not positive", c.MaxObjectBytes)
	}
	if t.scheme == schemeS3 && c.MaxObjectBytes > s3MaxObjectBytes {
		wrong("max_object_bytes", "%d is more than the %d that one S3 request can carry", c.MaxObjectBytes, int64(s3MaxObjectBytes))
	}
	return errors.Join(errs...)
}

// each takes apart what errors.Join has put together.
func each(err error) []error {
	joined, several := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !several:
		return []error{err}
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		errs = append(errs, each(err)...)
	}
	return errs
}

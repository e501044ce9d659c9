package objectstoreexporter

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The table of settings says what createDefaultConfig does, and misses none of
// the exporter's own.
func TestTheDocumentedDefaultsAreTheDefaults(t *testing.T) {
	config := createDefaultConfig().(*Config)
	queue, retry := config.QueueConfig.Get(), config.RetryConfig
	batch := queue.Batch.Get()
	want := map[string]string{
		"url":                               "required",
		"key":                               "required",
		"content_type":                      config.ContentType,
		"compression":                       config.Compression,
		"if_absent":                         text(config.IfAbsent),
		"concurrency":                       text(config.Concurrency),
		"max_object_bytes":                  text(config.MaxObjectBytes),
		"timeout":                           config.TimeoutConfig.Timeout.String(),
		"sending_queue.enabled":             text(config.QueueConfig.HasValue()),
		"sending_queue.sizer":               queue.Sizer.String(),
		"sending_queue.queue_size":          text(queue.QueueSize),
		"sending_queue.num_consumers":       text(queue.NumConsumers),
		"sending_queue.block_on_overflow":   text(queue.BlockOnOverflow),
		"sending_queue.storage":             "none",
		"sending_queue.batch.sizer":         batch.Sizer.String(),
		"sending_queue.batch.min_size":      text(batch.MinSize),
		"sending_queue.batch.max_size":      text(batch.MaxSize),
		"sending_queue.batch.flush_timeout": batch.FlushTimeout.String(),
		"retry_on_failure.enabled":          text(retry.Enabled),
		"retry_on_failure.initial_interval": retry.InitialInterval.String(),
		"retry_on_failure.max_interval":     retry.MaxInterval.String(),
		"retry_on_failure.max_elapsed_time": retry.MaxElapsedTime.String(),
	}
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Settings\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n### ")
	got := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `?((?:\\\\\\||[^|`])*?)`? \\|").FindAllStringSubmatch(section, -1) {
		got[row[1]] = strings.TrimSpace(strings.ReplaceAll(row[2], `\|`, "|"))
	}
	assert.Equal(t, want, got)
}

// Each url of the README is one that the exporter takes.
func TestTheDocumentedURLsAreTaken(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	urls := regexp.MustCompile(`(?m)^ *url: (\S+)`).FindAllStringSubmatch(string(text), -1)
	require.GreaterOrEqual(t, len(urls), 8)
	for _, match := range urls {
		_, err := parseTarget(match[1])
		assert.NoError(t, err, match[1])
	}
	keys := regexp.MustCompile(`(?m)^ *key: "(\S+)"`).FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, keys)
	for _, match := range keys {
		_, err := parseKey(match[1], schemeAzure)
		assert.NoError(t, err, match[1])
	}
}

// The values that metadata.yaml documents are those that the code counts with.
func TestTheDocumentedCausesAreTheCauses(t *testing.T) {
	text, err := os.ReadFile("metadata.yaml")
	require.NoError(t, err)
	var documented struct {
		Attributes map[string]struct {
			Enum []string `yaml:"enum"`
		} `yaml:"attributes"`
	}
	require.NoError(t, yaml.Unmarshal(text, &documented))
	assert.ElementsMatch(t, []string{
		string(causeAttributeMissing), string(causeBodyType), string(causeContentType),
		string(causeKeyInvalid), string(causeStoreRefused), string(causeTooLarge),
	}, documented.Attributes["cause"].Enum)
	var reasons []string
	for reason := range advice {
		reasons = append(reasons, string(reason))
	}
	assert.ElementsMatch(t, reasons, documented.Attributes["reason"].Enum)
}

// text is a value as the README writes it.
func text(v any) string { return fmt.Sprint(v) }

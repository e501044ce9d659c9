package qtapreceiver

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"

	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/qtapreceiver/qtapreceiver/internal/pipeline"
	"github.com/qtapreceiver/qtapreceiver/internal/policy"
	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
	"github.com/qtapreceiver/qtapreceiver/receiver/qtapreceiver/internal/metadata"
)

const (
	mebibyte = 1 << 20
	// processCapacity is how many process images are remembered. A host rarely
	// has as many processes; beyond it those are forgotten that sent nothing
	// for the longest time.
	processCapacity = 8192
)

// pipeline returns what the pipeline is made from. The errors are those of
// [Config.Validate], for whoever builds a configuration without it.
func (c *Config) pipeline(settings receiver.Settings) (pipeline.Config, error) {
	rules := policy.Config{
		IgnoreLoopback: c.Capture.IgnoreLoopback,
		BodyLimit:      c.Capture.BodyLimitBytes,
		// Never nil, which would stand for the default list.
		RedactHeaders: append([]string{}, c.Redaction.Headers...),
	}
	if err := text("capture.direction", c.Capture.Direction, &rules.Directions); err != nil {
		return pipeline.Config{}, err
	}
	if err := text("capture.level", c.Capture.Level, &rules.Level); err != nil {
		return pipeline.Config{}, err
	}
	allowed, err := policy.New(rules)
	if err != nil {
		return pipeline.Config{}, fmt.Errorf("making the policy: %w", err)
	}
	records, err := c.records(settings)
	if err != nil {
		return pipeline.Config{}, err
	}
	return pipeline.Config{
		Policy:      allowed,
		Record:      records,
		MemoryBytes: c.Limits.MemoryMiB * mebibyte,
		Connections: int(c.Limits.Connections),
	}, nil
}

// records returns what all records have in common.
func (c *Config) records(settings receiver.Settings) (record.Options, error) {
	options := record.Options{
		ServiceName:  c.ServiceName,
		AccessURL:    c.Artifacts.AccessURL,
		Bucket:       c.Artifacts.Bucket,
		Endpoint:     c.Artifacts.Endpoint,
		Scheme:       c.Artifacts.Scheme,
		BodyLimit:    c.Capture.BodyLimitBytes,
		ScopeName:    metadata.ScopeName,
		ScopeVersion: settings.BuildInfo.Version,
	}
	if err := text("artifacts.format", c.Artifacts.Format, &options.Format); err != nil {
		return record.Options{}, err
	}
	var err error
	if options.HostName, err = os.Hostname(); err != nil {
		// Unknown is written as unknown: the attribute is left out.
		settings.Logger.Warn("The name of this host is not known", zap.Error(err))
	}
	// Ids of connections count from the start of the kernel side: without this
	// those of two hosts, or of two runs, would be the same.
	var session [4]byte
	if _, err := rand.Read(session[:]); err != nil {
		return record.Options{}, fmt.Errorf("choosing the prefix of ids: %w", err)
	}
	options.Session = hex.EncodeToString(session[:])
	return options, nil
}

// full tells whether bodies are shown.
func (c *Config) full() bool { return c.Capture.Level == transaction.LevelFull.String() }

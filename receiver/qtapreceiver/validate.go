package qtapreceiver

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/qtapreceiver/qtapreceiver/internal/policy"
	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

var errorModes = []string{errorModePropagate, errorModeIgnore}

const (
	// One body must leave room for others in memory, and the copy budget of
	// the kernel side is a 32-bit number.
	maxBodyLimit = 1 << 30
	// A ring must take the largest record of every CPU at the same time.
	minRingMiB, maxRingMiB = 1, 4096
	// Below this a single large body uses the whole budget.
	minMemoryMiB, maxMemoryMiB = 16, 1 << 20
	// The kernel allocates the map of connections for all of them at once.
	minConnections, maxConnections = 64, 4 << 20
)

// schemePattern is the grammar of RFC 3986, section 3.1.
var schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)

// Validate returns every error in the configuration, each with the path of
// its key and what is allowed.
func (c *Config) Validate() error {
	var errs []error
	if c.ServiceName == "" {
		errs = append(errs, errors.New("service_name: must not be empty"))
	}
	errs = append(errs, c.Capture.errors()...)
	errs = append(errs, c.Redaction.errors()...)
	errs = append(errs, c.Artifacts.errors()...)
	errs = append(errs, c.Limits.errors()...)
	errs = append(errs, oneOf("error_mode", c.ErrorMode, errorModes))
	errs = append(errs, recording("replay_file", c.ReplayFile))
	return errors.Join(errs...)
}

func (c *CaptureConfig) errors() []error {
	errs := []error{
		text("capture.direction", c.Direction, new(policy.Directions)),
		text("capture.level", c.Level, new(transaction.Level)),
		within("capture.body_limit_bytes", c.BodyLimitBytes, 0, maxBodyLimit),
	}
	if len(c.Rules) != 0 {
		// Ignoring a rule could show what its author wanted hidden.
		errs = append(errs, errors.New("capture.rules: not supported by this version, must be empty; set capture.level for all transactions instead"))
	}
	return errs
}

func (c *RedactionConfig) errors() []error {
	var errs []error
	for i, name := range c.Headers {
		// One by one, so that the error can name the index.
		if _, err := policy.New(policy.Config{RedactHeaders: []string{name}}); err != nil {
			errs = append(errs, fmt.Errorf("redaction.headers[%d]: %w", i, err))
		}
	}
	return errs
}

func (c *ArtifactsConfig) errors() []error {
	errs := []error{text("artifacts.format", c.Format, new(record.Format))}
	if !schemePattern.MatchString(c.Scheme) {
		errs = append(errs, fmt.Errorf("artifacts.scheme: not a URL scheme: %q", c.Scheme))
	}
	if _, err := record.NewEncoder(record.Options{AccessURL: c.AccessURL}); err != nil {
		errs = append(errs, fmt.Errorf("artifacts.access_url: %w", err))
	}
	for _, part := range []struct{ placeholder, key, value string }{
		{"{{BUCKET}}", "bucket", c.Bucket},
		{"{{ENDPOINT}}", "endpoint", c.Endpoint},
	} {
		if part.value == "" && strings.Contains(c.AccessURL, part.placeholder) {
			errs = append(errs, fmt.Errorf("artifacts.%s: must not be empty, artifacts.access_url uses %s", part.key, part.placeholder))
		}
	}
	return errs
}

func (c *LimitsConfig) errors() []error {
	return []error{
		within("limits.memory_mib", c.MemoryMiB, minMemoryMiB, maxMemoryMiB),
		within("limits.ring_mib", c.RingMiB, minRingMiB, maxRingMiB),
		within("limits.connections", c.Connections, minConnections, maxConnections),
	}
}

// text checks a value whose names belong to another package.
func text(key, value string, noun encoding.TextUnmarshaler) error {
	if err := noun.UnmarshalText([]byte(value)); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func oneOf(key, value string, allowed []string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: unknown value %q, must be one of: %s", key, value, strings.Join(allowed, ", "))
}

func within(key string, value, lowest, highest int64) error {
	if lowest <= value && value <= highest {
		return nil
	}
	return fmt.Errorf("%s: must be from %d to %d, is %d", key, lowest, highest, value)
}

// recording checks that path can be played: without this a wrong path would
// only be found when the pipelines start.
func recording(key, path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", key, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %s is not a file", key, path)
	}
	return nil
}

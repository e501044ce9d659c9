package qtapreceiver

import (
	"go.opentelemetry.io/collector/component"

	"github.com/qtapreceiver/qtapreceiver/internal/policy"
)

// Config of the receiver. What each key means stands in docs/configuration.md.
//
// Settings with a fixed set of values are strings here, not types of their
// own, so that a wrong one is reported together with every other error and
// not alone while decoding.
type Config struct {
	// ServiceName becomes service.name of every resource.
	ServiceName string `mapstructure:"service_name"`

	Capture   CaptureConfig   `mapstructure:"capture"`
	Redaction RedactionConfig `mapstructure:"redaction"`
	Artifacts ArtifactsConfig `mapstructure:"artifacts"`
	TLS       TLSConfig       `mapstructure:"tls"`
	Limits    LimitsConfig    `mapstructure:"limits"`

	// ErrorMode decides whether failing to load the eBPF programs stops the
	// Collector: "propagate" or "ignore".
	ErrorMode string `mapstructure:"error_mode"`
	// ReplayFile is a recording to play instead of watching the kernel.
	ReplayFile string `mapstructure:"replay_file"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// CaptureConfig says which transactions are shown and how much of them.
type CaptureConfig struct {
	// Direction is "all", "ingress", "egress", "egress-internal" or
	// "egress-external".
	Direction string `mapstructure:"direction"`
	// IgnoreLoopback leaves out connections over a loopback address.
	IgnoreLoopback bool `mapstructure:"ignore_loopback"`
	// Level is "none", "summary", "headers" or "full".
	Level string `mapstructure:"level"`
	// BodyLimitBytes is how much is kept of each body; 0 keeps none.
	BodyLimitBytes int64 `mapstructure:"body_limit_bytes"`
	// Rules must be empty in this version.
	Rules []any `mapstructure:"rules"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// RedactionConfig says which values are replaced before anything is encoded.
type RedactionConfig struct {
	// Headers are names of header and trailer fields, in any case. An empty
	// list replaces no field; URLs are redacted nevertheless.
	Headers []string `mapstructure:"headers"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// ArtifactsConfig describes the objects that transactions become.
type ArtifactsConfig struct {
	// Format is "json", "text" or "har".
	Format string `mapstructure:"format"`
	// AccessURL is the template of artifact.url, "" to leave it out.
	AccessURL string `mapstructure:"access_url"`
	// Bucket, Endpoint and Scheme are what the template's placeholders stand
	// for.
	Bucket   string `mapstructure:"bucket"`
	Endpoint string `mapstructure:"endpoint"`
	Scheme   string `mapstructure:"scheme"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// TLSConfig says in which TLS libraries plaintext is looked for.
type TLSConfig struct {
	OpenSSL TLSLibraryConfig `mapstructure:"openssl"`
	Go      TLSLibraryConfig `mapstructure:"go"`
	GnuTLS  TLSLibraryConfig `mapstructure:"gnutls"`
	NSS     TLSLibraryConfig `mapstructure:"nss"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// TLSLibraryConfig is the switch of one TLS library.
type TLSLibraryConfig struct {
	Enabled bool `mapstructure:"enabled"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// LimitsConfig bounds what the receiver occupies.
type LimitsConfig struct {
	// MemoryMiB is for all streams and bodies together.
	MemoryMiB int64 `mapstructure:"memory_mib"`
	// RingMiB is for all ring buffers together.
	RingMiB int64 `mapstructure:"ring_mib"`
	// Connections is how many are followed at the same time.
	Connections int64 `mapstructure:"connections"`

	// prevent unkeyed literal initialization
	_ struct{}
}

const (
	errorModePropagate = "propagate"
	errorModeIgnore    = "ignore"
)

// createDefaultConfig is the only place where defaults stand.
func createDefaultConfig() component.Config {
	return &Config{
		ServiceName: "qtap",
		Capture: CaptureConfig{
			Direction:      "all",
			Level:          "summary",
			BodyLimitBytes: 1 << 20,
			Rules:          []any{},
		},
		Redaction: RedactionConfig{Headers: policy.DefaultHeaders()},
		Artifacts: ArtifactsConfig{
			Format: "json",
			Scheme: "https",
		},
		TLS: TLSConfig{
			OpenSSL: TLSLibraryConfig{Enabled: true},
			Go:      TLSLibraryConfig{Enabled: true},
			GnuTLS:  TLSLibraryConfig{Enabled: true},
			NSS:     TLSLibraryConfig{Enabled: true},
		},
		Limits: LimitsConfig{
			MemoryMiB:   256,
			RingMiB:     16,
			Connections: 65536,
		},
		ErrorMode: errorModePropagate,
	}
}

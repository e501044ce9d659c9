package qtapreceiver

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

// load reads testdata/NAME.yaml as the Collector does, without validating.
func load(t *testing.T, name string) (*Config, error) {
	t.Helper()
	document, err := confmaptest.LoadConf(filepath.Join("testdata", name+".yaml"))
	require.NoError(t, err)
	section, err := document.Sub("qtap")
	require.NoError(t, err)
	config := createDefaultConfig().(*Config)
	return config, section.Unmarshal(config)
}

func TestConfig(t *testing.T) {
	tests := []struct {
		name string
		file string
		want *Config
		errs []string // of decoding or of validating, whole lines
	}{
		{
			name: "nothing set gives the defaults",
			file: "default",
			want: createDefaultConfig().(*Config),
		},
		{
			name: "every setting can be set",
			file: "all",
			want: &Config{
				ServiceName: "shop",
				Capture: CaptureConfig{
					Direction: "egress-external", IgnoreLoopback: true, Level: "full", BodyLimitBytes: 0, Rules: []any{},
				},
				Redaction: RedactionConfig{Headers: []string{"X-Secret"}},
				Artifacts: ArtifactsConfig{
					Format: "har", AccessURL: "{{SCHEME}}://{{ENDPOINT}}/{{BUCKET}}/{{DIGEST}}",
					Bucket: "qtap", Endpoint: "s3.example.test:9000", Scheme: "http",
				},
				Limits:     LimitsConfig{MemoryMiB: 64, RingMiB: 4, Connections: 1000},
				ErrorMode:  "ignore",
				ReplayFile: "testdata/all.yaml",
			},
		},
		{
			name: "an empty list of headers replaces the default list",
			file: "redact_nothing",
			want: func() *Config {
				config := createDefaultConfig().(*Config)
				config.Redaction.Headers = []string{}
				return config
			}(),
		},
		{
			name: "all wrong values are named together",
			file: "bad_values",
			errs: []string{
				`service_name: must not be empty`,
				`capture.direction: unknown direction "in", must be one of: all, ingress, egress, egress-internal, egress-external`,
				`capture.level: unknown level "everything", must be one of: none, summary, headers, full`,
				`capture.body_limit_bytes: must be from 0 to 1073741824, is -1`,
				`redaction.headers[1]: not a header field name: "x api key"`,
				`redaction.headers[2]: not a header field name: ""`,
				`artifacts.format: unknown format "xml", must be one of: json, text, har`,
				`artifacts.scheme: not a URL scheme: "9p"`,
				`artifacts.access_url: access URL: unknown placeholder {{HASH}}, must be one of: {{DIGEST}}, {{BUCKET}}, {{ENDPOINT}}, {{SCHEME}}`,
				`artifacts.bucket: must not be empty, artifacts.access_url uses {{BUCKET}}`,
				`artifacts.endpoint: must not be empty, artifacts.access_url uses {{ENDPOINT}}`,
				`limits.memory_mib: must be from 16 to 1048576, is 0`,
				`limits.ring_mib: must be from 1 to 4096, is 5000`,
				`limits.connections: must be from 64 to 4194304, is 1`,
				`error_mode: unknown value "silent", must be one of: propagate, ignore`,
				`replay_file: stat testdata/missing.qtap: no such file or directory`,
			},
		},
		{
			name: "rules are refused and not ignored",
			file: "bad_rules",
			errs: []string{`capture.rules: not supported by this version, must be empty; set capture.level for all transactions instead`},
		},
		{
			name: "a folder is not a recording",
			file: "bad_replay_folder",
			errs: []string{`replay_file: testdata is not a file`},
		},
		{
			name: "unknown keys are named with their path",
			file: "unknown_key",
			errs: []string{
				`decoding failed due to the following error(s):`, ``,
				`'capture' has invalid keys: directions`,
				`'tls' has invalid keys: boringssl`,
			},
		},
		{
			name: "a value of another type is named with its path",
			file: "wrong_type",
			errs: []string{
				`decoding failed due to the following error(s):`, ``,
				`'limits.memory_mib' expected type 'int64', got unconvertible type 'string'`,
			},
		},
		{
			name: "a placeholder without end is refused",
			file: "unclosed_placeholder",
			errs: []string{`artifacts.access_url: access URL "https://objects.example.test/{{DIGEST": {{ without }}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config, err := load(t, tt.file)
			if err == nil {
				err = confmap.Validate(config)
			}
			if tt.errs != nil {
				require.Error(t, err)
				assert.Equal(t, tt.errs, strings.Split(err.Error(), "\n"))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, config)
		})
	}
}

func TestEveryFileOfTestdataIsACase(t *testing.T) {
	source, err := os.ReadFile("config_test.go")
	require.NoError(t, err)
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		assert.Contains(t, string(source), `file: "`+name+`"`)
	}
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	defaults := confmap.New()
	require.NoError(t, defaults.Marshal(createDefaultConfig()))
	want := map[string]string{}
	flatten(t, "", defaults.ToStringMap(), want)

	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	got := map[string]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.HasPrefix(cells[1], " `") || len(cells[2]) < 5 {
			continue
		}
		key := strings.Trim(cells[1], " `")
		if value := strings.TrimSpace(cells[2]); strings.HasPrefix(value, "`") {
			got[key] = strings.Trim(value, "`")
		}
	}
	assert.Equal(t, want, got)
}

// flatten writes the default of every key of the settings, as JSON.
func flatten(t *testing.T, prefix string, settings map[string]any, into map[string]string) {
	t.Helper()
	for key, value := range settings {
		if section, ok := value.(map[string]any); ok {
			flatten(t, prefix+key+".", section, into)
			continue
		}
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		require.NoError(t, encoder.Encode(value))
		into[prefix+key] = strings.ReplaceAll(strings.TrimSpace(text.String()), `","`, `", "`)
	}
}

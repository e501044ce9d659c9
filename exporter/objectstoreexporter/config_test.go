package objectstoreexporter

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

func TestConfig(t *testing.T) {
	tests := []struct {
		name  string
		file  string
		loads string   // the error of reading it
		wrong []string // the errors of checking it, each a part of the text
		check func(*testing.T, *Config)
	}{
		{
			name: "two settings are enough",
			file: "minimal.yaml",
			check: func(t *testing.T, c *Config) {
				want := createDefaultConfig().(*Config)
				want.URL, want.Key = "file://./objects", "{artifact.digest}"
				assert.Equal(t, want, c)
			},
		},
		{
			name: "every setting reaches its field",
			file: "every-setting.yaml",
			check: func(t *testing.T, c *Config) {
				assert.Equal(t, "logs/{resource.service.name|unknown}/{artifact.digest}.json", c.Key)
				assert.Equal(t, "application/json", c.ContentType)
				assert.Equal(t, compressionZstd, c.Compression)
				assert.False(t, c.IfAbsent)
				assert.Equal(t, 32, c.Concurrency)
				assert.EqualValues(t, 1<<20, c.MaxObjectBytes)
				assert.Equal(t, 10*time.Second, c.TimeoutConfig.Timeout)
				assert.EqualValues(t, 1000, c.QueueConfig.Get().QueueSize)
				assert.EqualValues(t, 20, c.QueueConfig.Get().Batch.Get().MaxSize)
				assert.Zero(t, c.RetryConfig.MaxElapsedTime)
			},
		},
		{
			name: "what is required is named, with an example",
			file: "empty.yaml",
			wrong: []string{
				"url: is required, for example file://./objects or s3://bucket?region=eu-central-1",
				"key: is required, for example {artifact.digest} or logs/{resource.service.name}/{log.record.uid}",
			},
		},
		{
			name: "every error is reported, with the way out",
			file: "everything-wrong.yaml",
			wrong: []string{
				`url: unknown parameter "regoin" of s3://, it takes anonymous, dualstack, endpoint, fips, profile, region, request_checksum_calculation, use_path_style`,
				"url: carries credentials; give them by the environment or the files that the store's SDK reads",
				"url: has a path after the bucket; begin the key with it: key: folder/…",
				"key: has no placeholder, so all records would be the same object; use for example {artifact.digest}",
				`content_type: "nonsense" is no media type, use for example application/json`,
				`compression: unknown value "lz4", use one of none, gzip, zstd`,
				"concurrency: 0 is not between 1 and 1024",
				"max_object_bytes: 0 is not positive",
				"'timeout' must be non-negative",
				"sending_queue: `num_consumers` must be positive",
				"retry_on_failure: 'multiplier' must be non-negative",
			},
		},
		{
			name:  "a setting that does not exist is refused",
			file:  "unknown-setting.yaml",
			loads: "has invalid keys: if_abesnt",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conf, err := confmaptest.LoadConf(filepath.Join("testdata", test.file))
			require.NoError(t, err)
			config := createDefaultConfig().(*Config)
			err = conf.Unmarshal(config)
			if test.loads != "" {
				require.ErrorContains(t, err, test.loads)
				return
			}
			require.NoError(t, err)
			err = confmap.Validate(config)
			if test.check != nil {
				require.NoError(t, err)
				test.check(t, config)
				return
			}
			require.Error(t, err)
			for _, text := range test.wrong {
				assert.ErrorContains(t, err, text)
			}
			assert.NotContains(t, err.Error(), "secretsecret")
		})
	}
}

func TestBucketURLs(t *testing.T) {
	tests := []struct {
		name, url string
		bucket    string
		wrong     string
	}{
		{name: "a relative folder begins with a dot", url: "file://./data/objects", bucket: "data/objects"},
		{name: "an absolute folder has three slashes", url: "file:///var/lib/objects", bucket: "/var/lib/objects"},
		{name: "a folder above", url: "file://./../objects", bucket: "../objects"},
		{name: "a folder without a dot would be taken for a host", url: "file://data/objects", wrong: `"data" is in the place of a host: a relative folder is file://./data, an absolute one file:///data`},
		{name: "the root folder", url: "file:///", wrong: "names no folder"},
		{name: "the current folder", url: "file://./", wrong: "names no folder"},
		{name: "a mode in octal", url: "file:///x?dir_file_mode=0750", bucket: "/x"},
		{name: "a mode that is none", url: "file:///x?dir_file_mode=999", wrong: `parameter dir_file_mode: "999" is no file mode, use for example 0750`},
		{name: "sidecars cannot be had", url: "file:///x?metadata=", wrong: `unknown parameter "metadata" of file://, it takes create_dir, dir_file_mode`},
		{name: "a bucket of Google", url: "gs://bucket", bucket: "bucket"},
		{name: "a container of Azure", url: "azblob://container?storage_account=me", bucket: "container"},
		{name: "no bucket", url: "gs://", wrong: "names no bucket, use gs://bucket"},
		{name: "memory has no name", url: "mem://x", wrong: "mem:// takes no name"},
		{name: "an endpoint without a scheme", url: "s3://b?endpoint=127.0.0.1:9000", wrong: "parameter endpoint: is no address"},
		{name: "an endpoint with credentials", url: "s3://b?endpoint=http://me:secretsecret@host", wrong: "parameter endpoint: carries credentials"},
		{name: "a switch that is neither", url: "s3://b?use_path_style=maybe", wrong: `parameter use_path_style: "maybe" is neither true nor false`},
		{name: "a checksum mode that is none", url: "s3://b?request_checksum_calculation=never", wrong: `"never" is neither when_supported nor when_required`},
		{name: "a parameter twice", url: "s3://b?region=a&region=b", wrong: "parameter region is there more than once"},
		{name: "a fragment", url: "s3://b#c", wrong: "has a fragment"},
		{name: "another scheme", url: "ftp://b", wrong: `unknown scheme "ftp"`},
		{name: "no URL", url: "s3://%zz:secretsecret@b", wrong: "is not a URL"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			target, err := parseTarget(test.url)
			if test.wrong != "" {
				require.ErrorContains(t, err, test.wrong)
				assert.NotContains(t, err.Error(), "secretsecret")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.bucket, target.bucket)
		})
	}
}

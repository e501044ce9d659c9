package objectstoreexporter

import (
	"context"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wire is a server that keeps requests and answers as the test wants.
type wire struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	answer   func(http.ResponseWriter, *http.Request)
}

func listen(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *wire {
	t.Helper()
	w := &wire{answer: answer}
	w.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		w.mu.Lock()
		w.requests = append(w.requests, r)
		w.bodies = append(w.bodies, string(body))
		w.mu.Unlock()
		w.answer(out, r)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *wire) methods() string {
	var methods []string
	for _, r := range w.requests {
		methods = append(methods, r.Method)
	}
	return strings.Join(methods, " ")
}

func status(code int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// awsEnvironment gives static credentials, and keeps the machine's own files
// and the metadata address away.
func awsEnvironment(t *testing.T, more map[string]string) {
	t.Helper()
	variables := map[string]string{
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "verysecretkey", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
	}
	maps.Copy(variables, more)
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

func inS3(w *wire, more string) func(*Config) {
	return func(c *Config) { c.URL = "s3://bucket?use_path_style=true&endpoint=" + w.URL + more }
}

func TestS3ObjectsAreWrittenInOneConditionalRequest(t *testing.T) {
	awsEnvironment(t, nil)
	w := listen(t, status(http.StatusOK, ""))
	e := start(t, nil, func(c *Config) {
		inS3(w, "")(c)
		c.Compression = compressionZstd
		c.ContentType = "application/json"
	})
	require.NoError(t, e.push(t.Context(), records("a b", "{}")))
	require.Len(t, w.requests, 1)
	r := w.requests[0]
	assert.Equal(t, "PUT", r.Method)
	assert.Equal(t, "/bucket/objects/a%20b", r.URL.EscapedPath())
	assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
	assert.Equal(t, "zstd", r.Header.Get("Content-Encoding"))
	assert.Equal(t, "*", r.Header.Get("If-None-Match"))
	assert.Contains(t, r.Header.Get("Authorization"), "/us-east-1/s3/aws4_request", "without a region an endpoint gets the usual one")
	assert.EqualValues(t, len(w.bodies[0]), r.ContentLength)
	assert.NotEmpty(t, r.Header.Get("X-Amz-Checksum-Crc32"))
}

// Google Cloud Storage and others refuse the checksum that the SDK adds.
func TestS3ChecksumsCanBeLeftOut(t *testing.T) {
	awsEnvironment(t, nil)
	w := listen(t, status(http.StatusOK, ""))
	e := start(t, nil, inS3(w, "&request_checksum_calculation=when_required"))
	require.NoError(t, e.push(t.Context(), records("a", "{}")))
	for name := range w.requests[0].Header {
		assert.NotContains(t, strings.ToLower(name), "checksum")
	}
	assert.Empty(t, w.requests[0].TransferEncoding)
	assert.Equal(t, "{}", w.bodies[0])
}

func TestAnObjectThatExistsInS3IsNotAnError(t *testing.T) {
	awsEnvironment(t, nil)
	w := listen(t, status(http.StatusPreconditionFailed, "<Error><Code>PreconditionFailed</Code></Error>"))
	e := start(t, nil, inS3(w, ""))
	require.NoError(t, e.push(t.Context(), records("a", "{}")))
	assert.Empty(t, e.host.reported())
}

func TestAnS3StoreWithoutConditionalWritesIsAskedFirst(t *testing.T) {
	awsEnvironment(t, nil)
	there := map[string]bool{"/bucket/objects/there": true}
	var mu sync.Mutex
	w := listen(t, func(out http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.Header.Get("If-None-Match") != "":
			status(http.StatusNotImplemented, "<Error><Code>NotImplemented</Code></Error>")(out, r)
		case r.Method == http.MethodHead && !there[r.URL.Path]:
			out.WriteHeader(http.StatusNotFound)
		default:
			there[r.URL.Path] = true
		}
	})
	e := start(t, nil, func(c *Config) { inS3(w, "")(c); c.Concurrency = 1 })
	require.NoError(t, e.push(t.Context(), records("new", "1", "there", "2", "other", "3")))
	assert.Equal(t, "PUT HEAD PUT HEAD HEAD PUT", w.methods())
}

func TestS3ErrorsAreKeptForLaterWithTheReason(t *testing.T) {
	awsEnvironment(t, map[string]string{"AWS_MAX_ATTEMPTS": "1"})
	for name, test := range map[string]struct {
		code int
		body string
		want string
	}{
		"no permission":   {403, "<Error><Code>AccessDenied</Code><Message>no verysecretkey</Message></Error>", "access was denied, check credentials and permissions: "},
		"no bucket":       {404, "<Error><Code>NoSuchBucket</Code></Error>", "the bucket or folder does not exist: "},
		"another region":  {301, "<Error><Code>PermanentRedirect</Code></Error>", "the bucket or folder does not exist: "},
		"slow down":       {503, "<Error><Code>SlowDown</Code></Error>", "the store asks for fewer requests: "},
		"what no S3 says": {418, "tea", "the store reports an error: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := listen(t, status(test.code, test.body))
			e := start(t, nil, inS3(w, ""))
			err := e.push(t.Context(), records("a", "{}"))
			require.ErrorContains(t, err, "1 of 1 objects were not stored: "+test.want)
			assert.NotContains(t, err.Error(), "verysecretkey")
			assert.Len(t, e.host.reported(), 1)
		})
	}
}

// Without credentials the SDK asks an address of EC2, which elsewhere never
// answers.
func TestMissingS3CredentialsEndWithTheTimeout(t *testing.T) {
	silent := make(chan struct{})
	metadata := listen(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	})
	awsEnvironment(t, map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_MAX_ATTEMPTS": "1",
		"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL,
	})
	w := listen(t, status(http.StatusOK, ""))
	e := start(t, nil, inS3(w, ""))
	ctx, cancel := context.WithTimeout(t.Context(), shortTimeout)
	defer cancel()
	require.ErrorContains(t, e.push(ctx, records("a", "{}", "b", "{}")), "2 of 2 objects were not stored")
	assert.Empty(t, w.requests)
	// The SDK goes on asking for a few seconds, whoever has stopped waiting.
	close(silent)
	require.Eventually(t, func() bool {
		stacks := make([]byte, 1<<20)
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "feature/ec2/imds")
	}, time.Minute, 10*time.Millisecond)
}

func TestS3WithoutARegionStopsTheStart(t *testing.T) {
	awsEnvironment(t, nil)
	e := start(t, newTestStore(), func(c *Config) { c.URL = "s3://bucket" })
	e.store.opened = nil
	e.store.open = func(ctx context.Context) (store, error) { return openStore(ctx, e.target, 1) }
	require.EqualError(t, e.start(t.Context(), e.host), "url: opening the bucket: no region: add ?region=… to the url, or set AWS_REGION")
}

func TestGoogleObjectsAreWrittenInOneConditionalRequest(t *testing.T) {
	there := false
	w := listen(t, func(out http.ResponseWriter, r *http.Request) {
		if there {
			status(http.StatusPreconditionFailed, "{}")(out, r)
			return
		}
		out.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(out, `{"bucket":"bucket","name":"objects/a"}`)
	})
	t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(w.URL, "http://"))
	e := start(t, nil, func(c *Config) {
		c.URL = "gs://bucket"
		c.Compression = compressionGzip
		c.ContentType = "application/json"
	})
	require.NoError(t, e.push(t.Context(), records("a", "{}")))
	there = true
	require.NoError(t, e.push(t.Context(), records("a", "{}")))
	require.Len(t, w.requests, 2)
	r := w.requests[0]
	assert.Equal(t, "POST", r.Method)
	assert.Equal(t, "/upload/storage/v1/b/bucket/o", r.URL.Path)
	assert.Equal(t, "0", r.URL.Query().Get("ifGenerationMatch"))
	_, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	require.NoError(t, err)
	parts := multipart.NewReader(strings.NewReader(w.bodies[0]), parameters["boundary"])
	part, err := parts.NextPart()
	require.NoError(t, err)
	about, err := io.ReadAll(part)
	require.NoError(t, err)
	assert.Contains(t, string(about), `"name":"objects/a"`)
	assert.Contains(t, string(about), `"contentEncoding":"gzip"`)
	part, err = parts.NextPart()
	require.NoError(t, err)
	assert.Equal(t, "application/json", part.Header.Get("Content-Type"))
}

func TestAzureObjectsAreWrittenInOneConditionalRequest(t *testing.T) {
	t.Setenv("AZURE_STORAGE_ACCOUNT", "me")
	t.Setenv("AZURE_STORAGE_KEY", "c2VjcmV0c2VjcmV0")
	there := false
	w := listen(t, func(out http.ResponseWriter, _ *http.Request) {
		if there {
			out.Header().Set("x-ms-error-code", "BlobAlreadyExists")
			out.WriteHeader(http.StatusConflict)
			return
		}
		out.WriteHeader(http.StatusCreated)
	})
	e := start(t, nil, func(c *Config) {
		c.URL = "azblob://container?protocol=http&domain=" + strings.TrimPrefix(w.URL, "http://")
		c.ContentType = "application/json"
	})
	require.NoError(t, e.push(t.Context(), records("a", "{}")))
	there = true
	require.NoError(t, e.push(t.Context(), records("a", "{}")))
	require.Len(t, w.requests, 2)
	r := w.requests[0]
	assert.Equal(t, "PUT", r.Method)
	assert.Equal(t, "/me/container/objects/a", r.URL.Path)
	assert.Equal(t, "BlockBlob", r.Header.Get("x-ms-blob-type"))
	assert.Equal(t, "application/json", r.Header.Get("x-ms-blob-content-type"))
	assert.Equal(t, "*", r.Header.Get("If-None-Match"))
	assert.Equal(t, "{}", w.bodies[0])
}

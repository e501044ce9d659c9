package objectstoreexporter

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcp"
)

// openStore opens the bucket of a target; connections is how many requests can
// run at a time.
func openStore(ctx context.Context, t target, connections int) (store, error) {
	switch t.scheme {
	case schemeFile:
		return openFolder(t)
	case schemeMemory:
		return &blobStore{bucket: memblob.OpenBucket(nil)}, nil
	case schemeS3:
		return openS3(ctx, t, connections)
	case schemeGCS:
		return openGCS(ctx, t, connections)
	case schemeAzure:
		return openAzure(ctx, t)
	}
	return nil, configurationError{fmt.Errorf("unknown scheme %q", t.scheme)}
}

// openGCS opens a bucket of Google Cloud Storage with the application default
// credentials. The driver's own opener would remember for ever that there
// were none.
func openGCS(ctx context.Context, t target, connections int) (store, error) {
	transport := newTransport(connections)
	client := gcp.NewAnonymousHTTPClient(transport)
	// The storage package reads the variable too, and sends requests there.
	if !t.flag("anonymous", false) && os.Getenv("STORAGE_EMULATOR_HOST") == "" {
		credentials, err := gcp.DefaultCredentials(ctx)
		if err != nil {
			return nil, err
		}
		if client, err = gcp.NewHTTPClient(transport, credentials.TokenSource); err != nil {
			return nil, err
		}
	}
	bucket, err := gcsblob.OpenBucket(ctx, client, t.bucket, nil)
	if err != nil {
		return nil, err
	}
	return &blobStore{bucket: bucket, release: transport.CloseIdleConnections}, nil
}

// openAzure opens a container; the driver reads the credentials from the
// environment.
func openAzure(ctx context.Context, t target) (store, error) {
	opener, err := blob.DefaultURLMux().OpenBucketURL(ctx, &url.URL{
		Scheme: azureblob.Scheme, Host: t.bucket, RawQuery: t.query.Encode(),
	})
	if err != nil {
		return nil, configurationError{err}
	}
	return &blobStore{bucket: opener}, nil
}

// newTransport keeps as many connections as are used at a time; the default of
// two per host would open a new one for nearly every object.
func newTransport(connections int) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	widen(transport, connections)
	return transport
}

func widen(transport *http.Transport, connections int) {
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = connections
}

package objectstoreexporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// object is what is put into a store.
type object struct {
	key         string
	contentType string
	encoding    string // Content-Encoding, "" when the body is as it was
	body        string
}

// store is an open bucket.
type store interface {
	// put writes an object, whole or not at all. With ifAbsent it leaves an
	// object alone that exists under the key, and says so.
	put(ctx context.Context, o *object, ifAbsent bool) (existing bool, err error)
	close() error
}

// configurationError is a failure to open a bucket that nothing but another
// configuration mends.
type configurationError struct{ error }

func (e configurationError) Unwrap() error { return e.error }

// lazyStore is a bucket that is opened when it is first needed and, as long as
// that fails, each time that it is.
type lazyStore struct {
	open func(context.Context) (store, error)

	mu     sync.Mutex
	opened store
	closed bool
}

// get gives the open bucket. Opening sees no deadline: SDKs keep the context
// for refreshing credentials; each of them bounds what it asks.
func (l *lazyStore) get(ctx context.Context) (store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("the exporter is shut down")
	}
	if l.opened != nil {
		return l.opened, nil
	}
	s, err := l.open(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("opening the bucket: %w", err)
	}
	l.opened = s
	return s, nil
}

func (l *lazyStore) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.opened == nil {
		return nil
	}
	s := l.opened
	l.opened = nil
	if err := s.close(); err != nil {
		return errors.New("closing the bucket: " + redact(err.Error()))
	}
	return nil
}

// maxBufferBytes is the largest piece in which drivers send an object. One
// that fits is sent in one request; a larger one in several.
const maxBufferBytes = 16 << 20

// blobStore is a bucket of one of gocloud.dev's drivers.
type blobStore struct {
	bucket  *blob.Bucket
	release func()
}

func (s *blobStore) put(ctx context.Context, o *object, ifAbsent bool) (existing bool, err error) {
	// A writer that is closed commits what it has; cancelling is what makes
	// it leave nothing behind.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.bucket.NewWriter(ctx, o.key, &blob.WriterOptions{
		ContentType:     o.contentType,
		ContentEncoding: o.encoding,
		// The default would allocate 8 or 16 MiB for each object. One byte
		// more than needed shows a driver that the object has ended.
		BufferSize: min(len(o.body)+1, maxBufferBytes),
		IfNotExist: ifAbsent,
	})
	if err != nil {
		return false, err
	}
	if _, err = io.Copy(w, strings.NewReader(o.body)); err != nil {
		cancel()
	}
	if closeErr := w.Close(); err == nil {
		err = closeErr
	}
	if ifAbsent && gcerrors.Code(err) == gcerrors.FailedPrecondition {
		return true, nil
	}
	return false, err
}

func (s *blobStore) close() error {
	err := s.bucket.Close()
	if s.release != nil {
		s.release()
	}
	return err
}

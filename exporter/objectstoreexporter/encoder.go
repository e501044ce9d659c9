package objectstoreexporter

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// encoder compresses bodies. It is safe for concurrent use.
type encoder struct {
	// name is the Content-Encoding, "" for none.
	name string
	gzip sync.Pool
	zstd *zstd.Encoder
}

func newEncoder(compression string) (*encoder, error) {
	e := &encoder{}
	switch compression {
	case compressionNone:
	case compressionGzip:
		e.name = compressionGzip
		e.gzip.New = func() any { return gzip.NewWriter(io.Discard) }
	case compressionZstd:
		e.name = compressionZstd
		// One at a time per caller: EncodeAll has no need of its own goroutines.
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(maxConcurrency), zstd.WithEncoderCRC(true))
		if err != nil {
			return nil, fmt.Errorf("preparing zstd: %w", err)
		}
		e.zstd = z
	default:
		return nil, fmt.Errorf("compression: unknown value %q", compression)
	}
	return e, nil
}

// encode gives the bytes to store.
func (e *encoder) encode(body string) (string, error) {
	switch e.name {
	case compressionGzip:
		var out bytes.Buffer
		w := e.gzip.Get().(*gzip.Writer)
		defer e.gzip.Put(w)
		w.Reset(&out)
		if _, err := io.WriteString(w, body); err != nil {
			return "", fmt.Errorf("compressing: %w", err)
		}
		if err := w.Close(); err != nil {
			return "", fmt.Errorf("compressing: %w", err)
		}
		return out.String(), nil
	case compressionZstd:
		return string(e.zstd.EncodeAll([]byte(body), nil)), nil
	}
	return body, nil
}

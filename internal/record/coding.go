package record

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

const (
	// maxCodings bounds how many codings are undone one after the other. Two
	// are rare, more are an attack or a mistake.
	maxCodings = 4
	// maxWindow is what RFC 9659 allows a server to ask of a zstd client.
	maxWindow = 8 << 20
	// innerSlack is how much more than the limit of the result may come out of
	// an inner coding: headers and read-ahead of the next one. Without it a
	// coding that expands into endless empty parts of the next would never end.
	innerSlack = 1 << 20
)

var (
	errCoding   = errors.New("unknown content coding")
	errTooMany  = fmt.Errorf("more than %d content codings", maxCodings)
	errTooLarge = errors.New("content expands too far between two codings")
	errTrailing = errors.New("bytes behind the end of the coded content")
)

// contentCodings returns the codings of a message, lower case, in the order in
// which they were applied (RFC 9110, section 8.4); none for identity.
func contentCodings(fields message.Fields) []string {
	var codings []string
	for i := range fields {
		if !strings.EqualFold(fields[i].Name, "content-encoding") {
			continue
		}
		for name := range strings.SplitSeq(fields[i].Value, ",") {
			name = strings.ToLower(strings.Trim(name, " \t"))
			if name != "" && name != "identity" {
				codings = append(codings, name)
			}
		}
	}
	return codings
}

// decoder undoes content codings. It keeps what is expensive to make (the
// window of zstd is megabytes) for the next body. Not safe for concurrent use.
type decoder struct {
	source bytes.Reader // the body; the layers hold on to it, so it must be emptied
	layers [maxCodings]layer
}

// layer holds the readers for one place in a stack of codings.
type layer struct {
	gzip    *gzip.Reader
	flate   io.ReadCloser
	zlib    io.ReadCloser
	zstd    *zstd.Decoder
	buffer  *bufio.Reader // between this layer and the one before
	limited io.LimitedReader
}

// decode appends the body with its codings undone to dst, at most limit bytes
// of it; cut says that there were more. After an error nothing of the result
// is of use.
func (d *decoder) decode(dst, body []byte, codings []string, limit int64) (out []byte, cut bool, err error) {
	out, cut, err = d.attempt(dst, body, codings, limit, false)
	if err != nil {
		// Raw deflate can look like a zlib header by chance.
		if slices.Contains(codings, "deflate") {
			return d.attempt(dst, body, codings, limit, true)
		}
	}
	return out, cut, err
}

func (d *decoder) attempt(dst, body []byte, codings []string, limit int64, raw bool) (out []byte, cut bool, err error) {
	if len(codings) > maxCodings {
		return dst, false, errTooMany
	}
	d.source.Reset(body)
	defer d.release(len(codings))
	// The decoders are not ours and the bytes are anybody's: a fault in one of
	// them must cost one body, not the Collector.
	defer func() {
		if fault := recover(); fault != nil {
			d.layers = [maxCodings]layer{}
			out, cut, err = dst, false, fmt.Errorf("decoding %s: %v", codings, fault)
		}
	}()
	var reader io.Reader = &d.source
	for i := range codings {
		l := &d.layers[i]
		in, ok := reader.(byteReader)
		if !ok {
			l.limited = io.LimitedReader{R: reader, N: limit + innerSlack}
			in = l.between()
		}
		// The last coding that was applied is the first to be undone.
		if reader, err = l.open(codings[len(codings)-1-i], in, raw); err != nil {
			return dst, false, err
		}
	}
	out, cut, err = appendAll(dst, reader, limit)
	if err == nil && !cut {
		err = d.exhausted(len(codings))
	}
	return out, cut, err
}

// release lets go of the body and of what the decoders read from.
func (d *decoder) release(codings int) {
	d.source.Reset(nil)
	for i := range codings {
		if z := d.layers[i].zstd; z != nil {
			_ = z.Reset(nil) // cannot fail: it only takes the input away
		}
		d.layers[i].limited.R = nil
	}
}

// byteReader is what the readers of deflate need so that they do not read
// beyond the end of their input.
type byteReader interface {
	io.Reader
	io.ByteReader
}

// exhausted reports bytes that no coding has taken: they are part of the body,
// so a body without them is not the body.
func (d *decoder) exhausted(codings int) error {
	if d.source.Len() > 0 {
		return errTrailing
	}
	for i := 1; i < codings; i++ {
		l := &d.layers[i]
		if l.limited.N <= 0 {
			return errTooLarge
		}
		if _, err := l.buffer.Peek(1); err != io.EOF {
			return errTrailing
		}
	}
	return nil
}

// between returns a buffered reader of what the layer before gives.
func (l *layer) between() *bufio.Reader {
	if l.buffer == nil {
		l.buffer = bufio.NewReader(&l.limited)
	} else {
		l.buffer.Reset(&l.limited)
	}
	return l.buffer
}

// open returns a reader that undoes the coding. raw takes deflate without a
// zlib header, which many senders mean by it.
func (l *layer) open(coding string, in byteReader, raw bool) (io.Reader, error) {
	switch coding {
	case "gzip", "x-gzip":
		if l.gzip == nil {
			l.gzip = new(gzip.Reader)
		}
		return l.gzip, l.gzip.Reset(in)
	case "deflate":
		if raw {
			return l.openFlate(in)
		}
		return l.openZlib(in)
	case "br":
		// A new one each time: Reset of brotli 1.2.1 keeps the input that a
		// reader which was not read to its end had buffered, and would decode
		// the rest of another body before this one.
		return brotli.NewReader(in), nil
	case "zstd":
		return l.openZstd(in)
	default:
		return nil, errCoding
	}
}

// openFlate takes the standard library: klauspost/compress 1.19.2 ends without
// an error where deflate was cut inside a distance. Its zlib and gzip notice
// by their checksum.
func (l *layer) openFlate(in io.Reader) (io.Reader, error) {
	if l.flate == nil {
		l.flate = flate.NewReader(in)
		return l.flate, nil
	}
	return l.flate, l.flate.(flate.Resetter).Reset(in, nil)
}

func (l *layer) openZlib(in io.Reader) (io.Reader, error) {
	if l.zlib == nil {
		r, err := zlib.NewReader(in)
		if err != nil {
			return nil, err
		}
		l.zlib = r
		return r, nil
	}
	return l.zlib, l.zlib.(zlib.Resetter).Reset(in, nil)
}

func (l *layer) openZstd(in io.Reader) (io.Reader, error) {
	if l.zstd == nil {
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		l.zstd = z
		return z, err
	}
	return l.zstd, l.zstd.Reset(in)
}

// appendAll appends what r gives to dst, at most limit bytes.
func appendAll(dst []byte, r io.Reader, limit int64) (out []byte, cut bool, err error) {
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if int64(len(dst)-start) > limit {
			return dst[:start+int(limit)], true, nil
		}
		if err == io.EOF {
			return dst, false, nil
		}
		if err != nil {
			return dst, false, err
		}
	}
}

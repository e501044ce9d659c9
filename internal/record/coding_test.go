package record

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// encode applies content codings in order; "raw" is deflate without a header.
func encode(t testing.TB, body []byte, codings ...string) []byte {
	for _, coding := range codings {
		var out bytes.Buffer
		var w io.WriteCloser
		var err error
		switch coding {
		case "gzip", "x-gzip":
			w = gzip.NewWriter(&out)
		case "deflate":
			w = zlib.NewWriter(&out)
		case "raw":
			w, err = flate.NewWriter(&out, flate.DefaultCompression)
		case "br":
			w = brotli.NewWriter(&out)
		case "zstd":
			w, err = zstd.NewWriter(&out)
		}
		require.NoError(t, err)
		_, err = w.Write(body)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		body = out.Bytes()
	}
	return body
}

// named returns the codings as a Content-Encoding field names them.
func named(codings []string) []string {
	return strings.Split(strings.ReplaceAll(strings.Join(codings, ","), "raw", "deflate"), ",")
}

func TestEveryCodingIsUndone(t *testing.T) {
	random := make([]byte, 100_000)
	chacha := rand.NewChaCha8([32]byte{})
	_, _ = chacha.Read(random)
	bodies := map[string][]byte{"text": []byte("Hello, wörld"), "empty": {}, "random": random, "zeros": make([]byte, 300_000)}
	var d decoder // one for all: what a body leaves behind must not harm the next
	for range 2 {
		for _, codings := range [][]string{
			{"gzip"},
			{"x-gzip"},
			{"deflate"},
			{"raw"},
			{"br"},
			{"zstd"},
			{"gzip", "br"},
			{"br", "gzip"},
			{"deflate", "zstd"},
			{"raw", "gzip"},
			{"gzip", "gzip"},
			{"zstd", "br", "deflate", "gzip"},
		} {
			for name, body := range bodies {
				t.Run(strings.Join(codings, "+")+"/"+name, func(t *testing.T) {
					got, cut, err := d.decode(nil, encode(t, body, codings...), named(codings), 1<<20)
					require.NoError(t, err)
					assert.False(t, cut)
					assert.True(t, bytes.Equal(body, got))
				})
			}
		}
	}
}

func TestRawDeflateThatLooksLikeZlibIsUndone(t *testing.T) {
	// A stored block of 1 byte, not final, then an empty final one; the first
	// two bytes are no zlib header unless the bits left over in a stored
	// block's first byte, which decoders ignore, make it one.
	body := []byte{0x78, 0x01, 0x00, 0xfe, 0xff, 'x', 0x01, 0x00, 0x00, 0xff, 0xff}
	reference, err := io.ReadAll(flate.NewReader(bytes.NewReader(body)))
	require.NoError(t, err)
	var d decoder
	got, _, err := d.decode(nil, body, []string{"deflate"}, 1<<20)
	require.NoError(t, err)
	assert.Equal(t, reference, got)
}

func TestWhatCannotBeUndoneIsAnError(t *testing.T) {
	text := []byte(strings.Repeat("Hello, world. ", 100))
	for _, tt := range []struct {
		name    string
		body    []byte
		codings []string
	}{
		{"an unknown coding", text, []string{"compress"}},
		{"an unknown coding below a known one", encode(t, text, "gzip"), []string{"aws-chunked", "gzip"}},
		{"no gzip at all", text, []string{"gzip"}},
		{"no zlib at all", text, []string{"deflate"}},
		{"no brotli at all", text, []string{"br"}},
		{"no zstd at all", text, []string{"zstd"}},
		{"a wrong checksum", append(encode(t, text, "gzip")[:len(encode(t, text, "gzip"))-8], 0, 0, 0, 0, 0, 0, 0, 0), []string{"gzip"}},
		{"the wrong order of codings", encode(t, text, "gzip", "br"), []string{"br", "gzip"}},
		{"bytes behind gzip", append(encode(t, text, "gzip"), "tail"...), []string{"gzip"}},
		{"bytes behind zlib", append(encode(t, text, "deflate"), "tail"...), []string{"deflate"}},
		{"bytes behind raw deflate", append(encode(t, text, "raw"), "tail"...), []string{"deflate"}},
		{"bytes behind brotli", append(encode(t, text, "br"), "tail"...), []string{"br"}},
		{"bytes behind zstd", append(encode(t, text, "zstd"), "tail"...), []string{"zstd"}},
		{"bytes behind an inner coding", encode(t, append(encode(t, text, "deflate"), "tail"...), "gzip"), []string{"deflate", "gzip"}},
		{"five codings", encode(t, text, "gzip", "gzip", "gzip", "gzip", "gzip"), []string{"gzip", "gzip", "gzip", "gzip", "gzip"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d decoder
			_, _, err := d.decode(nil, tt.body, tt.codings, 1<<20)
			assert.Error(t, err)
		})
	}
}

func TestEveryCutOfACodedBodyIsAnError(t *testing.T) {
	text := []byte(strings.Repeat("Hello, world. ", 20))
	var d decoder
	for _, coding := range []string{"gzip", "deflate", "raw", "br", "zstd"} {
		body := encode(t, text, coding)
		for end := range body {
			if end == 0 && coding == "zstd" {
				continue // no frames at all are a valid sequence of frames
			}
			out, _, err := d.decode(nil, body[:end], named([]string{coding}), 1<<20)
			if err == nil {
				assert.Equal(t, text, out, "%s cut at %d", coding, end)
			}
		}
	}
}

func TestBombsCostNoMoreThanTheLimit(t *testing.T) {
	const limit = 64 << 10
	for _, coding := range []string{"gzip", "deflate", "raw", "br", "zstd"} {
		t.Run(coding, func(t *testing.T) {
			bomb := encode(t, make([]byte, 64<<20), coding)
			require.Less(t, len(bomb), 1<<20)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var d decoder
			out, cut, err := d.decode(nil, bomb, named([]string{coding}), limit)
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			assert.True(t, cut)
			assert.Len(t, out, limit)
			// The window of brotli is up to 16 MiB, that of zstd 8 MiB.
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))
		})
	}
	t.Run("an inner coding without end", func(t *testing.T) {
		// Many empty gzip members: they expand into nothing, however many.
		empty := encode(t, nil, "gzip")
		bomb := encode(t, bytes.Repeat(empty, 8<<20/len(empty)), "br")
		var d decoder
		_, _, err := d.decode(nil, bomb, []string{"gzip", "br"}, limit)
		assert.Error(t, err)
	})
	t.Run("a zstd window over the limit", func(t *testing.T) {
		// Magic, a descriptor without content size, a window of 2^41 bytes.
		_, _, err := new(decoder).decode(nil, []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 1, 0, 0}, []string{"zstd"}, limit)
		assert.Error(t, err)
	})
}

func TestABodyThatWasCutLeavesNothingToTheNext(t *testing.T) {
	var d decoder
	random := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(random)
	for _, coding := range []string{"gzip", "deflate", "raw", "br", "zstd"} {
		for _, first := range [][]byte{encode(t, random, coding), encode(t, random, coding)[:1000], append(encode(t, nil, coding), random...)} {
			_, _, _ = d.decode(nil, first, named([]string{coding}), 100)
			got, cut, err := d.decode(nil, encode(t, []byte("next"), coding), named([]string{coding}), 100)
			require.NoError(t, err, coding)
			assert.False(t, cut)
			assert.Equal(t, "next", string(got), coding)
		}
	}
}

func TestContentOfACodedBody(t *testing.T) {
	text := []byte(strings.Repeat("wörld ", 50))
	packed := encode(t, text, "gzip")
	whole := func(b []byte) message.Body { return message.Body{Bytes: b, Size: int64(len(b))} }
	for _, tt := range []struct {
		name         string
		encoding     string
		body         message.Body
		limit        int64
		wantBody     []byte
		wantEncoding string
		wantCut      bool
		wantMissing  []string
		completeness transaction.Completeness
	}{
		{"a whole body is decoded", "gzip", whole(packed), 1000, text, "utf-8", false, nil, transaction.Complete},
		{"the name of a coding has no case", " GZip ", whole(packed), 1000, text, "utf-8", false, nil, transaction.Complete},
		{"identity changes nothing", "identity", whole(text), 1000, text, "utf-8", false, nil, transaction.Complete},
		{"a decoded body over the limit is cut between characters", "gzip", whole(packed), 2, text[:1], "utf-8", true, []string{"body_limit"}, transaction.Truncated},
		{"a malformed body stays as it was", "br", whole(packed), 1000, packed, "base64", false, []string{"decode_failed"}, transaction.Incomplete},
		{"text that claims a coding is shown as base64", "br", whole([]byte("text")), 1000, []byte("text"), "base64", false, []string{"decode_failed"}, transaction.Incomplete},
		{
			"a cut body stays as it was", "gzip",
			message.Body{Bytes: packed[:20], Size: int64(len(packed)), Missing: event.Of(event.ReasonBodyLimit)},
			1000,
			packed[:20], "base64", true,
			[]string{"body_limit", "decode_failed"},
			transaction.Incomplete,
		},
		{"bytes that were not kept without a reason are missing", "", message.Body{Size: 10}, 1000, nil, "", true, []string{"body_limit"}, transaction.Truncated},
		{"an empty body has nothing to undo", "gzip", message.Body{}, 1000, nil, "", false, nil, transaction.Complete},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := simpleGet()
			tr.Response.Body = tt.body
			tr.Response.Fields = message.Fields{{Name: "Content-Encoding", Value: tt.encoding}}
			o := testOptions()
			o.BodyLimit = tt.limit
			e := newTestEncoder(t, o)
			x := e.observe(tr, nil, transaction.LevelFull)
			assert.Equal(t, string(tt.wantBody), string(x.response.bytes))
			if len(tt.wantBody) > 0 {
				assert.Equal(t, tt.wantEncoding, x.response.encoding())
			}
			assert.Equal(t, tt.wantCut, x.response.cut)
			assert.Equal(t, tt.wantMissing, x.missing.Names())
			assert.Equal(t, tt.completeness, x.completeness)
		})
	}
}

func FuzzDecode(f *testing.F) {
	text := []byte(strings.Repeat("Hello, world. ", 10))
	for i, codings := range [][]string{{"gzip"}, {"deflate"}, {"br"}, {"zstd"}, {"gzip", "br"}, {"zstd", "deflate"}} {
		f.Add(encode(f, text, codings...), uint8(i))
		f.Add(encode(f, nil, codings...), uint8(i))
	}
	names := []string{"gzip", "deflate", "br", "zstd"}
	var d decoder
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		const limit = 10_000
		codings := []string{names[which&3]}
		if which&4 != 0 {
			codings = append(codings, names[which>>3&3])
		}
		out, cut, err := d.decode(nil, body, codings, limit)
		if len(out) > limit && err == nil {
			t.Errorf("%d bytes, limit is %d", len(out), limit)
		}
		if cut && len(out) != limit {
			t.Errorf("cut at %d, limit is %d", len(out), limit)
		}
		// What a fresh decoder makes of it does not depend on what came before.
		again, cutAgain, errAgain := new(decoder).decode(nil, body, codings, limit)
		if (err == nil) != (errAgain == nil) || err == nil && (cut != cutAgain || !bytes.Equal(out, again)) {
			t.Errorf("differs with a fresh decoder: %v, %v", err, errAgain)
		}
	})
}

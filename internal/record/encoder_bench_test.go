package record

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// benchmark encodes one transaction over and over, in batches of 500 requests
// as the pipeline takes them.
func benchmark(b *testing.B, tr *transaction.Transaction, level transaction.Level, format Format) {
	o := testOptions()
	o.Format = format
	e := newTestEncoder(b, o)
	p := nginx()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.Transaction(tr, p, level)
		if i%500 == 499 {
			e.Take()
		}
	}
}

func BenchmarkGetAtNone(b *testing.B) {
	benchmark(b, simpleGet(), transaction.LevelNone, FormatJSON)
}

func BenchmarkGetAtSummary(b *testing.B) {
	benchmark(b, simpleGet(), transaction.LevelSummary, FormatJSON)
}

func BenchmarkGetAtHeaders(b *testing.B) {
	benchmark(b, simpleGet(), transaction.LevelHeaders, FormatJSON)
}

func BenchmarkGetAtFull(b *testing.B) {
	for _, format := range []Format{FormatJSON, FormatText, FormatHAR} {
		b.Run(format.String(), func(b *testing.B) { benchmark(b, simpleGet(), transaction.LevelFull, format) })
	}
}

func BenchmarkBodyOf64KiBAtFull(b *testing.B) {
	body := bytes.Repeat([]byte("All work and no play makes Jack a dull boy.\r\n"), 64<<10/45)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(body)
	require.NoError(b, err)
	require.NoError(b, w.Close())
	b.Run("plain", func(b *testing.B) {
		tr := simpleGet()
		tr.Response.Body = message.Body{Bytes: body, Size: int64(len(body))}
		b.SetBytes(int64(len(body)))
		benchmark(b, tr, transaction.LevelFull, FormatJSON)
	})
	b.Run("gzip", func(b *testing.B) {
		tr := simpleGet()
		tr.Response.Fields = append(tr.Response.Fields, message.Field{Name: "Content-Encoding", Value: "gzip"})
		tr.Response.Body = message.Body{Bytes: packed.Bytes(), Size: int64(packed.Len())}
		b.SetBytes(int64(len(body)))
		benchmark(b, tr, transaction.LevelFull, FormatJSON)
	})
}

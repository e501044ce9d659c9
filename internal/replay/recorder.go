package replay

import (
	"context"
	"fmt"
	"io"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// Summary is what a recording holds.
type Summary struct {
	Records int64
	Bytes   int64 // of all records, without the magic
}

// Record runs the source until it ends or ctx does and writes a recording to
// w. When writing fails, the source is stopped and that error returned. w is
// written once per batch of the source and is not closed.
func Record(ctx context.Context, source event.Source, w io.Writer) (Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		summary Summary
		failure error
	)
	if _, err := io.WriteString(w, Magic); err != nil {
		return summary, fmt.Errorf("writing the recording: %w", err)
	}
	err := source.Run(ctx, func(batch *event.Batch) {
		defer batch.Release()
		if failure != nil {
			return
		}
		count, err := countRecords(batch.Records)
		if err == nil {
			_, err = w.Write(batch.Records)
		}
		if err != nil {
			failure = fmt.Errorf("writing the recording: %w", err)
			cancel()
			return
		}
		summary.Records += count
		summary.Bytes += int64(len(batch.Records))
	})
	if failure != nil {
		return summary, failure
	}
	if err != nil {
		return summary, fmt.Errorf("recording: %w", err)
	}
	return summary, nil
}

// countRecords makes sure that only what can be played is written.
func countRecords(records []byte) (count int64, err error) {
	for len(records) > 0 {
		if _, records, err = event.Next(records); err != nil {
			return count, fmt.Errorf("a batch of the source: %w", err)
		}
		count++
	}
	return count, nil
}

package event

import "context"

// Batch is a sequence of whole records in the order of their time. Whoever
// receives it owns it until Release.
type Batch struct {
	// Records holds the encoded records back to back; see [Next].
	Records []byte
	// Free takes the batch back for reuse. May be nil.
	Free func(*Batch)
}

// Release gives the batch back. Nothing that aliases it may be used after.
func (b *Batch) Release() {
	if b.Free != nil {
		b.Free(b)
	}
}

// Source delivers records: the kernel, or a recording.
type Source interface {
	// Run delivers batches to deliver until ctx ends, the source is exhausted
	// or a fatal error occurs; nil in the first two cases. Records come in
	// the order of their time up to each Mark. When ctx ends, what the kernel
	// has already submitted is delivered first. deliver takes ownership of
	// the batch and may block: the kernel side then refuses and counts.
	Run(ctx context.Context, deliver func(*Batch)) error
	// Ignore asks that no more bytes of the connection are copied. It is a
	// hint, safe to call from any goroutine, and without effect after the end
	// of the connection.
	Ignore(connection, handle uint64)
	// Close frees what the source holds. Run must have returned.
	Close() error
}

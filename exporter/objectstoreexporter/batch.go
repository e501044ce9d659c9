package objectstoreexporter

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// leastFailuresToStop is how many writes in a row have to fail before the rest
// of a batch is not tried: a store that is down would let each of them wait.
const leastFailuresToStop = 4

// entry is a record that can become an object, and what became of it.
type entry struct {
	object   object
	position int // of the record in the batch, in the order of its lists
	existing bool
	failure  *failure
}

// batch is the work of one push.
type batch struct {
	entries  []entry
	refusals []*refusal
}

// collect makes objects of records.
func (e *objectExporter) collect(logs plog.Logs) *batch {
	b := &batch{entries: make([]entry, 0, logs.LogRecordCount())}
	position := 0
	for _, r := range logs.ResourceLogs().All() {
		for _, s := range r.ScopeLogs().All() {
			for _, record := range s.LogRecords().All() {
				from := attributes{record.Attributes(), r.Resource().Attributes(), s.Scope().Attributes()}
				o, why := e.objectOf(record, from)
				if why != nil {
					b.refusals = append(b.refusals, why)
				} else {
					b.entries = append(b.entries, entry{object: o, position: position})
				}
				position++
			}
		}
	}
	return b
}

// objectOf makes the object of a record, or says why there can be none.
func (e *objectExporter) objectOf(record plog.LogRecord, from attributes) (object, *refusal) {
	var o object
	switch body := record.Body(); body.Type() {
	case pcommon.ValueTypeStr:
		o.body = body.Str()
	case pcommon.ValueTypeBytes:
		o.body = string(body.Bytes().AsRaw())
	default:
		return o, refuse(causeBodyType, "the body is of type %s, it has to be text or bytes", body.Type())
	}
	if int64(len(o.body)) > e.maxBytes {
		return o, refuse(causeTooLarge, "the body has %d bytes, more than max_object_bytes (%d)", len(o.body), e.maxBytes)
	}
	var why *refusal
	if o.key, why = e.key.of(from); why != nil {
		return o, why
	}
	if o.contentType, why = contentTypeOf(e.contentType, from); why != nil {
		return o, why
	}
	encoded, err := e.encoder.encode(o.body)
	if err != nil {
		return o, refuse(causeBodyType, "%w", err)
	}
	o.body, o.encoding = encoded, e.encoder.name
	return o, nil
}

// write puts all entries, as many as concurrency at a time. Those that have a
// key in common are written one after the other, in the order of the records.
func (b *batch) write(ctx context.Context, s store, ifAbsent bool, concurrency int) {
	chains := b.chains()
	workers := min(concurrency, len(chains))
	var (
		next    atomic.Int64
		breaker = circuit{limit: int64(max(workers, leastFailuresToStop))}
	)
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(chains) {
				return
			}
			for _, at := range chains[i] {
				breaker.put(ctx, s, &b.entries[at], ifAbsent)
			}
		}
	}
	if workers <= 1 {
		work()
		return
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(work)
	}
	wg.Wait()
}

// chains groups the entries by key.
func (b *batch) chains() [][]int {
	chains := make([][]int, 0, len(b.entries))
	of := make(map[string]int, len(b.entries))
	for i := range b.entries {
		key := b.entries[i].object.key
		if at, known := of[key]; known {
			chains[at] = append(chains[at], i)
			continue
		}
		of[key] = len(chains)
		chains = append(chains, []int{i})
	}
	return chains
}

// failAll gives all entries the same failure.
func (b *batch) failAll(f *failure) {
	for i := range b.entries {
		b.entries[i].failure = f
	}
}

// failedLogs copies the records that are to be sent again, with their resources
// and scopes.
func (b *batch) failedLogs(from plog.Logs) (failed plog.Logs, count int) {
	again := make(map[int]bool)
	for i := range b.entries {
		if f := b.entries[i].failure; f != nil && !f.permanent {
			again[b.entries[i].position] = true
		}
	}
	failed = plog.NewLogs()
	from.CopyTo(failed)
	position := -1
	failed.ResourceLogs().RemoveIf(func(r plog.ResourceLogs) bool {
		r.ScopeLogs().RemoveIf(func(s plog.ScopeLogs) bool {
			s.LogRecords().RemoveIf(func(plog.LogRecord) bool {
				position++
				return !again[position]
			})
			return s.LogRecords().Len() == 0
		})
		return r.ScopeLogs().Len() == 0
	})
	return failed, len(again)
}

// circuit stops a batch when the store fails one write after the other.
type circuit struct {
	limit int64
	inRow atomic.Int64
	last  atomic.Pointer[failure]
}

// put writes an entry, unless the circuit is open.
func (c *circuit) put(ctx context.Context, s store, e *entry, ifAbsent bool) {
	if c.inRow.Load() >= c.limit {
		e.failure = c.last.Load()
		return
	}
	if err := ctx.Err(); err != nil {
		e.failure = classify(err)
		return
	}
	existing, err := s.put(ctx, &e.object, ifAbsent)
	if err == nil {
		e.existing = existing
		c.inRow.Store(0)
		return
	}
	// A driver may report the end of the time as an error of its own.
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		err = errors.Join(cause, err)
	}
	e.failure = classify(err)
	if e.failure.permanent {
		return
	}
	c.last.Store(e.failure)
	c.inRow.Add(1)
}

package record

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// The values of the attribute event.type; the EventName is the same with
// "qtap." before it.
const (
	typeRequest        = "request"
	typeConnection     = "connection"
	typeArtifactRecord = "artifact_record"
	typeArtifact       = "artifact"
)

// artifactType is the value of the attribute artifact.type.
const artifactType = "http_transaction"

// Encoder builds the records of one shard. Not safe for concurrent use.
type Encoder struct {
	options   Options
	accessURL accessURL
	offset    int64 // ns, from kernel time to Unix time

	batch     Batch
	resources map[source]plog.LogRecordSlice

	decoder  decoder
	exchange exchange
	bodies   [2][]byte // decoded bodies of the request and the response
	object   document
	line     []byte
	id       []byte

	addresses addresses
}

// source is what the records of one ResourceLogs have in common. The process
// is a part of it because more may become known of one with the same key.
type source struct {
	key     transaction.ProcessKey
	process *transaction.Process
}

// Batch is the records that were built since the last one. Whoever takes it
// owns it.
type Batch struct {
	// Events holds the events of all kinds, one ResourceLogs per process.
	Events plog.Logs
	// Artifacts holds one artifact each.
	Artifacts []plog.Logs

	Requests        int // events of type request
	Connections     int // events of type connection
	ArtifactRecords int // events of type artifact_record, as many as Artifacts
	Bytes           int // about what the records occupy
}

// Records returns the number of all records, artifacts included.
func (b *Batch) Records() int {
	return b.Requests + b.Connections + b.ArtifactRecords + len(b.Artifacts)
}

// NewEncoder returns an encoder, or what is wrong with the options.
func NewEncoder(o Options) (*Encoder, error) {
	if int(o.Format) >= len(formatNames) {
		return nil, fmt.Errorf("unknown format %d", o.Format)
	}
	url, err := newAccessURL(o)
	if err != nil {
		return nil, err
	}
	return &Encoder{
		options:   o,
		accessURL: url,
		batch:     Batch{Events: plog.NewLogs()},
		resources: map[source]plog.LogRecordSlice{},
	}, nil
}

// SetClock sets what is added to kernel time (CLOCK_BOOTTIME) to give Unix
// time, nanoseconds. It holds for the records that are built after.
func (e *Encoder) SetClock(offset int64) { e.offset = offset }

// Pending returns how many records the next batch has and about how many
// bytes they occupy.
func (e *Encoder) Pending() (records, bytes int) { return e.batch.Records(), e.batch.Bytes }

// Take returns the records that were built since the last call.
func (e *Encoder) Take() Batch {
	b := e.batch
	e.batch = Batch{Events: plog.NewLogs()}
	clear(e.resources)
	return b
}

// Transaction builds the records of t: a request event, and from level
// summary on an artifact and its artifact_record. t must have been redacted.
// p is the process that t belongs to, nil when nothing but its key is known.
// Neither is kept.
func (e *Encoder) Transaction(t *transaction.Transaction, p *transaction.Process, level transaction.Level) {
	x := e.observe(t, p, level)
	digest := ""
	if level >= transaction.LevelSummary {
		digest = e.artifact(x)
	}
	records := e.records(source{x.key, p})
	e.request(records.AppendEmpty(), x, digest)
	e.batch.Requests++
	e.batch.Bytes += eventBytes
	if digest != "" {
		e.artifactRecord(records.AppendEmpty(), x, digest)
		e.batch.ArtifactRecords++
		e.batch.Bytes += eventBytes
	}
	// The transaction's memory is given back now; nothing may hold on to it.
	x.Transaction, x.process = nil, nil
	x.request.bytes, x.response.bytes = nil, nil
	if cap(e.object.buf) > maxScratch {
		e.object.buf = nil
	}
}

// eventBytes is about what an event occupies: thirty attributes of sixteen to
// forty bytes each with their keys, as protobuf.
const eventBytes = 1000

// artifact builds the object and its record, and returns the digest.
func (e *Encoder) artifact(x *exchange) string {
	object := e.format(x)
	sum := sha1.Sum(object)
	var digits [2 * sha1.Size]byte
	hex.Encode(digits[:], sum[:])
	digest := string(digits[:])

	logs := plog.NewLogs()
	rl := logs.ResourceLogs().AppendEmpty()
	e.resource(rl.Resource().Attributes(), source{x.key, x.process}, digest)
	record := e.scope(rl).AppendEmpty()
	e.head(record, x, typeArtifact)
	record.Body().SetStr(string(object))
	e.artifactAttributes(record.Attributes(), x, typeArtifact, digest)

	e.batch.Artifacts = append(e.batch.Artifacts, logs)
	e.batch.Bytes += len(object) + eventBytes
	return digest
}

// records returns the records of the source in the current batch.
func (e *Encoder) records(s source) plog.LogRecordSlice {
	if records, ok := e.resources[s]; ok {
		return records
	}
	rl := e.batch.Events.ResourceLogs().AppendEmpty()
	e.resource(rl.Resource().Attributes(), s, "")
	records := e.scope(rl)
	e.resources[s] = records
	return records
}

// scope puts the instrumentation scope and returns its empty records.
func (e *Encoder) scope(rl plog.ResourceLogs) plog.LogRecordSlice {
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName(e.options.ScopeName)
	sl.Scope().SetVersion(e.options.ScopeVersion)
	return sl.LogRecords()
}

// timestamp returns kernel time as Unix time; 0, which OTLP takes for unknown,
// stays 0.
func timestamp(kernel uint64, offset int64) pcommon.Timestamp {
	if kernel == 0 {
		return 0
	}
	return pcommon.Timestamp(int64(kernel) + offset)
}

package pipeline

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/policy"
	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// Config is what a [Pipeline] is made from. A zero stands for the default,
// except where it says otherwise.
type Config struct {
	Policy *policy.Policy // required
	// Targets knows why the TLS of a process is not read. May be nil.
	Targets Targets
	Record  record.Options

	// Shards is the number of goroutines over which connections are divided.
	// Default half of GOMAXPROCS, at least 1 and at most 8: the machine
	// belongs to its applications.
	Shards int
	// MemoryBytes bounds all streams and bodies together. Default 256 MiB.
	MemoryBytes int64
	// Connections bounds the connections that are followed. Default 65536.
	Connections int
	// HeaderBytes bounds the header section of a message. Default 64 KiB.
	HeaderBytes int

	// A batch is handed on when it has BatchRecords records (default 1000) or
	// BatchBytes bytes (default 1 MiB), or BatchAge after its first record
	// (default 200 ms).
	BatchRecords int
	BatchBytes   int
	BatchAge     time.Duration
	// Beyond QueueBatches batches (default 64) or QueueBytes bytes (default a
	// quarter of MemoryBytes) that wait for the consumer, batches are dropped.
	QueueBatches int
	QueueBytes   int64
	// FlushTimeout bounds the delivery of what is left when the context of Run
	// ends. Default 5 s. Shutdown has a context of its own for that.
	FlushTimeout time.Duration
}

// Deliver hands a batch to the consumer. It may block, for repetitions too,
// but must return soon after ctx has ended. It returns how many records were
// not taken; they are dropped and counted. It is called by one goroutine.
type Deliver func(ctx context.Context, b record.Batch) (refused int, err error)

// Processes knows processes. Safe for concurrent use.
type Processes interface {
	// Observe takes the description of a process, before its first data.
	Observe(p *event.Process)
	// Lookup returns what is known, nil when nothing is.
	Lookup(key transaction.ProcessKey) *transaction.Process
}

// Targets knows the TLS code of processes. Safe for concurrent use.
type Targets interface {
	// Reason says why TLS of the process cannot be read, on a connection that
	// was opened at that time (ns, CLOCK_BOOTTIME; 0 when unknown). It is ""
	// when the process's TLS code is probed.
	Reason(pid uint32, opened uint64) string
	// Observe is told of a process with a TLS connection while it lives.
	Observe(pid uint32)
}

const (
	maxShards    = 8
	inputBatches = 16 // per shard; waiting records are bounded by this
)

// withDefaults returns the configuration with every zero replaced, and what is
// wrong with it.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Policy == nil {
		errs = append(errs, errors.New("no policy"))
	}
	if c.Shards < 0 || c.MemoryBytes < 0 || c.Connections < 0 || c.HeaderBytes < 0 || c.BatchRecords < 0 ||
		c.BatchBytes < 0 || c.BatchAge < 0 || c.QueueBatches < 0 || c.QueueBytes < 0 || c.FlushTimeout < 0 {
		errs = append(errs, errors.New("a bound is negative"))
	}
	orDefault(&c.Shards, min(max(1, runtime.GOMAXPROCS(0)/2), maxShards))
	orDefault(&c.MemoryBytes, 256<<20)
	orDefault(&c.Connections, 65536)
	orDefault(&c.BatchRecords, 1000)
	orDefault(&c.BatchBytes, 1<<20)
	orDefault(&c.BatchAge, 200*time.Millisecond)
	orDefault(&c.QueueBatches, 64)
	orDefault(&c.QueueBytes, max(1, c.MemoryBytes/4))
	orDefault(&c.FlushTimeout, 5*time.Second)
	return c, errors.Join(errs...)
}

func orDefault[T int | int64 | time.Duration](value *T, standard T) {
	if *value == 0 {
		*value = standard
	}
}

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/stream"
)

// Pipeline reads a source and delivers log records. All methods are safe for
// concurrent use.
type Pipeline struct {
	config    Config
	source    event.Source
	processes Processes
	budget    *stream.Budget
	shards    []*shard
	splitter  *splitter
	queue     *queue

	started atomic.Bool
	reading context.Context // of the source; Shutdown ends it
	stop    context.CancelFunc
	done    chan struct{} // closed when Run returns
}

// grace is what Shutdown waits beyond its deadline for deliver to return: it
// was told to, and a goroutine that is left would deliver into what is gone.
const grace = 250 * time.Millisecond

// New returns a pipeline that reads source. The source stays the caller's, to
// be closed after Run has returned or when Run is never called.
func New(config Config, source event.Source, processes Processes, deliver Deliver) (*Pipeline, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configuring the pipeline: %w", err)
	}
	p := &Pipeline{
		config:    config,
		source:    source,
		processes: processes,
		budget:    stream.NewBudget(config.MemoryBytes),
		queue:     newQueue(config.QueueBatches, config.QueueBytes, deliver),
		done:      make(chan struct{}),
	}
	p.reading, p.stop = context.WithCancel(context.Background())
	for range config.Shards {
		s, err := newShard(p)
		if err != nil {
			return nil, fmt.Errorf("configuring the records: %w", err)
		}
		p.shards = append(p.shards, s)
	}
	p.splitter = newSplitter(p.shards, processes, config.Connections)
	return p, nil
}

// errRunTwice is returned by the second Run.
var errRunTwice = errors.New("the pipeline was run before")

// Run reads the source until it ends, ctx ends or Shutdown is called. Then
// transactions in progress are given, marked shutdown, and what waits is
// delivered: until it is done when the source ended, for at most
// Config.FlushTimeout when ctx ended, until the deadline of Shutdown. It
// returns the error of the source.
func (p *Pipeline) Run(ctx context.Context) error {
	switch {
	case p.reading.Err() != nil:
		return nil
	case !p.started.CompareAndSwap(false, true):
		return errRunTwice
	}
	defer close(p.done)
	defer p.stop()
	var shards, delivery sync.WaitGroup
	for _, s := range p.shards {
		shards.Go(s.run)
	}
	delivery.Go(p.queue.run)
	defer context.AfterFunc(ctx, func() {
		p.stop()
		p.queue.expire(p.config.FlushTimeout)
	})()

	err := p.source.Run(p.reading, p.splitter.deliver)
	p.splitter.close()
	shards.Wait()
	p.queue.close()
	delivery.Wait()
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	return nil
}

// Shutdown stops reading and waits until Run has delivered what is left, or
// until ctx ends: what is then left is dropped and counted, and an error says
// so. Called before Run, it makes Run end at once. Calling it again is
// harmless.
func (p *Pipeline) Shutdown(ctx context.Context) error {
	p.stop()
	if !p.started.Load() {
		return nil
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	p.queue.expire(0)
	select {
	case <-p.done:
	case <-time.After(grace):
	}
	dropped := p.queue.droppedShutdown.Load()
	if dropped == 0 {
		return nil
	}
	return fmt.Errorf("delivering what was left at the shutdown: %w, %d records were dropped", ctx.Err(), dropped)
}

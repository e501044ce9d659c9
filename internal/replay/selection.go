package replay

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// Selection says which connections are recorded: those in the network
// namespace, of which either end has one of the ports, or that belong to one of
// the listening Unix sockets. What is not set does not restrict: the zero value
// selects all.
type Selection struct {
	NetNS uint32 // inode number of the network namespace; 0 for all
	Ports []uint16
	Paths []string // of Unix sockets, "@name" when abstract
}

func (s *Selection) empty() bool { return s.NetNS == 0 && s.namesNoEnd() }

func (s *Selection) namesNoEnd() bool { return len(s.Ports) == 0 && len(s.Paths) == 0 }

func (s *Selection) wants(o *event.Open) bool {
	if s.NetNS != 0 && o.NetNS != s.NetNS {
		return false
	}
	if s.namesNoEnd() {
		return true
	}
	if o.Path != "" {
		return slices.Contains(s.Paths, o.Path)
	}
	return slices.Contains(s.Ports, o.LocalPort) || slices.Contains(s.Ports, o.RemotePort)
}

// Select returns a source that delivers only the selected connections of
// another, with the processes that appear on them, the marks and the losses.
// A connection whose open record was lost is left out.
func Select(source event.Source, selection Selection) event.Source {
	if selection.empty() {
		return source
	}
	return &selected{
		Source: source, selection: selection,
		connections: map[uint64]bool{}, unseen: map[process][]byte{},
	}
}

// selected is used by one Run, on the goroutine of the source.
type selected struct {
	event.Source
	selection   Selection
	connections map[uint64]bool
	unseen      map[process][]byte // descriptions of processes without a selected connection so far
}

// process identifies a process as records do.
type process struct {
	pid        uint32
	generation uint64
}

// maxUnseen bounds the descriptions that wait for a connection.
const maxUnseen = 4096

// Run implements event.Source.
func (s *selected) Run(ctx context.Context, deliver func(*event.Batch)) error {
	return s.Source.Run(ctx, func(batch *event.Batch) {
		var kept []byte
		for rest := batch.Records; len(rest) > 0; {
			record, next, err := event.Next(rest)
			if err != nil {
				break
			}
			kept = s.append(kept, record)
			rest = next
		}
		batch.Release()
		if len(kept) > 0 {
			deliver(&event.Batch{Records: kept})
		}
	})
}

// append appends what is to be recorded of the record.
func (s *selected) append(kept, record []byte) []byte {
	var h event.Header
	if event.DecodeHeader(record, &h) != nil {
		return kept
	}
	who := process{h.PID, h.Generation}
	switch h.Kind {
	case event.KindMark, event.KindLoss:
		return append(kept, record...)
	case event.KindProcess:
		if len(s.unseen) >= maxUnseen {
			for some := range maps.Keys(s.unseen) {
				delete(s.unseen, some)
				break
			}
		}
		s.unseen[who] = bytes.Clone(record)
		return kept
	case event.KindOpen:
		var o event.Open
		if event.DecodeOpen(record, &o) == nil && s.selection.wants(&o) {
			s.connections[h.Connection] = true
		}
	}
	if !s.connections[h.Connection] {
		return kept
	}
	if h.Kind == event.KindClose {
		delete(s.connections, h.Connection)
	}
	if description, ok := s.unseen[who]; ok {
		kept = append(kept, description...)
		delete(s.unseen, who)
	}
	return append(kept, record...)
}

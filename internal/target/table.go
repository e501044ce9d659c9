package target

import (
	"container/list"
	"fmt"
	"os/user"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// unknownFor is how long a process that could not be identified is not looked
// for again. Most such processes have ended and never come back; the bound
// keeps a lost record from costing a walk through /proc per transaction.
const unknownFor = time.Second

// facts is what either the kernel or /proc tells of a process, before any
// interpretation. Control groups are innermost first, without the root.
type facts struct {
	exe                string
	uid                uint32
	cgroupV2, cgroupV1 []string
}

// Table holds the identity of the most recently used process images. It is
// safe for concurrent use; no lock is held while files are read.
type Table struct {
	capacity int
	owners   *owners
	probe    func(transaction.ProcessKey) (facts, bool) // asks the system
	now      func() time.Time

	mu     sync.Mutex
	byKey  map[transaction.ProcessKey]*list.Element // of *entry
	newest map[uint32]uint64                        // PID to the latest observed generation of it
	recent *list.List                               // front is the most recently used
}

type entry struct {
	key     transaction.ProcessKey
	process *transaction.Process // nil: could not be identified
	retry   time.Time            // when process is nil: not looked for again before
}

// NewTable returns an empty table that keeps at most capacity process images,
// at least one.
func NewTable(capacity int) *Table {
	return &Table{
		capacity: max(capacity, 1),
		owners:   newOwners(),
		probe:    probeSystem,
		now:      time.Now,
		byKey:    make(map[transaction.ProcessKey]*list.Element),
		newest:   make(map[uint32]uint64),
		recent:   list.New(),
	}
}

// NewRecordedTable returns a table for a recording, which may come from another
// machine: it never asks this one. Owners are numbers.
func NewRecordedTable(capacity int) *Table {
	t := NewTable(capacity)
	t.probe = func(transaction.ProcessKey) (facts, bool) { return facts{}, false }
	t.owners.lookup = func(uid string) (*user.User, error) {
		return nil, fmt.Errorf("looking up user %s: it is one of the recorded machine", uid)
	}
	return t
}

// Observe takes what the kernel side saw of a process. It keeps nothing that
// aliases p.
func (t *Table) Observe(p *event.Process) {
	key := transaction.ProcessKey{PID: p.PID, Generation: p.Generation}
	process := t.describe(key, facts{
		exe:      joinInnermostFirst(p.Exe),
		uid:      p.UID,
		cgroupV2: p.CgroupV2,
		cgroupV1: p.CgroupV1,
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	// Never backwards: batches of several rings can deliver two images of one
	// process in the wrong order.
	t.newest[key.PID] = max(t.newest[key.PID], key.Generation)
	t.store(entry{key: key, process: process})
}

// Lookup returns the process image with the key, or nil when it is not known.
// The result is shared and must not be changed.
func (t *Table) Lookup(key transaction.ProcessKey) *transaction.Process {
	if process, known := t.find(key); known {
		return process
	}
	e := entry{key: key, retry: t.now().Add(unknownFor)}
	if f, ok := t.probe(key); ok {
		e.process = t.describe(key, f)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if existing, ok := t.byKey[key]; ok && existing.Value.(*entry).process != nil {
		return existing.Value.(*entry).process // observed while the system was asked
	}
	if t.newest[key.PID] > key.Generation {
		e.process = nil // the process has executed something else meanwhile
	}
	t.store(e)
	return e.process
}

// find returns what is already known; known is also true for a process that
// was just looked for in vain, and for one that has been replaced since.
func (t *Table) find(key transaction.ProcessKey) (process *transaction.Process, known bool) {
	if key.PID == 0 || key.Generation == 0 {
		return nil, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if element, ok := t.byKey[key]; ok {
		e := element.Value.(*entry)
		if e.process != nil || t.now().Before(e.retry) {
			t.recent.MoveToFront(element)
			return e.process, true
		}
	}
	return nil, t.newest[key.PID] > key.Generation
}

// store adds or replaces an entry and lets go of the least recently used one
// beyond the capacity. The caller holds the lock.
func (t *Table) store(e entry) {
	if element, ok := t.byKey[e.key]; ok {
		*element.Value.(*entry) = e
		t.recent.MoveToFront(element)
		return
	}
	t.byKey[e.key] = t.recent.PushFront(&e)
	if t.recent.Len() <= t.capacity {
		return
	}
	last := t.recent.Remove(t.recent.Back()).(*entry)
	delete(t.byKey, last.key)
	if t.newest[last.key.PID] == last.key.Generation {
		delete(t.newest, last.key.PID)
	}
}

// describe turns facts into names.
func (t *Table) describe(key transaction.ProcessKey, f facts) *transaction.Process {
	process := &transaction.Process{PID: key.PID, ExecutablePath: f.exe, Owner: t.owners.name(f.uid)}
	if f.exe != "" {
		process.ExecutableName = path.Base(f.exe)
	}
	process.ContainerID, process.PodUID = membership(f.cgroupV2)
	if process.ContainerID == "" && process.PodUID == "" {
		// In a hybrid setup the container runtime may use only the version 1
		// hierarchies, while version 2 tells the service that started it.
		process.ContainerID, process.PodUID = membership(f.cgroupV1)
	}
	return process
}

// joinInnermostFirst returns the absolute path with the components, or "" for
// none. Names are copied.
func joinInnermostFirst(components []string) string {
	if len(components) == 0 {
		return ""
	}
	var b strings.Builder
	for _, component := range slices.Backward(components) {
		b.WriteByte('/')
		b.WriteString(component)
	}
	return b.String()
}

// decimal is the owner's name where the user database has none.
func decimal(uid uint32) string { return strconv.FormatUint(uint64(uid), 10) }

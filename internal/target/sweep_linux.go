package target

import (
	"context"
	"time"
)

// politeness is how long a sweep works before it lets others work.
const politeness = 20 * time.Millisecond

// sweep counts the users of the files that are probed. One that had none at
// two sweeps in a row is let go: the kernel reports it again when it is used.
func (d *Discovery) sweep(ctx context.Context) {
	d.guard.Lock()
	probed := len(d.files) > 0
	d.guard.Unlock()
	if !probed {
		return
	}
	users := map[FileKey]int{}
	began := time.Now()
	for _, pid := range d.pids() {
		mappings, err := d.mappings(pid)
		if err != nil {
			continue // it has ended
		}
		for _, m := range mappings {
			users[m.key]++
		}
		if time.Since(began) > politeness {
			select {
			case <-ctx.Done():
				return
			case <-time.After(politeness):
			}
			began = time.Now()
		}
	}
	d.guard.Lock()
	defer d.guard.Unlock()
	for key, k := range d.files {
		for i := range k.files {
			k.files[i].Processes = users[key]
		}
		switch {
		case users[key] > 0, k.pinned:
			k.unused = false
		case !k.unused:
			k.unused = true
		default:
			delete(d.files, key)
			d.release(k)
			d.options.Prober.Forget(key)
		}
	}
}

package target

import (
	"os/user"
	"sync"
	"time"
)

const (
	// ownersKeptFor is how long a user name is believed. Users are renamed
	// rarely; the user database is a file or, with cgo, a directory service.
	ownersKeptFor = 5 * time.Minute
	// ownersKept bounds the names. Containers with user namespaces can use
	// very many different numbers.
	ownersKept = 4096
)

// owners gives user names by number, as the user database of the collector's
// own root has them. It is safe for concurrent use.
type owners struct {
	lookup func(uid string) (*user.User, error)
	now    func() time.Time

	mu    sync.Mutex
	names map[uint32]owner
}

type owner struct {
	name    string
	expires time.Time
}

func newOwners() *owners {
	return &owners{lookup: user.LookupId, now: time.Now, names: make(map[uint32]owner)}
}

// name returns the user's name, or the number where the database has none.
func (o *owners) name(uid uint32) string {
	now := o.now()
	o.mu.Lock()
	known, ok := o.names[uid]
	o.mu.Unlock()
	if ok && now.Before(known.expires) {
		return known.name
	}
	name := decimal(uid)
	if u, err := o.lookup(name); err == nil && u.Username != "" {
		name = u.Username
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.names) >= ownersKept {
		clear(o.names) // rare, and cheaper than keeping an order
	}
	o.names[uid] = owner{name: name, expires: now.Add(ownersKeptFor)}
	return name
}

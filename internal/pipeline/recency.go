package pipeline

// recency orders connections by when they last moved something, as a list
// through the connections themselves.
type recency struct{ newest, oldest *connection }

// touch makes c the newest. c may be new to the list.
func (r *recency) touch(c *connection) {
	if r.newest == c {
		return
	}
	r.remove(c)
	c.older = r.newest
	if r.newest != nil {
		r.newest.newer = c
	}
	r.newest = c
	if r.oldest == nil {
		r.oldest = c
	}
}

// remove takes c off the list, if it is on it.
func (r *recency) remove(c *connection) {
	if c.newer != nil {
		c.newer.older = c.older
	} else if r.newest == c {
		r.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else if r.oldest == c {
		r.oldest = c.newer
	}
	c.newer, c.older = nil, nil
}

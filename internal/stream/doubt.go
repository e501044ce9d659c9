package stream

// A stream is suspect from the moment when positions contradict each other
// until nothing is held any more; the package comment says why. While it is,
// every segment is held for the margin, in order or not, so that what
// contradicts it can arrive, and every contradiction hides all that is held.

// trim takes a segment that begins before next and ends after it. Its claim
// overlaps what was given, so it is wrong: its own place was given as a gap.
func (s *Stream) trim(g *segment) {
	skip := s.next - g.position
	s.terms.Late.Add(skip)
	s.terms.Doubtful.Add(g.size - skip)
	g.position, g.size = s.next, g.size-skip
	g.hide()
	s.suspect = true
	s.doubtful = max(s.doubtful, g.stamp.Time)
}

// contradict takes a segment that overlaps the held one at i, and perhaps
// more after it. Nothing tells which claim is right, nor how far the calls of
// both reach, so all that is held loses its bytes and only keeps its place.
func (s *Stream) contradict(i int, g segment) {
	s.suspect = true
	s.doubtful = max(s.doubtful, g.stamp.Time)
	s.terms.Doubtful.Add(g.size)
	g.hide()
	for n := range s.held {
		h := &s.held[n]
		s.doubtful = max(s.doubtful, h.stamp.Time)
		if len(h.payload) > 0 {
			s.terms.Doubtful.Add(h.size)
			s.heldSize -= len(h.payload)
			s.terms.Budget.Give(len(h.payload))
		}
		h.hide()
	}
	s.merge(i, &g)
}

// merge widens the hidden segment at i to cover g and what else g overlaps.
func (s *Stream) merge(i int, g *segment) {
	first, end := &s.held[i], max(s.held[i].end(), g.end())
	last := i + 1
	for last < len(s.held) && s.held[last].position < end {
		end = max(end, s.held[last].end())
		last++
	}
	first.position = min(first.position, g.position)
	first.size = end - first.position
	first.lost = first.lost || g.lost
	// The wait begins anew for the last of them.
	first.stamp.Time = max(first.stamp.Time, g.stamp.Time)
	first.stamp.Begins = false
	if extra := last - (i + 1); extra > 0 {
		s.heldSize -= extra * segmentBytes
		s.terms.Budget.Give(extra * segmentBytes)
		s.held = append(s.held[:i+1], s.held[last:]...)
	}
}

package policy

// redactUserinfo replaces what stands before the '@' of every authority by
// [Redacted] (RFC 3986, section 3.2.1).
func redactUserinfo(s string, as shape) string {
	e := edit{text: s}
	u := userinfo{text: s, as: as}
	i := 0
	if as != prose && !u.hasScheme() {
		i = u.redact(&e, 0, 0, as == reference)
	}
	for i < len(s) {
		start, depth := u.next(i)
		if start < 0 {
			break
		}
		i = u.redact(&e, start, depth, false)
	}
	return e.result()
}

// userinfo finds authorities in a text.
type userinfo struct {
	text   string
	as     shape
	query  bool // a '?' or '#' was passed
	closer byte // what ends the URL that is being read, if it was opened by '<' or '"'
	clear  int  // there is no '@' before this index and behind where it was looked for
}

// hasScheme reports whether the text begins with a path, with "//" or with
// "scheme:/": then [userinfo.next] finds its authority.
func (u *userinfo) hasScheme() bool {
	for i := range len(u.text) {
		switch c := u.text[i]; {
		case c == ':':
			return i+1 < len(u.text) && isSlash(u.text[i+1])
		case i == 0 && (isSlash(c) || c == '?' || c == '#' || c == '<' || c == '"'):
			return true
		case !isToken(c):
			return false
		}
	}
	return false
}

// next returns where the next authority begins at or after from, and how many
// times the slashes before it are encoded; -1 when there is none. Two slashes
// begin one, unless they stand within a path. After the first scheme of a
// reference one slash is enough, because browsers take it so.
func (u *userinfo) next(from int) (start, depth int) {
	var before byte // the character before the slashes; 0 at the beginning
	if from > 0 {
		before = u.text[from-1]
	}
	slashes := 0
	for i := from; i < len(u.text); {
		c, width, d := decode(u.text, i)
		if isSlash(c) {
			slashes++
			depth = d
			i += width
			continue
		}
		if c == '\t' && (slashes > 0 || before == ':') { // removed by browsers
			i += width
			continue
		}
		first := u.as != prose && before == ':' && !u.query && from == 0
		if slashes >= 2 && beginsURL(before) || slashes == 1 && first {
			return i, depth
		}
		u.note(c, d)
		slashes, before = 0, c
		i += width
	}
	return -1, 0
}

// note keeps track of where in a URL the text is.
func (u *userinfo) note(c byte, depth int) {
	switch {
	case c == '?' || c == '#':
		u.query = true
	case depth > 0:
	case u.closer != 0 && c == u.closer:
		u.closer, u.query = 0, false
	case u.closer == 0 && (c == '<' || c == '"'):
		u.closer = closerOf(c)
	case u.as == prose && isBlank(rune(c)):
		u.query = false
	}
}

// beginsURL reports whether two slashes after c begin an authority; 0 stands
// for the beginning of the text.
func beginsURL(c byte) bool {
	switch c {
	case 0, ':', '=', '<', '"', '\'', '(', '[', '{', ',', ';', '&', '?', '#':
		return true
	}
	return isBlank(rune(c))
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// redact replaces the userinfo of the authority that begins at start and
// returns where to go on. colon says that it is one only with a ':' in it.
func (u *userinfo) redact(e *edit, start, depth int, colon bool) int {
	end, at, port := u.scan(start, depth, false)
	if at < 0 && (port == portBad || port == portEmpty && !u.slashesAt(end)) {
		// No host has such a port: the ':' is one of credentials with a raw
		// delimiter in them, which end at the last '@' of all.
		at = u.lastAt(start, depth)
	}
	switch {
	case at < 0:
		return max(end, start)
	case colon && !hasColon(u.text[start:at]):
		return max(end, start)
	}
	e.replace(start, at)
	return at
}

// lastAt returns the index of the last '@' of the URL that text[start:] is in,
// or -1. It looks at every part of the text once, however often it is asked.
func (u *userinfo) lastAt(start, depth int) int {
	if start < u.clear {
		return -1
	}
	end, at, _ := u.scan(start, depth, true)
	if at < 0 {
		u.clear = end
	}
	return at
}

// slashesAt reports whether two slashes stand at i: a ':' before them ends a
// scheme.
func (u *userinfo) slashesAt(i int) bool {
	return i+1 < len(u.text) && isSlash(u.text[i]) && isSlash(u.text[i+1])
}

func hasColon(s string) bool {
	for i := 0; i < len(s); {
		c, width, _ := decode(s, i)
		if c == ':' {
			return true
		}
		i += width
	}
	return false
}

// How the port of an authority looks.
const (
	portNone  = iota // there is no ':' outside brackets
	portEmpty        // nothing behind the ':': allowed, and never seen
	portGood         // digits
	portBad
)

// scan reads the authority at start. It returns where it ends, the last '@'
// in it (-1: none) and how its port looks if it has no '@'. When over is set
// it reads over the delimiters of paths and queries, and takes every encoding
// of '@'.
func (u *userinfo) scan(start, depth int, over bool) (end, at, port int) {
	at = -1
	brackets := false
	for end = start; end < len(u.text); {
		c, width, d := decode(u.text, end)
		if d == 0 && u.ends(c) || !over && d <= depth && u.delimits(c) {
			return end, at, port
		}
		switch {
		case c == '@' && (over || d <= depth):
			at = end
		case c == '[' || c == ']':
			brackets = c == '['
		case brackets:
		case c == ':' && port == portNone:
			port = portEmpty
		case port != portNone && (c < '0' || c > '9'):
			port = portBad
		case port == portEmpty:
			port = portGood
		}
		end += width
	}
	return end, at, port
}

// ends reports whether c, not encoded, ends every URL at this place.
func (u *userinfo) ends(c byte) bool {
	return u.closer != 0 && c == u.closer || u.as == prose && isBlank(rune(c))
}

// delimits reports whether c ends an authority.
func (u *userinfo) delimits(c byte) bool {
	return isSlash(c) || c == '?' || c == '#' || c == '&' && u.query
}

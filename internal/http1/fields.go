package http1

import (
	"strings"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// fieldBytes is what one message.Field occupies.
const fieldBytes = 32

// parseFields appends the field lines of text, which ends after the last line
// or after the empty line, to fields. Names and values are slices of text,
// except the values of folded lines, which are joined by one space (RFC 9112
// section 5.2). What frames the body goes to f. It reports whether all lines
// are valid.
//
// A line without a name is left out. White space between name and colon is
// removed and makes the section invalid (section 5.1), as does white space
// before the first line (section 2.2), a CR that ends no line, and NUL.
func parseFields(text string, fields message.Fields, f *framing) (message.Fields, bool) {
	valid := strings.IndexByte(text, 0) < 0
	crs := strings.Count(text, "\r")
	begun := false // a line that a fold can continue was seen
	for len(text) > 0 {
		line, rest, cr := cutLine(text)
		crs -= cr
		if line == "" {
			break
		}
		if isFold(line) && !begun {
			valid = false
			text = rest
			continue
		}
		begun = true
		folded := ""
		if isFold(rest) {
			folded, rest, cr = unfold(rest)
			crs -= cr
		}
		text = rest
		name, value, ok := cutField(line)
		if folded != "" {
			value = trimSpace(value + folded)
			f.folded(name)
		}
		if !ok {
			valid = false
			f.suspect(name)
		}
		if name == "" {
			continue
		}
		f.field(name, value)
		fields = append(fields, message.Field{Name: name, Value: value})
	}
	return fields, valid && crs == 0
}

// cutLine returns the first line without its end, what follows, and how many
// CR belong to the line end.
func cutLine(text string) (line, rest string, cr int) {
	i := strings.IndexByte(text, '\n')
	if i < 0 {
		return text, "", 0
	}
	line, rest = text[:i], text[i+1:]
	if i > 0 && line[i-1] == '\r' {
		return line[:i-1], rest, 1
	}
	return line, rest, 0
}

// isFold reports whether text begins with a line that continues the one before
// it. A line of nothing but white space does as well.
func isFold(text string) bool {
	return text != "" && (text[0] == ' ' || text[0] == '\t')
}

// unfold joins the continuation lines at the start of text, each with one
// space before it.
func unfold(text string) (joined, rest string, crs int) {
	var b strings.Builder
	for isFold(text) {
		line, after, cr := cutLine(text)
		crs += cr
		b.WriteByte(' ')
		b.WriteString(trimSpace(line))
		text = after
	}
	return b.String(), text, crs
}

// cutField splits a field line. ok is false when the name is not a token.
func cutField(line string) (name, value string, ok bool) {
	before, after, ok0 := strings.Cut(line, ":")
	if !ok0 {
		return "", "", false
	}
	name, value = before, trimSpace(after)
	ok = name != ""
	for i := range len(name) {
		if !tokenByte[name[i]] {
			return trimSpace(name), value, false
		}
	}
	return name, value, ok
}

// trimSpace removes optional white space (RFC 9110 section 5.6.3).
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

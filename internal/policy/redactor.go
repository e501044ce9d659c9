package policy

import (
	"strings"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// Redacted stands in the place of every value that was taken out.
const Redacted = "REDACTED"

// DefaultHeaders returns the names of the fields whose values are replaced
// when the configuration names none.
func DefaultHeaders() []string {
	return []string{
		"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key",
		"x-auth-token", "x-amz-security-token", "x-goog-api-key", "x-csrf-token",
	}
}

// Redactor replaces secrets in transactions. Safe for concurrent use.
type Redactor struct {
	names   map[string]struct{} // lower case
	lengths uint64              // bit n: there is a name of n bytes; bit 63: of 63 or more
}

// NewRedactor returns a redactor of the fields with the given names, which
// match in any case. URLs are redacted whatever the names are.
func NewRedactor(headers []string) *Redactor {
	r := &Redactor{names: make(map[string]struct{}, len(headers))}
	for _, name := range headers {
		name = lower(strings.TrimFunc(name, isBlank))
		r.names[name] = struct{}{}
		r.lengths |= lengthBit(name)
	}
	return r
}

// Apply replaces the secrets in t, in place: the values of the named fields
// in header and trailer sections of both messages, and credentials and
// signatures in the request target and in every other field. Bodies are left
// alone. It is idempotent.
func (r *Redactor) Apply(t *transaction.Transaction) {
	for _, m := range [...]*message.Message{t.Request, t.Response} {
		if m == nil {
			continue
		}
		m.Target = RedactTarget(m.Target)
		m.Phrase = redactText(m.Phrase, prose)
		r.fields(m.Fields)
		r.fields(m.Trailers)
	}
}

// lengthBit is the bit of a name in Redactor.lengths, which spares most fields
// of a message the look into the map.
func lengthBit(name string) uint64 { return 1 << min(len(name), 63) }

func (r *Redactor) fields(fields message.Fields) {
	for i := range fields {
		f := &fields[i]
		if r.covers(f.Name) || r.hides(f) {
			f.Value = Redacted
			continue
		}
		f.Value = redactField(f.Name, f.Value)
	}
}

// covers reports whether the field name is one of the redactor's. Blanks
// around the name are ignored: «Authorization :» is not a valid field, but
// there are servers that take it for one.
func (r *Redactor) covers(name string) bool {
	for name != "" && isBlank(rune(name[0])) {
		name = name[1:]
	}
	for name != "" && isBlank(rune(name[len(name)-1])) {
		name = name[:len(name)-1]
	}
	if r.lengths&lengthBit(name) == 0 {
		return false
	}
	var stack [64]byte
	key := stack[:0]
	for i := range len(name) {
		key = append(key, lowerByte(name[i]))
	}
	_, ok := r.names[string(key)]
	return ok
}

// hides reports whether another field stands inside this one: a lone CR or LF
// ends no line for one parser and ends it for another (RFC 9112, section
// 2.2), so a covered field may hide behind it. The field is then redacted as
// a whole, and its name is cut where the hidden field begins.
func (r *Redactor) hides(f *message.Field) bool {
	if cut := lineEnd(f.Name); cut >= 0 {
		f.Name = f.Name[:cut]
		return true
	}
	rest := f.Value
	if f.Name == "" { // a line without a name may be the value itself
		name, _, _ := strings.Cut(rest, ":")
		if r.covers(name) {
			return true
		}
	}
	for {
		cut := lineEnd(rest)
		if cut < 0 {
			return false
		}
		rest = rest[cut+1:]
		name, _, _ := strings.Cut(rest, ":")
		if r.covers(name) {
			return true
		}
	}
}

// lineEnd returns the index of the first CR or LF, or -1. Two searches for a
// byte are several times faster than one for a set.
func lineEnd(s string) int {
	cr, lf := strings.IndexByte(s, '\r'), strings.IndexByte(s, '\n')
	if cr < 0 || lf >= 0 && lf < cr {
		return lf
	}
	return cr
}

// isBlank reports whether c is a space or a control character.
func isBlank(c rune) bool { return c <= ' ' || c == 0x7f }

func lower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lowerByte(b[i])
	}
	return string(b)
}

// lowerByte folds ASCII only: field and parameter names are ASCII, and a
// wider folding would depend on the Unicode version.
func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

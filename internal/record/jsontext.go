package record

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// plain are the bytes that stand for themselves in a JSON string.
var plain = func() (table [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// appendJSONString appends s as a JSON string (RFC 8259, section 7). Every
// byte that is not part of valid UTF-8 becomes U+FFFD, as encoding/json does.
func appendJSONString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[from:i]...)
			dst = appendJSONEscape(dst, c)
			i++
			from = i
			continue
		}
		// A rune of at most four bytes: the conversion does not allocate.
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[from:i]...)
			dst = append(dst, "\uFFFD"...)
			i++
			from = i
			continue
		}
		i += size
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

func appendJSONEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// appendJSONBase64 appends b as a JSON string in base64 (RFC 4648, section 4).
func appendJSONBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// appendMillis appends a time in milliseconds, exact to the nanosecond and
// without trailing zeros: 1500000 ns is 1.5.
func appendMillis(dst []byte, ns uint64) []byte {
	dst = strconv.AppendUint(dst, ns/1e6, 10)
	fraction := ns % 1e6
	if fraction == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := uint64(1e5); fraction > 0; unit /= 10 {
		dst = append(dst, byte('0'+fraction/unit))
		fraction %= unit
	}
	return dst
}

// text returns s as valid UTF-8, which OTLP asks of strings: every byte that
// is not becomes U+FFFD, as in [appendJSONString].
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	b := make([]byte, 0, len(s)+8)
	for _, r := range s { // ranging gives U+FFFD for each such byte
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}

// document appends the members of JSON objects and arrays and puts the commas.
type document struct {
	buf  []byte
	next bool // a value came before in the innermost object or array
}

// key begins a member of an object.
func (d *document) key(name string) {
	d.comma()
	d.buf = append(append(append(d.buf, '"'), name...), '"', ':')
}

// comma begins an element of an array.
func (d *document) comma() {
	if d.next {
		d.buf = append(d.buf, ',')
	}
	d.next = true
}

// open begins an object ('{') or an array ('[').
func (d *document) open(c byte) {
	d.buf = append(d.buf, c)
	d.next = false
}

// close ends what open began.
func (d *document) close(c byte) {
	d.buf = append(d.buf, c)
	d.next = true
}

func (d *document) string(name, value string) {
	d.key(name)
	d.buf = appendJSONString(d.buf, value)
}

// known adds a string unless it is empty, which stands for unknown.
func (d *document) known(name, value string) {
	if value != "" {
		d.string(name, value)
	}
}

func (d *document) int(name string, value int64) {
	d.key(name)
	d.buf = strconv.AppendInt(d.buf, value, 10)
}

// size adds a number of bytes unless it is negative, which stands for unknown.
func (d *document) size(name string, value int64) {
	if value >= 0 {
		d.int(name, value)
	}
}

func (d *document) bool(name string, value bool) {
	d.key(name)
	d.buf = strconv.AppendBool(d.buf, value)
}

// millis adds a time unless it is negative, which stands for unknown.
func (d *document) millis(name string, value time.Duration) {
	if value >= 0 {
		d.key(name)
		d.buf = appendMillis(d.buf, uint64(value))
	}
}

package policy

import "strings"

// shape tells how a text that may hold a URL is read.
type shape uint8

const (
	// prose may hold URLs anywhere; white space ends them, and parameters
	// begin behind a '?' or '#'.
	prose shape = iota
	// reference is a URL reference as a whole, or begins with parameters.
	reference
	// authority is a host, or a target that may be a host or a whole URL.
	authority
)

// shapes are the fields that are more than prose.
var shapes = map[string]shape{
	"host":             authority,
	"x-forwarded-host": authority,
	"x-original-host":  authority,

	"access-control-allow-origin": reference,
	"content-location":            reference,
	"destination":                 reference,
	"link":                        reference,
	"location":                    reference,
	"origin":                      reference,
	"referer":                     reference,
	"referrer":                    reference,
	"refresh":                     reference,
	"sourcemap":                   reference,
	"uri":                         reference,
	"x-accel-redirect":            reference,
	"x-amz-copy-source":           reference,
	"x-envoy-original-path":       reference,
	"x-forwarded-path":            reference,
	"x-forwarded-uri":             reference,
	"x-forwarded-url":             reference,
	"x-goog-copy-source":          reference,
	"x-ms-copy-source":            reference,
	"x-original-uri":              reference,
	"x-original-url":              reference,
	"x-query-string":              reference,
	"x-replaced-path":             reference,
	"x-request-uri":               reference,
	"x-request-url":               reference,
	"x-rewrite-url":               reference,
	"x-sourcemap":                 reference,
}

const longestShape = len("access-control-allow-origin")

func shapeOf(name string) shape {
	if len(name) > longestShape {
		return prose
	}
	var stack [longestShape]byte
	key := stack[:0]
	for i := range len(name) {
		key = append(key, lowerByte(name[i]))
	}
	return shapes[string(key)]
}

// RedactURL replaces the credentials before the host and the values of
// signature parameters in a URL reference by [Redacted]; every other byte is
// kept. It works on the text: a URL that no parser would take is redacted
// too, rather too much than too little. URLs inside parameters are redacted
// as well, percent-encoded any number of times.
//
// The parameters are X-Amz-Signature, X-Amz-Credential, X-Amz-Security-Token,
// X-Goog-Signature, Signature, AWSAccessKeyId and sig, in any case and with
// any encoding of the name, in the query and in the fragment.
func RedactURL(url string) string { return redactText(url, reference) }

// RedactTarget does the same as [RedactURL] to a request target in any of its
// forms (RFC 9112, section 3.2).
func RedactTarget(target string) string { return redactText(target, authority) }

func redactText(s string, as shape) string {
	encoded := strings.IndexByte(s, '%') >= 0
	if encoded || strings.IndexByte(s, '@') >= 0 {
		s = redactUserinfo(s, as)
	}
	if encoded || namesSignature(s) {
		s = redactParameters(s, as != prose)
	}
	return s
}

// redactField does the same to the value of a field. Most values hold neither
// of the separators that a secret needs.
func redactField(name, value string) string {
	if strings.IndexByte(value, '=') < 0 && strings.IndexByte(value, '@') < 0 && strings.IndexByte(value, '%') < 0 {
		return value
	}
	return redactText(value, shapeOf(name))
}

// edit is a text under replacement. The zero value with the text is valid.
type edit struct {
	text string
	done []byte
	from int // where the part of text that is not in done begins
}

// replace puts [Redacted] in the place of text[from:to]. Calls go forward.
func (e *edit) replace(from, to int) {
	e.done = append(append(e.done, e.text[e.from:from]...), Redacted...)
	e.from = to
}

// result returns the text with all replacements.
func (e *edit) result() string {
	if e.done == nil {
		return e.text
	}
	return string(append(e.done, e.text[e.from:]...))
}

// decode returns the character at s[i], the length of its encoding in s, and
// how many times it is percent-encoded: '&' is (1, 0), "%26" is (3, 1),
// "%2526" is (5, 2).
func decode(s string, i int) (c byte, width, depth int) {
	if s[i] != '%' {
		return s[i], 1, 0
	}
	end := i + 1
	for end+2 <= len(s) {
		high, low := unhex(s[end]), unhex(s[end+1])
		if high < 0 || low < 0 {
			break
		}
		end += 2
		depth++
		if c := byte(high<<4 | low); c != '%' {
			return c, end - i, depth
		}
	}
	return '%', end - i, depth
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

package objectstoreexporter

import (
	"errors"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"
)

// maxKeyBytes is the limit of S3, of Google Cloud Storage and, in characters,
// of Azure.
const maxKeyBytes = 1024

// keyTemplate makes keys. A key is components between slashes; a value fills a
// component or a part of one and never adds any, so no value can lead out of
// the prefix that the template gives, whatever it is.
type keyTemplate struct {
	template
	scheme string
}

// parseKey reads the template of a key and checks its literal text.
func parseKey(text, scheme string) (keyTemplate, error) {
	k := keyTemplate{scheme: scheme}
	if text == "" {
		return k, errors.New("is required, for example {artifact.digest} or logs/{resource.service.name}/{log.record.uid}")
	}
	var err error
	if k.template, err = parseTemplate(text); err != nil {
		return k, err
	}
	placeholders := 0
	// Whatever values come, the rest of the key has to be legal: it is
	// checked with a value that is.
	var sample strings.Builder
	for _, p := range k.template {
		if p.name == "" {
			sample.WriteString(p.literal)
			continue
		}
		placeholders++
		sample.WriteByte('x')
		if !p.hasFallback {
			continue
		}
		if err := k.checkValue(p.fallback); err != nil {
			return k, fmt.Errorf("what stands for the absent attribute %s %w", p.written, err)
		}
	}
	if placeholders == 0 {
		return k, errors.New("has no placeholder, so all records would be the same object; use for example {artifact.digest}")
	}
	if err := k.checkWhole(sample.String()); err != nil {
		return k, err
	}
	return k, nil
}

// of is the key of a record.
func (k keyTemplate) of(from attributes) (string, *refusal) {
	key, why := k.render(from, k.checkValue)
	if why != nil {
		return "", why
	}
	if err := k.checkWhole(key); err != nil {
		return "", refuse(causeKeyInvalid, "the key %w", err)
	}
	return key, nil
}

// checkValue says what is wrong with an attribute's value.
func (k keyTemplate) checkValue(value string) error {
	if strings.Contains(value, "/") {
		return errors.New("has a / in it: a value is a part of one component of the key")
	}
	return nil
}

// checkWhole says what is wrong with a key. Stores and drivers escape some
// characters or normalise paths; an object under another key than its own
// would not be found, so all that is refused.
func (k keyTemplate) checkWhole(key string) error {
	if len(key) > maxKeyBytes {
		return fmt.Errorf("is %d bytes long, more than %d", len(key), maxKeyBytes)
	}
	if !utf8.ValidString(key) {
		return errors.New("is not UTF-8")
	}
	for _, r := range key {
		if illegal(r, k.scheme) {
			return fmt.Errorf("has the character %q in it", r)
		}
	}
	for component := range strings.SplitSeq(key, "/") {
		switch component {
		case "":
			return errors.New("has an empty component (begins or ends with a /, or has two)")
		case ".", "..":
			return fmt.Errorf("has %s for a component", component)
		}
		// Drivers keep "../" from a store, wherever it stands.
		if strings.HasSuffix(component, "..") {
			return errors.New("has a component that ends in two dots")
		}
	}
	return nil
}

func illegal(r rune, scheme string) bool {
	switch {
	case r < ' ', r == 0x7f, r == '\\':
		return true
	case scheme == schemeAzure:
		return strings.ContainsRune(`"#%?`, r)
	}
	return false
}

// parseContentType reads the template of a media type.
func parseContentType(text string) (template, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return nil, err
	}
	if len(t) == 0 {
		return nil, errors.New("is empty, use for example application/json")
	}
	if len(t) == 1 && t[0].name == "" {
		if !isMediaType(t[0].literal) {
			return nil, fmt.Errorf("%q is no media type, use for example application/json", t[0].literal)
		}
	}
	return t, nil
}

// contentTypeOf is the media type of a record.
func contentTypeOf(t template, from attributes) (string, *refusal) {
	text, why := t.render(from, func(string) error { return nil })
	if why != nil {
		return "", why
	}
	if len(t) > 1 || t[0].name != "" {
		if !isMediaType(text) {
			return "", refuse(causeContentType, "%q is no media type", text)
		}
	}
	return text, nil
}

// isMediaType tells whether a text is type/subtype with optional parameters
// (RFC 9110, section 8.3.1).
func isMediaType(text string) bool {
	media, _, err := mime.ParseMediaType(text)
	return err == nil && strings.Contains(media, "/")
}

package objectstoreexporter

import (
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// scope is whose attribute a placeholder names.
type scope uint8

const (
	scopeRecord scope = iota
	scopeResource
	scopeInstrumentation
)

// scopePrefixes are what a placeholder's name can begin with. Without one of
// them it is an attribute of the log record.
var scopePrefixes = []struct {
	prefix string
	scope  scope
}{
	{"record.", scopeRecord},
	{"resource.", scopeResource},
	{"scope.", scopeInstrumentation},
}

// part is literal text, or a placeholder when name is not empty.
type part struct {
	literal     string
	written     string // the placeholder's name as it was written, for errors
	name        string
	scope       scope
	fallback    string
	hasFallback bool
}

// template is text with placeholders: {NAME}, {resource.NAME}, {scope.NAME},
// {record.NAME}, each optionally with |TEXT for when the attribute is absent or
// empty. {{ and }} are braces.
type template []part

// attributes are those of a log record, of its resource and of its scope.
type attributes [3]pcommon.Map

// parseTemplate reads a template.
func parseTemplate(text string) (template, error) {
	var (
		parts   template
		literal strings.Builder
	)
	for rest := text; rest != ""; {
		switch i := strings.IndexAny(rest, "{}"); {
		case i < 0:
			literal.WriteString(rest)
			rest = ""
		case strings.HasPrefix(rest[i:], "{{"), strings.HasPrefix(rest[i:], "}}"):
			literal.WriteString(rest[:i+1])
			rest = rest[i+2:]
		case rest[i] == '}':
			return nil, errors.New("has a } without {; a brace that is meant is written twice")
		default:
			literal.WriteString(rest[:i])
			inner, after, closed := strings.Cut(rest[i+1:], "}")
			if !closed {
				return nil, errors.New("has a { without }; a brace that is meant is written twice")
			}
			placeholder, err := parsePlaceholder(inner)
			if err != nil {
				return nil, err
			}
			if literal.Len() > 0 {
				parts = append(parts, part{literal: literal.String()})
				literal.Reset()
			}
			parts = append(parts, placeholder)
			rest = after
		}
	}
	if literal.Len() > 0 {
		parts = append(parts, part{literal: literal.String()})
	}
	return parts, nil
}

func parsePlaceholder(inner string) (part, error) {
	if strings.Contains(inner, "{") {
		return part{}, fmt.Errorf("has a { inside of the placeholder {%s}", inner)
	}
	name, fallback, hasFallback := strings.Cut(inner, "|")
	p := part{written: name, name: name, fallback: fallback, hasFallback: hasFallback}
	for _, s := range scopePrefixes {
		if after, found := strings.CutPrefix(name, s.prefix); found {
			p.name, p.scope = after, s.scope
			break
		}
	}
	if p.name == "" || strings.TrimSpace(p.name) != p.name {
		return part{}, fmt.Errorf("the placeholder {%s} names no attribute, use for example {artifact.digest} or {resource.service.name}", inner)
	}
	return p, nil
}

// render fills the template. Each value passes through check, which says why
// it cannot stand there.
func (t template) render(of attributes, check func(value string) error) (string, *refusal) {
	if len(t) == 1 && t[0].name == "" {
		return t[0].literal, nil
	}
	var text strings.Builder
	for i := range t {
		p := &t[i]
		if p.name == "" {
			text.WriteString(p.literal)
			continue
		}
		value, why := p.value(of[p.scope])
		if why != nil {
			return "", why
		}
		if err := check(value); err != nil {
			return "", refuse(causeKeyInvalid, "the attribute %s %w", p.written, err)
		}
		text.WriteString(value)
	}
	return text.String(), nil
}

// value is the attribute as text. Lists, maps and bytes have no single form as
// text and are refused.
func (p *part) value(from pcommon.Map) (string, *refusal) {
	found, present := from.Get(p.name)
	text := ""
	if present {
		switch found.Type() {
		case pcommon.ValueTypeStr, pcommon.ValueTypeInt, pcommon.ValueTypeDouble, pcommon.ValueTypeBool, pcommon.ValueTypeEmpty:
			text = found.AsString()
		default:
			return "", refuse(causeKeyInvalid, "the attribute %s is of type %s, it has to be text, a number or a boolean", p.written, found.Type())
		}
	}
	switch {
	case text != "":
		return text, nil
	case p.hasFallback:
		return p.fallback, nil
	case present:
		return "", refuse(causeAttributeMissing, "the attribute %s is empty", p.written)
	}
	return "", refuse(causeAttributeMissing, "the attribute %s is absent", p.written)
}

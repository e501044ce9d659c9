package objectstoreexporter

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func noAttributes() attributes {
	return attributes{pcommon.NewMap(), pcommon.NewMap(), pcommon.NewMap()}
}

func TestKey(t *testing.T) {
	from := noAttributes()
	require.NoError(t, from[scopeRecord].FromRaw(map[string]any{
		"digest": "2fd4e1c6", "n": 7, "yes": true, "empty": "", "dots": "..", "dot": ".", "slash": "a/b", "up": "../../etc/passwd",
		"control": "a\nb", "backslash": `a\b`, "hash": "a#b", "list": []any{1}, "invalid": "a\xffb", "long": strings.Repeat("x", 1025),
		"space": "a b", "umlaut": "ä", "resource.name": "of the record", "ends": "a..",
	}))
	require.NoError(t, from[scopeResource].FromRaw(map[string]any{"service.name": "shop", "name": "of the resource"}))
	require.NoError(t, from[scopeInstrumentation].FromRaw(map[string]any{"lib": "l"}))

	tests := []struct {
		name, template, scheme string
		key                    string
		cause                  cause
		why                    string
	}{
		{name: "an attribute of the record", template: "objects/{digest}", key: "objects/2fd4e1c6"},
		{name: "of its resource", template: "{resource.service.name}/{digest}", key: "shop/2fd4e1c6"},
		{name: "of its scope", template: "{scope.lib}/{digest}", key: "l/2fd4e1c6"},
		{name: "of the record where the name begins like a scope", template: "{record.resource.name}", key: "of the record"},
		{name: "several in one component", template: "{digest}-{n}-{yes}.json", key: "2fd4e1c6-7-true.json"},
		{name: "braces are doubled", template: "{{{digest}}}", key: "{2fd4e1c6}"},
		{name: "text for an absent attribute", template: "{tenant|none}/{digest}", key: "none/2fd4e1c6"},
		{name: "text for an empty attribute", template: "{empty|none}/{digest}", key: "none/2fd4e1c6"},
		{name: "spaces and other scripts stay", template: "{space}/{umlaut}", key: "a b/ä"},
		{name: "an absent attribute", template: "{absent}", cause: causeAttributeMissing, why: "the attribute absent is absent"},
		{name: "an attribute of another scope is absent", template: "{resource.digest}", cause: causeAttributeMissing, why: "the attribute resource.digest is absent"},
		{name: "an empty attribute", template: "{empty}", cause: causeAttributeMissing, why: "the attribute empty is empty"},
		{name: "a list", template: "{list}", cause: causeKeyInvalid, why: "the attribute list is of type Slice"},
		{name: "a slash in a value", template: "p/{slash}", cause: causeKeyInvalid, why: "the attribute slash has a / in it"},
		{name: "a path that leads out", template: "p/{up}", cause: causeKeyInvalid, why: "the attribute up has a / in it"},
		{name: "two dots", template: "p/{dots}", cause: causeKeyInvalid, why: "the key has .. for a component"},
		{name: "two dots of two values", template: "p/{dot}{dot}/x", cause: causeKeyInvalid, why: "the key has .. for a component"},
		{name: "one dot", template: "p/{dot}", cause: causeKeyInvalid, why: "the key has . for a component"},
		{name: "two dots at the end of a component", template: "p/{ends}/x", cause: causeKeyInvalid, why: "ends in two dots"},
		{name: "a control character", template: "{control}", cause: causeKeyInvalid, why: `has the character '\n' in it`},
		{name: "a backslash", template: "{backslash}", cause: causeKeyInvalid, why: `has the character '\\' in it`},
		{name: "what is not UTF-8", template: "{invalid}", cause: causeKeyInvalid, why: "the key is not UTF-8"},
		{name: "more than 1024 bytes", template: "{long}", cause: causeKeyInvalid, why: "the key is 1025 bytes long, more than 1024"},
		{name: "a number sign in S3", template: "{hash}", scheme: schemeS3, key: "a#b"},
		{name: "a number sign in Azure, whose driver would write another key", template: "{hash}", scheme: schemeAzure, cause: causeKeyInvalid, why: `has the character '#' in it`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k, err := parseKey(test.template, test.scheme)
			require.NoError(t, err)
			key, why := k.of(from)
			if test.why != "" {
				require.NotNil(t, why)
				assert.Equal(t, test.cause, why.cause)
				assert.ErrorContains(t, why.err, test.why)
				return
			}
			require.Nil(t, why)
			assert.Equal(t, test.key, key)
		})
	}
}

func TestKeyTemplatesThatAreRefusedAtStart(t *testing.T) {
	for template, why := range map[string]string{
		"":               "is required",
		"objects":        "has no placeholder",
		"{{digest}}":     "has no placeholder",
		"a{digest":       "has a { without }",
		"a}b":            "has a } without {",
		"{a{b}":          "has a { inside of the placeholder",
		"{}":             "names no attribute",
		"{resource.}":    "names no attribute",
		"{ digest }":     "names no attribute",
		"/{digest}":      "has an empty component",
		"a//{digest}":    "has an empty component",
		"{digest}/":      "has an empty component",
		"../{digest}":    "has .. for a component",
		"a/./{digest}":   "has . for a component",
		"a\n{digest}":    "has the character",
		"{digest|a/b}":   "what stands for the absent attribute digest has a / in it",
		"{digest}\xff":   "is not UTF-8",
		"x{digest}..":    "ends in two dots",
		`a\{digest}`:     "has the character",
		"{a}/{b}/../{c}": "has .. for a component",
	} {
		t.Run(template, func(t *testing.T) {
			_, err := parseKey(template, schemeS3)
			require.ErrorContains(t, err, why)
		})
	}
}

func TestContentType(t *testing.T) {
	from := noAttributes()
	from[scopeRecord].PutStr("artifact.content_type", "application/json; charset=utf-8")
	from[scopeRecord].PutStr("broken", "not a type")
	tests := []struct {
		name, template, want string
		why                  string
	}{
		{name: "fixed", template: "text/plain", want: "text/plain"},
		{name: "the default takes the attribute", template: createDefaultConfig().(*Config).ContentType, want: "application/json; charset=utf-8"},
		{name: "and has a text for its absence", template: "{absent|application/octet-stream}", want: "application/octet-stream"},
		{name: "an attribute that is no media type", template: "{broken}", why: `"not a type" is no media type`},
		{name: "an absent attribute", template: "{absent}", why: "the attribute absent is absent"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			template, err := parseContentType(test.template)
			require.NoError(t, err)
			got, why := contentTypeOf(template, from)
			if test.why != "" {
				require.NotNil(t, why)
				assert.ErrorContains(t, why.err, test.why)
				return
			}
			require.Nil(t, why)
			assert.Equal(t, test.want, got)
		})
	}
}

// Whatever template is accepted and whatever the values are, a key stays below
// the literal folder that the template begins with, and is what the stores keep
// without changing it.
func FuzzKey(f *testing.F) {
	f.Add("{a}", "x", "y")
	f.Add("{a}{b}/z", ".", ".")
	f.Add("q/{a|..}/{b}", "../..", "%2e%2e%2f")
	f.Add("{{{a}}}", "\x00", "a//b")
	f.Add("{a}/{resource.b|n}", "", "ä\\")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		k, err := parseKey("tenant/"+text, schemeFile)
		if err != nil {
			return
		}
		from := noAttributes()
		from[scopeRecord].PutStr("a", a)
		from[scopeRecord].PutStr("b", b)
		from[scopeResource].PutStr("b", b)
		key, why := k.of(from)
		if why != nil {
			return
		}
		if clean := path.Clean("/" + key); clean != "/"+key || !strings.HasPrefix(clean, "/tenant/") {
			t.Fatalf("the key %q is not what it means: %q", key, clean)
		}
		if len(key) > maxKeyBytes || !utf8.ValidString(key) || strings.Contains(key, "../") || strings.ContainsAny(key, "\x00\n\\") {
			t.Fatalf("the key %q is illegal", key)
		}
		if strings.Count(key, "/") != strings.Count("tenant/"+text, "/") {
			// A slash inside of a placeholder's name is part of that name.
			for _, p := range k.template {
				if strings.Contains(p.written, "/") {
					return
				}
			}
			t.Fatalf("the key %q has other components than the template %q", key, text)
		}
	})
}

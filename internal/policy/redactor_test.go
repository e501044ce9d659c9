package policy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

func TestApplyToFields(t *testing.T) {
	r := NewRedactor(DefaultHeaders())
	for _, tt := range []struct {
		name     string
		in, want message.Field
	}{
		{"a covered field loses its whole value", message.Field{Name: "Authorization", Value: "Bearer s"}, message.Field{Name: "Authorization", Value: "REDACTED"}},
		{"case does not matter", message.Field{Name: "sET-cOOKIE", Value: "a=s; Path=/"}, message.Field{Name: "sET-cOOKIE", Value: "REDACTED"}},
		{"blanks around the name do not matter", message.Field{Name: "\t Authorization ", Value: "s"}, message.Field{Name: "\t Authorization ", Value: "REDACTED"}},
		{"an empty value is replaced too", message.Field{Name: "Cookie"}, message.Field{Name: "Cookie", Value: "REDACTED"}},
		{"an underscore is no hyphen", message.Field{Name: "x_api_key", Value: "kept"}, message.Field{Name: "x_api_key", Value: "kept"}},
		{"a longer name is another field", message.Field{Name: "Cookie-Policy", Value: "kept"}, message.Field{Name: "Cookie-Policy", Value: "kept"}},
		{"a letter that folds to k outside ASCII is another field", message.Field{Name: "Coo\u212Aie", Value: "kept"}, message.Field{Name: "Coo\u212Aie", Value: "kept"}},
		{"a field behind a lone CR", message.Field{Name: "X-A", Value: "b\rAuthorization: s"}, message.Field{Name: "X-A", Value: "REDACTED"}},
		{"a field behind a lone LF and blanks", message.Field{Name: "X-A", Value: "b\n cookie : s"}, message.Field{Name: "X-A", Value: "REDACTED"}},
		{"a field behind a CR in the name", message.Field{Name: "X-A\rAuthorization", Value: "s"}, message.Field{Name: "X-A", Value: "REDACTED"}},
		{"a line without a name", message.Field{Value: "Authorization: s"}, message.Field{Value: "REDACTED"}},
		{"a folded value of another field is kept", message.Field{Name: "X-A", Value: "b c"}, message.Field{Name: "X-A", Value: "b c"}},
		{"a URL field", message.Field{Name: "location", Value: "//u:s@h/?sig=s"}, message.Field{Name: "location", Value: "//REDACTED@h/?sig=REDACTED"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			transactions := []*transaction.Transaction{
				{Request: &message.Message{Fields: message.Fields{tt.in}}},
				{Request: &message.Message{Trailers: message.Fields{tt.in}}},
				{Response: &message.Message{Fields: message.Fields{tt.in}}},
				{Response: &message.Message{Trailers: message.Fields{tt.in}}},
			}
			for _, tr := range transactions {
				r.Apply(tr)
				r.Apply(tr) // idempotent
				for _, m := range []*message.Message{tr.Request, tr.Response} {
					if m != nil {
						assert.Equal(t, message.Fields{tt.want}, append(m.Fields, m.Trailers...))
					}
				}
			}
		})
	}
}

func TestApplyKeepsOrderAndRedactsEveryRepetition(t *testing.T) {
	tr := &transaction.Transaction{
		Request: &message.Message{
			Target: "http://u:s@h/?sig=s",
			Fields: message.Fields{{Name: "A", Value: "1"}, {Name: "Cookie", Value: "s"}, {Name: "B", Value: "2"}, {Name: "cookie", Value: "s"}},
		},
		Response: &message.Message{Phrase: "See http://u:s@h"},
	}
	NewRedactor(DefaultHeaders()).Apply(tr)
	assert.Equal(t, "http://REDACTED@h/?sig=REDACTED", tr.Request.Target)
	assert.Equal(t, message.Fields{{Name: "A", Value: "1"}, {Name: "Cookie", Value: "REDACTED"}, {Name: "B", Value: "2"}, {Name: "cookie", Value: "REDACTED"}}, tr.Request.Fields)
	assert.Equal(t, "See http://REDACTED@h", tr.Response.Phrase)
}

func TestNamesOfTheConfigurationReplaceTheDefaults(t *testing.T) {
	r := NewRedactor([]string{" X-Secret "})
	tr := &transaction.Transaction{Request: &message.Message{Fields: message.Fields{{Name: "x-secret", Value: "s"}, {Name: "Cookie", Value: "kept"}}}}
	r.Apply(tr)
	assert.Equal(t, message.Fields{{Name: "x-secret", Value: "REDACTED"}, {Name: "Cookie", Value: "kept"}}, tr.Request.Fields)
}

// FuzzRedaction plants a secret where a URL or a field can hold one, amid
// arbitrary text, and looks for it in the result.
func FuzzRedaction(f *testing.F) {
	for _, seed := range []string{"", "/p?a=b", "http://h:1/", "%25%32%35", "<\">;&=#?@", "a:b@c//d", "\x00\xff\\"} {
		f.Add(seed, seed)
	}
	const canary = "cAnArY"
	r := NewRedactor(DefaultHeaders())
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, canary) {
			t.Skip()
		}
		plant := message.Fields{{Name: "Cookie", Value: before + canary + after}, {Name: "X-A", Value: before + "\nCookie:" + canary + after}}
		tr := &transaction.Transaction{
			Request:  &message.Message{Target: before + "?sig=" + canary, Fields: plant},
			Response: &message.Message{Trailers: append(message.Fields{{Name: "Location", Value: "http://u:" + canary + "@h/" + after}}, plant...)},
		}
		r.Apply(tr)
		if strings.Contains(tr.Request.Target, canary) {
			t.Errorf("target: %q", tr.Request.Target)
		}
		for _, field := range append(tr.Request.Fields, tr.Response.Trailers...) {
			if strings.Contains(field.Value, canary) {
				t.Errorf("field: %q", field)
			}
		}
		// Arbitrary text never panics, is idempotent, and nothing without a
		// separator changes.
		for _, as := range []shape{prose, reference, authority} {
			once := redactText(before+after, as)
			if twice := redactText(once, as); twice != once {
				t.Errorf("not idempotent as %d: %q, then %q, then %q", as, before+after, once, twice)
			}
		}
	})
}

func BenchmarkApply(b *testing.B) {
	fields := message.Fields{
		{Name: "Host", Value: "example.test"},
		{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/130.0"},
		{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{Name: "Accept-Language", Value: "en-US,en;q=0.5"},
		{Name: "Accept-Encoding", Value: "gzip, deflate, br, zstd"},
		{Name: "Referer", Value: "https://example.test/index.html?from=1"},
		{Name: "Connection", Value: "keep-alive"},
		{Name: "Cookie", Value: "REDACTED"},
	}
	tr := &transaction.Transaction{
		Request:  &message.Message{Target: "/static/app.js?v=12345&lang=en", Fields: fields},
		Response: &message.Message{Phrase: "OK", Fields: fields},
	}
	r := NewRedactor(DefaultHeaders())
	b.ReportAllocs()
	for b.Loop() {
		r.Apply(tr)
	}
}

func request(name, value string) *transaction.Transaction {
	return &transaction.Transaction{Request: &message.Message{Fields: message.Fields{{Name: name, Value: value}}}}
}

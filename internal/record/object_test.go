package record

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/policy"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// keys returns the keys of a JSON document in their order, as paths.
func keys(t *testing.T, document string) []string {
	d := json.NewDecoder(strings.NewReader(document))
	var walk func(path string) []string
	walk = func(path string) (found []string) {
		token, err := d.Token()
		require.NoError(t, err)
		switch token {
		case json.Delim('{'):
			for d.More() {
				key, err := d.Token()
				require.NoError(t, err)
				found = append(found, path+key.(string))
				found = append(found, walk(path+key.(string)+".")...)
			}
			_, err = d.Token()
			require.NoError(t, err)
		case json.Delim('['):
			for d.More() {
				walk("")
			}
			_, err = d.Token()
			require.NoError(t, err)
		}
		return found
	}
	return walk("")
}

func TestKeysOfTheJSONObjectStandInTheOrderOfTheContract(t *testing.T) {
	contract := []string{
		"metadata", "metadata.process_id", "metadata.process_exe", "metadata.container_id", "metadata.bytes_sent", "metadata.bytes_received",
		"metadata.connection_id", "metadata.request_id", "metadata.endpoint_id", "metadata.tags",
		"request", "request.method", "request.url", "request.scheme", "request.path", "request.query", "request.authority", "request.protocol",
		"request.user_agent", "request.content_type", "request.headers", "request.trailers", "request.body", "request.body_encoding", "request.body_size", "request.body_truncated",
		"response", "response.status", "response.protocol", "response.content_type", "response.headers", "response.trailers",
		"response.body", "response.body_encoding", "response.body_size", "response.body_truncated",
		"transaction_time", "duration_ms", "time_to_first_byte_ms", "direction", "completeness", "missing",
	}
	everything := uploadWithSecrets(t)
	everything.Request.Fields = append(everything.Request.Fields, message.Field{Name: "User-Agent", Value: "curl"})
	everything.Request.Trailers = everything.Response.Trailers
	assert.Equal(t, contract, keys(t, objectOf(t, everything, nginx(), FormatJSON, transaction.LevelFull)))

	order := map[string]int{}
	for i, key := range contract {
		order[key] = i
	}
	for name, c := range goldenCases(t) {
		for _, level := range levels[1:] {
			last := -1
			for _, key := range keys(t, objectOf(t, c.transaction, c.process, FormatJSON, level)) {
				place, ok := order[key]
				assert.True(t, ok, "%s: %s is not in the contract", name, key)
				assert.Greater(t, place, last, "%s: %s", name, key)
				last = place
			}
		}
	}
}

func TestALevelHidesWhatItDoesNotShow(t *testing.T) {
	tr := uploadWithSecrets(t)
	for _, tt := range []struct {
		level          transaction.Level
		fields, bodies bool
	}{{transaction.LevelSummary, false, false}, {transaction.LevelHeaders, true, false}, {transaction.LevelFull, true, true}} {
		for _, format := range []Format{FormatJSON, FormatText, FormatHAR} {
			object := objectOf(t, tr, curl(), format, tt.level)
			assert.Equal(t, tt.fields, strings.Contains(object, "X-Checksum"), "%s %s", tt.level, format)
			assert.Equal(t, tt.fields, strings.Contains(object, "traceparent"), "%s %s", tt.level, format)
			assert.Equal(t, tt.bodies, strings.Contains(object, "answer"), "%s %s", tt.level, format)
			assert.Equal(t, tt.bodies, strings.Contains(object, "//4AAQ=="), "%s %s", tt.level, format)
		}
	}
}

// The secrets of the fixture stand in every place that redaction covers.
func TestNoSecretReachesARecord(t *testing.T) {
	const canary = "cAnArY"
	p, err := policy.New(policy.Config{Level: transaction.LevelFull, BodyLimit: 1 << 20})
	require.NoError(t, err)
	for _, format := range []Format{FormatJSON, FormatText, FormatHAR} {
		for _, level := range levels {
			tr := uploadWithSecrets(t)
			o := testOptions()
			o.Format = format
			e := newTestEncoder(t, o)

			e.Transaction(tr, curl(), level)
			leaky := everything(t, e.Take())
			assert.Contains(t, leaky, canary, "without redaction the test must see the secret")

			p.Redact(tr)
			e.Transaction(tr, curl(), level)
			assert.NotContains(t, everything(t, e.Take()), canary, "%s %s", format, level)
		}
	}
}

// FuzzNoSecretReachesARecord puts arbitrary text around the secrets.
func FuzzNoSecretReachesARecord(f *testing.F) {
	f.Add("/a?b=", "&c")
	f.Add("http://h/", "@x\r\nCookie: ")
	f.Add("\xff\"\\", "%26<;")
	p, err := policy.New(policy.Config{Level: transaction.LevelFull})
	require.NoError(f, err)
	const canary = "cAnArY"
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, canary) {
			t.Skip()
		}
		tr := simpleGet()
		tr.Request.Target = before + "?sig=" + canary + "&" + after
		tr.Request.Fields = append(tr.Request.Fields,
			message.Field{Name: "Cookie", Value: before + canary + after},
			message.Field{Name: "Referer", Value: "http://u:" + canary + "@" + after},
			message.Field{Name: after, Value: "\rAuthorization: " + before + canary})
		p.Redact(tr)
		for _, format := range []Format{FormatJSON, FormatText, FormatHAR} {
			o := testOptions()
			o.Format = format
			e := newTestEncoder(t, o)
			e.Transaction(tr, nil, transaction.LevelFull)
			b := e.Take()
			if got := everything(t, b); strings.Contains(got, canary) {
				t.Errorf("%s: %s", format, got)
			}
			if object := artifactOf(b.Artifacts[0]).Body().Str(); format != FormatText && !json.Valid([]byte(object)) {
				t.Errorf("not JSON: %s", object)
			}
		}
	})
}

func TestHARIsValid(t *testing.T) {
	type named struct{ Name, Value *string }
	type archive struct {
		Log *struct {
			Version string
			Creator *struct{ Name, Version *string }
			Entries []struct {
				StartedDateTime string
				Time            *float64
				Request         *struct {
					Method, URL, HTTPVersion      *string
					Cookies, Headers, QueryString []named
					PostData                      *struct{ MimeType, Text *string }
					HeadersSize, BodySize         *int64
				}
				Response *struct {
					Status                               *int
					StatusText, HTTPVersion, RedirectURL *string
					Cookies, Headers                     []named
					Content                              *struct {
						Size     *int64
						MimeType *string
					}
					HeadersSize, BodySize *int64
				}
				Cache   *struct{}
				Timings *struct{ Send, Wait, Receive *float64 }
			}
		}
	}
	for name, c := range goldenCases(t) {
		for _, level := range levels[1:] {
			t.Run(name+"/"+level.String(), func(t *testing.T) {
				object := objectOf(t, c.transaction, c.process, FormatHAR, level)
				var a archive
				require.NoError(t, json.Unmarshal([]byte(object), &a))
				require.NotNil(t, a.Log)
				assert.Equal(t, "1.2", a.Log.Version)
				require.NotNil(t, a.Log.Creator)
				assert.NotNil(t, a.Log.Creator.Name)
				assert.NotNil(t, a.Log.Creator.Version)
				require.Len(t, a.Log.Entries, 1)
				entry := a.Log.Entries[0]
				assert.NotEmpty(t, entry.StartedDateTime)
				require.NotNil(t, entry.Timings)
				for _, part := range []*float64{entry.Time, entry.Timings.Send, entry.Timings.Wait, entry.Timings.Receive} {
					require.NotNil(t, part)
					assert.GreaterOrEqual(t, *part, 0.0)
				}
				assert.InDelta(t, *entry.Time, *entry.Timings.Send+*entry.Timings.Wait+*entry.Timings.Receive, 1e-6)
				require.NotNil(t, entry.Cache)
				r, s := entry.Request, entry.Response
				require.NotNil(t, r)
				require.NotNil(t, s)
				for _, text := range []*string{r.Method, r.URL, r.HTTPVersion, s.StatusText, s.HTTPVersion, s.RedirectURL, s.Content.MimeType} {
					assert.NotNil(t, text)
				}
				for _, number := range []*int64{r.HeadersSize, r.BodySize, s.HeadersSize, s.BodySize, s.Content.Size} {
					require.NotNil(t, number)
					assert.GreaterOrEqual(t, *number, int64(-1))
				}
				for _, list := range [][]named{r.Cookies, r.Headers, r.QueryString, s.Cookies, s.Headers} {
					assert.NotNil(t, list)
					for _, item := range list {
						assert.NotNil(t, item.Name)
						assert.NotNil(t, item.Value)
					}
				}
			})
		}
	}
}

func TestHARCookiesComeFromTheRedactedFields(t *testing.T) {
	tr := simpleGet()
	tr.Request.Fields = message.Fields{{Name: "Cookie", Value: "a=1; b=2=3"}, {Name: "cookie", Value: "c=4"}}
	tr.Response.Fields = message.Fields{{Name: "Set-Cookie", Value: "d=5; Path=/"}, {Name: "Set-Cookie", Value: "e="}}
	plain := objectOf(t, tr, nil, FormatHAR, transaction.LevelHeaders)
	assert.Contains(t, plain, `"cookies":[{"name":"a","value":"1"},{"name":"b","value":"2=3"},{"name":"c","value":"4"}]`)
	assert.Contains(t, plain, `"cookies":[{"name":"d","value":"5"},{"name":"e","value":""}]`)
	assert.NotContains(t, objectOf(t, tr, nil, FormatHAR, transaction.LevelSummary), "2=3", "summary shows no fields")
	policy.NewRedactor(policy.DefaultHeaders()).Apply(tr)
	assert.Equal(t, 2, strings.Count(objectOf(t, tr, nil, FormatHAR, transaction.LevelHeaders), `"cookies":[]`))
}

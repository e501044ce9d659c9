package record

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// perByte is s with U+FFFD for every byte that is not UTF-8.
func perByte(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

func FuzzJSONString(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"\\\n\r\t\b\f\x00\x1f\x7f", "wörld €\U0001F600", "\xff\xfe", "a\xc3", "\xe2\x82", "\u2028\u2029", "\xed\xa0\x80", "\xf4\x90\x80\x80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		encoded := appendJSONString([]byte("x"), s)[1:]
		if got := appendJSONString(nil, []byte(s)); string(got) != string(encoded) {
			t.Errorf("bytes give %q, a string %q", got, encoded)
		}
		var back string
		if err := json.Unmarshal(encoded, &back); err != nil {
			t.Fatalf("%q gives %q: %v", s, encoded, err)
		}
		if want := perByte(s); back != want || text(s) != want {
			t.Errorf("%q reads back as %q and %q, not %q", s, back, text(s), want)
		}
		var raw []byte
		if err := json.Unmarshal(appendJSONBase64(nil, []byte(s)), &raw); err != nil || string(raw) != s {
			t.Errorf("base64 of %q reads back as %q: %v", s, raw, err)
		}
	})
}

func TestMillisecondsAreExact(t *testing.T) {
	for _, tt := range []struct {
		ns   uint64
		want string
	}{
		{0, "0"},
		{1, "0.000001"},
		{999_999, "0.999999"},
		{1_000_000, "1"},
		{1_500_000, "1.5"},
		{12_345_678, "12.345678"},
		{60_000_000_000, "60000"},
		{math.MaxInt64, "9223372036854.775807"},
	} {
		got := string(appendMillis(nil, tt.ns))
		assert.Equal(t, tt.want, got)
		_, err := strconv.ParseFloat(got, 64)
		assert.NoError(t, err)
	}
}

func TestLinesStayOneLine(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain text is kept", "/a?b=1", "/a?b=1"},
		{"letters of all languages are kept", "/wörld/世界", "/wörld/世界"},
		{"line ends and blanks are encoded", "a\r\nb c\td", "a%0D%0Ab%20c%09d"},
		{"terminal sequences are encoded", "\x1b[2J\u009b1m", "%1B[2J%C2%9B1m"},
		{"what reverses the text is encoded", "a\u202eb\u2028c", "a%E2%80%AEb%E2%80%A8c"},
		{"what is no UTF-8 is encoded", "a\xffb\xc3", "a%FFb%C3"},
		{"a long word is cut", strings.Repeat("x", 600), strings.Repeat("x", 512) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, string(appendWord(nil, tt.in)))
		})
	}
	assert.Equal(t, "12.3µs 999µs 1.00ms 12.3ms 1.50s 100s", strings.Join([]string{
		string(appendDuration(nil, 12_345)), string(appendDuration(nil, 999_000)), string(appendDuration(nil, 1_000_000)),
		string(appendDuration(nil, 12_345_678)), string(appendDuration(nil, 1_500_000_000)), string(appendDuration(nil, 100_000_000_000)),
	}, " "))
	assert.Equal(t, "0B 999B 1.00kB 12.3MB 1.00GB", strings.Join([]string{
		string(appendSize(nil, 0)), string(appendSize(nil, 999)), string(appendSize(nil, 1000)), string(appendSize(nil, 12_345_678)), string(appendSize(nil, 1_000_000_000)),
	}, " "))
}

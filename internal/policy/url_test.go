package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRedactTarget(t *testing.T) {
	for _, tt := range []struct{ name, target, want string }{
		{"an ordinary origin form is kept", "/a/b?x=1&y=%20z;k#f", "/a/b?x=1&y=%20z;k#f"},
		{"the asterisk form is kept", "*", "*"},
		{"an authority form without credentials is kept", "example.test:443", "example.test:443"},
		{"an IPv6 authority is kept", "[2001:db8::1]:443", "[2001:db8::1]:443"},
		{"an at sign in a path is kept", "/@user/x", "/@user/x"},
		{"an at sign in the path of an absolute form is kept", "http://h:80/@user?e=a@b", "http://h:80/@user?e=a@b"},
		{"an empty port is taken for a cut password", "http://u:/ss@h/x", "http://REDACTED@h/x"},
		{"two slashes inside a path begin no authority", "/a//b@c/d", "/a//b@c/d"},
		{"two slashes behind a host begin no authority", "http://h//b@c/d", "http://h//b@c/d"},
		{"credentials of an absolute form", "http://user:pass@h:80/p?q", "http://REDACTED@h:80/p?q"},
		{"a user without a password", "http://token@h/", "http://REDACTED@h/"},
		{"the last at sign counts", "http://a@b:c@h/", "http://REDACTED@h/"},
		{"credentials of an authority form", "user:pass@h:443", "REDACTED@h:443"},
		{"credentials behind a network-path reference", "//u:p@h/x", "//REDACTED@h/x"},
		{"credentials behind backslashes", `http:\\u:p@h\x`, `http:\\REDACTED@h\x`},
		{"credentials behind one slash", "http:/u:p@h/x", "http:/REDACTED@h/x"},
		{"credentials without slashes", "http:u:p@h/x", "REDACTED@h/x"},
		{"a slash in the password", "http://u:pa/ss@h/x", "http://REDACTED@h/x"},
		{"a question mark in the password", "http://u:pa?ss@h/x", "http://REDACTED@h/x"},
		{"a hash in the password", "http://u:pa#ss@h/x", "http://REDACTED@h/x"},
		{"white space in the password", "http://u:pa ss@h/x", "http://REDACTED@h/x"},
		{"an encoded slash in the password", "http://u:pa%2Fss@h/x", "http://REDACTED@h/x"},
		{"an encoded at sign before the host", "http://u:pass%40h/x", "http://REDACTED%40h/x"},
		{"a signature", "/o?X-Amz-Signature=abc&x=1", "/o?X-Amz-Signature=REDACTED&x=1"},
		{
			"every signature parameter",
			"/?X-Amz-Signature=1&X-Amz-Credential=2&X-Amz-Security-Token=3&sig=4&X-Goog-Signature=5&Signature=6&AWSAccessKeyId=7&z=8",
			"/?X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED&sig=REDACTED&X-Goog-Signature=REDACTED&Signature=REDACTED&AWSAccessKeyId=REDACTED&z=8",
		},
		{"any case", "/?x-AMZ-signature=abc", "/?x-AMZ-signature=REDACTED"},
		{"an encoded name", "/?%73%69g=abc&y", "/?%73%69g=REDACTED&y"},
		{"a name that was encoded twice", "/?%2573ig=abc", "/?%2573ig=REDACTED"},
		{"an encoded equals sign", "/?sig%3Dabc&y=1", "/?sig%3DREDACTED&y=1"},
		{"blanks around the name", "/?+sig%20=abc", "/?+sig%20=REDACTED"},
		{"semicolons as separators", "/?a=1;sig=abc;b=2", "/?a=1;sig=REDACTED;b=2"},
		{"a semicolon inside the value", "/?sig=abc;def&b=2", "/?sig=REDACTED&b=2"},
		{"a matrix parameter", "/p;sig=abc/q", "/p;sig=REDACTED"},
		{"an HTML-escaped separator", "/?a=1&amp;sig=abc&amp;b=2", "/?a=1&amp;sig=REDACTED&amp;b=2"},
		{"repeated parameters", "/?sig=a&sig=b&sig=c", "/?sig=REDACTED&sig=REDACTED&sig=REDACTED"},
		{"an empty value", "/?sig=&a", "/?sig=REDACTED&a"},
		{"a parameter without a value is kept", "/?sig&a=b", "/?sig&a=b"},
		{"a fragment", "/?a=1#sig=abc", "/?a=1#sig=REDACTED"},
		{"an equals sign in the value", "/?sig=a=b==&c=d", "/?sig=REDACTED&c=d"},
		{"an encoded delimiter in the value", "/?sig=a%26b%23c&d=e", "/?sig=REDACTED&d=e"},
		{"names that only look like it are kept", "/?signal=1&mysig=2&sig2=3&x_amz_signature=4", "/?signal=1&mysig=2&sig2=3&x_amz_signature=4"},
		{"a URL in a parameter", "/?u=http://a:b@h/?sig=s&v=1", "/?u=http://REDACTED@h/?sig=REDACTED&v=1"},
		{
			"an encoded URL in a parameter",
			"/?u=https%3A%2F%2Fa%3Ab%40h%2Fp%3Fsig%3Ds%26k%3Dv&w=1",
			"/?u=https%3A%2F%2FREDACTED%40h%2Fp%3Fsig%3DREDACTED%26k%3Dv&w=1",
		},
		{"a URL that was encoded twice", "/?u=http%253A%252F%252Fh%253Fsig%253Ds%2526k", "/?u=http%253A%252F%252Fh%253Fsig%253DREDACTED%2526k"},
		{"a URL with a parameter behind its host", "/?u=http://h&e=a@b", "/?u=http://h&e=a@b"},
		{"a broken encoding", "/%zz?%=%&sig=a%", "/%zz?%=%&sig=REDACTED"},
		{"bytes that are no text", "/\xff?sig=\xfe\x00", "/\xff?sig=REDACTED"},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := RedactTarget(tt.target)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, got, RedactTarget(got), "must be idempotent")
		})
	}
}

func TestRedactURLInFields(t *testing.T) {
	for _, tt := range []struct{ name, field, value, want string }{
		{"a referer", "Referer", "https://u:p@h/?sig=s#sig=t", "https://REDACTED@h/?sig=REDACTED#sig=REDACTED"},
		{"a referer without slashes", "Referer", "https:u:p@h/", "REDACTED@h/"},
		{"a mail address is no credential", "From", "me@example.test", "me@example.test"},
		{"a refresh", "Refresh", "5; url=http://u:p@h/?a&sig=s", "5; url=http://REDACTED@h/?a&sig=REDACTED"},
		{
			"a link keeps its other parts", "Link", `<http://u:p@h/?sig=s>; rel="next", </x?sig=t>; rel=prev`,
			`<http://REDACTED@h/?sig=REDACTED>; rel="next", </x?sig=REDACTED>; rel=prev`,
		},
		{"a relative location", "Location", "?sig=s", "?sig=REDACTED"},
		{"a rewritten path", "X-Original-URL", "/o;sig=s", "/o;sig=REDACTED"},
		{"a query alone", "X-Query-String", "sig=s&a=b", "sig=REDACTED&a=b"},
		{"a host with credentials", "Host", "u:p@h:80", "REDACTED@h:80"},
		{"a URL in an unknown field", "X-Custom", "see http://u:p@h/?sig=s for more", "see http://REDACTED@h/?sig=REDACTED"},
		{"a mail address behind a URL is kept", "User-Agent", "bot (+http://h.test; mail a@b.test)", "bot (+http://h.test; mail a@b.test)"},
		{"parameters of a media type are kept", "Content-Type", "multipart/signed; sig=x; a=b", "multipart/signed; sig=x; a=b"},
		{"JSON keeps its other parts", "Report-To", `{"url":"https://u:p@h/?sig=s","max":1}`, `{"url":"https://REDACTED@h/?sig=REDACTED","max":1}`},
		{"an address is kept", "X-Forwarded-For", "2001:db8::1, 10.0.0.1", "2001:db8::1, 10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, redactText(tt.value, shapeOf(tt.field)))
		})
	}
}

// Every way to write a URL with every way to hide a secret in it.
func TestNoSecretSurvivesInAnyURL(t *testing.T) {
	const canary = "cAnArY"
	secrets := []string{canary, canary + "%2F", "a%26" + canary, "x" + canary + "=="}
	urls := []string{
		"http://u:%@h/", "https://%@h", "//u:%@h/", "u:%@h:1", "http:/u:%@h/", "http:u:%@h", `\\u:%@h`,
		"/?sig=%", "/#sig=%", "?SIG=%", "/a;sig=%", "/?a&%53ig=%&b", "http://h?x#y&sig=%", "http://h/?u=//u:%@h",
		"http://u:/%@h", "http://u:?%@h/", "http://u:[%@h/", "http://[u:%@h/", "HTTP://u:a@%@h/", "ftp://u:%@[::1]:2/",
		"/?a=b?sig=%", "/?&&&sig=%", "/?=&sig=%", "/?a=;;sig=%;", "/??sig=%", "/##sig=%", "http://h/%zz?sig=%",
	}
	wrappers := []func(string) string{
		func(s string) string { return s },
		func(s string) string { return "/?next=" + encodeAll(s) + "&z=1" },
		func(s string) string { return "/?next=" + encodeAll(encodeAll(s)) },
	}
	for _, url := range urls {
		for _, secret := range secrets {
			for depth, wrap := range wrappers {
				if depth > 0 && !strings.Contains(url, "//u") && !strings.Contains(strings.ToLower(url), "sig") {
					continue // not a URL that anybody would find inside a parameter
				}
				plain := strings.NewReplacer("%zz", "%zz", "%53", "%53", "%", secret).Replace(url)
				text := wrap(plain)
				assert.NotContains(t, RedactTarget(text), canary, "target %q", text)
				assert.NotContains(t, RedactURL(text), canary, "URL %q", text)
			}
		}
	}
}

func TestWorkIsLinearInTheLengthOfTheText(t *testing.T) {
	for _, piece := range []string{"http://a:b/", "//a:/", "?sig=;", ";;", "%25", "=", "&amp;", "<\"", "sig=;a", "%3Bsig%3D"} {
		text := strings.Repeat(piece, 1<<20/len(piece))
		start := time.Now()
		for _, as := range []shape{prose, reference, authority} {
			redactText(text, as)
		}
		// About 30 ms; quadratic work would take minutes.
		assert.Less(t, time.Since(start), 10*time.Second, piece)
	}
}

// encodeAll percent-encodes everything but letters and digits.
func encodeAll(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

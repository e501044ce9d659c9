package transaction

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

func TestURL(t *testing.T) {
	for _, c := range []struct {
		name, method, target, hosts, remote string
		want                                URL
	}{
		{
			"origin form with Host", "GET", "/a/b?c=d?e", "x.test:8080", "10.0.0.1:8080",
			URL{"http://x.test:8080/a/b?c=d?e", "http", "x.test:8080", "x.test", 8080, "/a/b", "c=d?e"},
		},
		{
			"absolute form wins over Host", "GET", "HTTPS://u:p@y.test/a?b", "x.test", "",
			URL{"HTTPS://u:p@y.test/a?b", "https", "y.test", "y.test", 0, "/a", "b"},
		},
		{
			"absolute form without a path", "GET", "http://y.test?b", "x.test", "",
			URL{"http://y.test?b", "http", "y.test", "y.test", 0, "", "b"},
		},
		{"authority form", "CONNECT", "y.test:443", "x.test", "", URL{"", "", "y.test:443", "y.test", 443, "", ""}},
		{"asterisk form", "OPTIONS", "*", "x.test", "", URL{"http://x.test", "http", "x.test", "x.test", 0, "", ""}},
		{"asterisk form without a host", "OPTIONS", "*", "", "", URL{Scheme: "http"}},
		{"an IPv6 literal", "GET", "/", "[::1]:81", "", URL{"http://[::1]:81/", "http", "[::1]:81", "::1", 81, "/", ""}},
		{"an IPv6 literal without a port", "GET", "/", "[::1]", "", URL{"http://[::1]/", "http", "[::1]", "::1", 0, "/", ""}},
		{
			"no Host: the known server stands in", "GET", "/a", "", "10.0.0.1:8080",
			URL{"http://10.0.0.1:8080/a", "http", "10.0.0.1:8080", "10.0.0.1", 8080, "/a", ""},
		},
		{
			"no Host: a default port is left out", "GET", "/a", "", "[fd00::1]:80",
			URL{"http://[fd00::1]/a", "http", "[fd00::1]", "fd00::1", 0, "/a", ""},
		},
		{"no Host, no known server: no authority", "GET", "/a?b", "", "", URL{"/a?b", "http", "", "", 0, "/a", "b"}},
		{"a Host that is none", "GET", "/a", "x/y", "10.0.0.1:8080", URL{"/a", "http", "", "", 0, "/a", ""}},
		{"a Host with credentials is none", "GET", "/a", "u:p@x", "", URL{"/a", "http", "", "", 0, "/a", ""}},
		{"a Host with a bad port is none", "GET", "/a", "x:99999", "", URL{"/a", "http", "", "", 0, "/a", ""}},
		{"two different Hosts are none", "GET", "/a", "x y", "10.0.0.1:8080", URL{"/a", "http", "", "", 0, "/a", ""}},
		{"two equal Hosts are one", "GET", "/a", "x x", "", URL{"http://x/a", "http", "x", "x", 0, "/a", ""}},
		{"a target of no form", "GET", "a?b", "x", "", URL{"", "http", "", "", 0, "a", "b"}},
		{"a target of no scheme", "GET", "1a://x/b", "x", "", URL{"", "http", "", "", 0, "1a://x/b", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection := &Connection{Role: event.RoleClient}
			if c.remote != "" {
				connection.Remote = netip.MustParseAddrPort(c.remote)
			}
			m := &message.Message{Method: c.method, Target: c.target}
			for host := range strings.FieldsSeq(c.hosts) {
				m.Fields = append(m.Fields, message.Field{Name: "hOst", Value: host})
			}
			assert.Equal(t, c.want, (&Transaction{Connection: connection, Request: m}).URL())
		})
	}
}

func TestURLOfARequestWhoseFieldsAreMissingHasNoStandIn(t *testing.T) {
	connection := &Connection{Role: event.RoleServer, Local: netip.MustParseAddrPort("10.0.0.1:8080")}
	m := &message.Message{Method: "GET", Target: "/a"}
	transaction := &Transaction{Connection: connection, Request: m}
	assert.Equal(t, "http://10.0.0.1:8080/a", transaction.URL().Full, "the server's own end")
	m.Missing = event.Of(event.ReasonHeaderLimit)
	assert.Equal(t, "/a", transaction.URL().Full)
	assert.Equal(t, URL{}, (&Transaction{Connection: connection}).URL())
}

func FuzzURL(f *testing.F) {
	f.Add("GET", "http://[::1]:80/a?b#c", "x:80")
	f.Add("CONNECT", "a:1", "")
	f.Fuzz(func(t *testing.T, method, target, host string) {
		m := &message.Message{Method: method, Target: target, Fields: message.Fields{{Name: "Host", Value: host}}}
		u := (&Transaction{Connection: &Connection{}, Request: m}).URL()
		if strings.ContainsAny(u.Authority, "@/?# \r\n") {
			t.Fatalf("authority %q", u.Authority)
		}
	})
}

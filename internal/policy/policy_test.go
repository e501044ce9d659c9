package policy

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

func connection(role event.Role, remote string) *transaction.Connection {
	return &transaction.Connection{Role: role, Local: netip.MustParseAddrPort("10.0.0.1:4000"), Remote: netip.MustParseAddrPort(remote)}
}

func TestWanted(t *testing.T) {
	server, private, public := connection(event.RoleServer, "203.0.113.1:1"), connection(event.RoleClient, "10.0.0.2:80"), connection(event.RoleClient, "203.0.113.1:80")
	late := connection(event.RoleUnknown, "203.0.113.1:80")
	loopback, mapped := connection(event.RoleClient, "127.0.0.1:80"), connection(event.RoleServer, "[::ffff:127.0.0.1]:80")
	unix := &transaction.Connection{Role: event.RoleClient, Unix: true, Path: "/run/s"}
	for _, tt := range []struct {
		name       string
		directions Directions
		loopback   bool
		connection *transaction.Connection
		want       bool
	}{
		{"the zero value wants everything", 0, false, server, true},
		{"all wants a server's", All, false, server, true},
		{"all wants a client's", All, false, public, true},
		{"ingress wants a server's", Ingress, false, server, true},
		{"ingress does not want a client's", Ingress, false, private, false},
		{"egress wants a client's within the network", Egress, false, private, true},
		{"egress wants a client's to the outside", Egress, false, public, true},
		{"egress does not want a server's", Egress, false, server, false},
		{"internal egress wants a private address", EgressInternal, false, private, true},
		{"internal egress does not want a public address", EgressInternal, false, public, false},
		{"external egress wants a public address", EgressExternal, false, public, true},
		{"external egress does not want a private address", EgressExternal, false, private, false},
		{"what has no direction yet is wanted", Ingress, false, late, true},
		{"loopback is wanted", All, false, loopback, true},
		{"loopback is ignored on request", All, true, loopback, false},
		{"mapped loopback is ignored on request", All, true, mapped, false},
		{"other addresses are not loopback", All, true, private, true},
		{"a Unix socket is not loopback", All, true, unix, true},
		{"a Unix socket is internal", EgressInternal, false, unix, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(Config{Directions: tt.directions, IgnoreLoopback: tt.loopback})
			require.NoError(t, err)
			assert.Equal(t, tt.want, p.Wanted(tt.connection, nil))
			assert.Equal(t, tt.want, p.Wanted(tt.connection, &transaction.Transaction{Connection: tt.connection}))
		})
	}
}

func TestKeep(t *testing.T) {
	for _, tt := range []struct {
		name  string
		level transaction.Level
		limit int64
		want  int64
	}{
		{"bodies are not asked for below full", transaction.LevelHeaders, 1000, 0},
		{"a limit of zero below full asks for nothing", transaction.LevelNone, 0, 0},
		{"the limit holds at full", transaction.LevelFull, 1000, 1000},
		{"a limit of zero at full asks and keeps nothing", transaction.LevelFull, 0, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(Config{Level: tt.level, BodyLimit: tt.limit})
			require.NoError(t, err)
			assert.Equal(t, tt.want, p.Keep(nil, nil))
			assert.Equal(t, tt.level, p.Level(nil))
		})
	}
}

func TestEveryErrorOfAConfigurationIsReported(t *testing.T) {
	_, err := New(Config{Directions: 64, Level: 9, BodyLimit: -1, RedactHeaders: []string{"ok", "not ok", "", "a:b"}})
	assert.EqualError(t, err, "unknown directions 0x40\nunknown level 9\nbody limit must not be negative: -1\n"+
		"not a header field name: \"not ok\"\nnot a header field name: \"\"\nnot a header field name: \"a:b\"")
}

func TestHeadersOfAConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"nil stands for the defaults", nil, Redacted},
		{"an empty list covers nothing", []string{}, "kept"},
		{"other names replace the defaults", []string{"x-other"}, "kept"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(Config{RedactHeaders: tt.headers})
			require.NoError(t, err)
			tr := request("Cookie", "kept")
			p.Redact(tr)
			assert.Equal(t, tt.want, tr.Request.Fields[0].Value)
		})
	}
}

func TestDirectionsHaveTheirNames(t *testing.T) {
	for _, name := range []string{"all", "ingress", "egress", "egress-internal", "egress-external"} {
		var d Directions
		require.NoError(t, d.UnmarshalText([]byte(name)))
		text, err := d.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, name, string(text))
	}
	assert.EqualError(t, new(Directions).UnmarshalText([]byte("out")), `unknown direction "out", must be one of: all, ingress, egress, egress-internal, egress-external`)
	assert.Equal(t, "directions(0x3)", Directions(3).String())
}

package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRecordsTellWhatTheKernelSaw(t *testing.T) {
	const request = "GET /a HTTP/1.1\r\nHost: example.test\r\n\r\n"
	const response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	server, client := event.RoleServer, event.RoleClient
	cases := []struct {
		name string
		do   func(s *script)
		want []string
	}{
		{"an exchange", func(s *script) {
			s.open(1, server).get(1, "/a").close(1).pass(time.Second)
		}, []string{"GET /a 200 complete"}},
		{"an exchange on the client's side", func(s *script) {
			s.open(1, client).send(1, request).receive(1, response).close(1)
		}, []string{"GET /a 200 complete"}},
		{"several exchanges on one connection", func(s *script) {
			s.open(1, server).get(1, "/a").get(1, "/b").get(1, "/c").close(1)
		}, []string{"GET /a 200 complete", "GET /b 200 complete", "GET /c 200 complete"}},
		{"connections that take turns", func(s *script) {
			s.open(1, server).open(2, server)
			s.receive(1, request).receive(2, strings.Replace(request, "/a", "/b", 1))
			s.send(2, response).send(1, response)
		}, []string{"GET /b 200 complete", "GET /a 200 complete"}},
		{"a request that is never answered", func(s *script) {
			s.open(1, server).receive(1, request).close(1).pass(time.Second)
		}, []string{`GET /a  incomplete ["connection_closed","no_response"]`}},
		{"a body that ends with the connection", func(s *script) {
			s.open(1, client).send(1, request).receive(1, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
			s.finish(1, event.Receive).close(1)
		}, []string{"GET /a 200 complete"}},
		{"a body that should end with the connection, whose end was not seen", func(s *script) {
			s.open(1, client).send(1, request).receive(1, "HTTP/1.1 200 OK\r\n\r\nuntil the").close(1)
		}, []string{`GET /a 200 incomplete ["connection_closed"]`}},
		{"a body sent by an application that then closes", func(s *script) {
			s.open(1, server).receive(1, request).send(1, "HTTP/1.1 200 OK\r\n\r\nall").close(1)
		}, []string{"GET /a 200 complete"}},
		{"and by one whose connection is reset", func(s *script) {
			s.open(1, server).receive(1, request).send(1, "HTTP/1.1 200 OK\r\n\r\nall").close(1, event.FlagReset)
		}, []string{`GET /a 200 incomplete ["connection_closed"]`}},
		{"a hole in a body of known length", func(s *script) {
			s.open(1, server).receive(1, request).send(1, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
			s.lose(1, event.Send, 4).send(1, "ghij").get(1, "/b").close(1).pass(time.Second)
		}, []string{`GET /a 200 truncated ["ring_full"]`, "GET /b 200 complete"}},
		{"a hole in which messages were lost", func(s *script) {
			s.open(1, server).receive(1, request).send(1, response)
			s.lose(1, event.Receive, 20).receive(1, "Host: x\r\n\r\n").send(1, response).pass(time.Second)
			s.get(1, "/c").get(1, "/d").close(1).pass(time.Second)
		}, []string{
			"GET /a 200 complete", `  200 incomplete ["no_request"]`,
			`GET /c 200 incomplete ["ring_full"]`, "GET /d 200 complete",
		}},
		{"bytes that were not copied beyond the budget", func(s *script) {
			s.open(1, server).receive(1, request)
			const head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
			s.move(1, event.Send, head+"abc", len(head)+1_000_000)
			s.get(1, "/b")
		}, []string{`GET /a 200 truncated ["body_limit"]`, "GET /b 200 complete"}},
		{"a connection whose open record was lost", func(s *script) {
			s.get(1, "/a").close(1).pass(time.Second)
		}, []string{"GET /a 200 complete"}},
		{"a connection that is older: its first exchange may be the text of a body", func(s *script) {
			s.open(1, event.RoleUnknown, func(o *event.Open) { o.Flags = event.FlagLate })
			s.get(1, "/a").get(1, "/b").close(1).pass(time.Second)
		}, []string{`GET /a 200 incomplete ["joined_late"]`, "GET /b 200 complete"}},
		{"a request in the body of a response, before the role was known", func(s *script) {
			s.lose(1, event.Send, 20).send(1, "POST /text HTTP/1.1\r\n\r\n").pass(time.Second).open(1, server)
			s.get(1, "/a").get(1, "/b").close(1).pass(time.Second)
		}, []string{
			`POST /text  incomplete ["ring_full","no_response"]`,
			`GET /a 200 incomplete ["ring_full"]`, "GET /b 200 complete",
		}},
		{"a connection that is open at the end", func(s *script) {
			s.open(1, server).receive(1, request)
		}, []string{`GET /a  incomplete ["no_response","shutdown"]`}},
		{"a transaction that stands still", func(s *script) {
			s.open(1, server).receive(1, request).pass(4 * time.Minute).pass(time.Minute + time.Second)
			s.send(1, response).pass(time.Second).get(1, "/b").get(1, "/c").close(1)
		}, []string{
			`GET /a  incomplete ["no_response","idle"]`, `  200 incomplete ["no_request"]`,
			`GET /b 200 incomplete ["idle"]`, "GET /c 200 complete",
		}},
		{"a connection that turns into something else", func(s *script) {
			s.open(1, server).receive(1, "GET /chat HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
			s.send(1, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
			s.send(1, "GET /not HTTP/1.1\r\n\r\n").receive(1, "\x81\x02hi").close(1)
		}, []string{"GET /chat 101 complete"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			c.do(s)
			s.pass(time.Second)
			out, _, stats := play(t, configuration(t, transaction.LevelFull), s)
			assert.Equal(t, c.want, out.requests())
			assert.Zero(t, stats.Malformed)
			assert.Len(t, out.values, len(c.want), "one object each")
			assert.Len(t, out.ofType("artifact_record"), len(c.want))
		})
	}
}

func TestConnectionEventsTellTheirEnd(t *testing.T) {
	unix := func(o *event.Open) { o.Family, o.Path = familyUnix, "/run/x.sock" }
	with := func(p event.Protocol) func(*event.Open) { return func(o *event.Open) { o.Protocol = p } }
	cases := []struct {
		name string
		do   func(s *script)
		want []string
	}{
		{
			"a close", func(s *script) { s.open(1, event.RoleServer).get(1, "/").close(1) },
			[]string{`1 transactions, 38 received, 40 sent, 3.5 ms`},
		},
		{
			"a reset", func(s *script) { s.open(1, event.RoleServer).get(1, "/").close(1, event.FlagReset) },
			[]string{`1 transactions, 38 received, 40 sent, 3.5 ms, connection_reset`},
		},
		{
			"the shutdown", func(s *script) { s.open(1, event.RoleServer).get(1, "/") },
			[]string{`1 transactions, 38 received, 40 sent, ["shutdown"]`},
		},
		{"a protocol that is not read", func(s *script) {
			s.open(1, event.RoleServer, with(event.ProtocolTLS)).receive(1, "\x16\x03\x01").close(1)
		}, []string{`0 transactions, 3 received, 0 sent, 2.5 ms, tls`}},
		{"a Unix connection of which both directions have ended", func(s *script) {
			s.open(1, event.RoleServer, unix).get(1, "/").finish(1, event.Receive).finish(1, event.Send)
			s.open(2, event.RoleServer).close(2)
		}, []string{`1 transactions, 38 received, 40 sent, 4.5 ms`, `0 transactions, 0 received, 0 sent, 1.5 ms`}},
		{"a Unix connection that is silent", func(s *script) {
			s.open(1, event.RoleServer, unix).get(1, "/").pass(9 * time.Minute).pass(72 * time.Second)
			s.open(2, event.RoleServer).close(2)
		}, []string{`1 transactions, 38 received, 40 sent, ["idle"]`, `0 transactions, 0 received, 0 sent, 1.5 ms`}},
		{"a TCP connection that is silent for long", func(s *script) {
			s.open(1, event.RoleServer).get(1, "/").pass(59 * time.Minute).pass(2 * time.Minute)
			s.open(2, event.RoleServer).close(2)
		}, []string{`1 transactions, 38 received, 40 sent, ["idle"]`, `0 transactions, 0 received, 0 sent, 1.5 ms`}},
		{"a close before the last bytes", func(s *script) {
			s.open(1, event.RoleServer).lose(1, event.Receive, 5).close(1).open(2, event.RoleServer).close(2).pass(time.Second)
		}, []string{`0 transactions, 0 received, 0 sent, 1.5 ms`, `0 transactions, 5 received, 0 sent, 1.5 ms, ["not_seen"]`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			c.do(s)
			out, _, _ := play(t, configuration(t, transaction.LevelNone), s.pass(0))
			var lines []string
			for _, r := range out.ofType("connection") {
				parts := []string{fmt.Sprintf("%s transactions, %s received, %s sent",
					text(r, "qtap.transactions"), text(r, "qtap.bytes_received"), text(r, "qtap.bytes_sent"))}
				if d := text(r, "qtap.duration_ms"); d != "" {
					parts = append(parts, d+" ms")
				}
				for _, key := range []string{"qtap.opaque", "error.type", "qtap.missing"} {
					if v := text(r, key); v != "" {
						parts = append(parts, v)
					}
				}
				lines = append(lines, strings.Join(parts, ", "))
			}
			assert.Equal(t, c.want, lines)
		})
	}
}

func TestTimesAreThoseOfTheCalendar(t *testing.T) {
	s := newScript().open(1, event.RoleServer).get(1, "/").pass(0)
	out, _, _ := play(t, configuration(t, transaction.LevelNone), s)
	requests := out.ofType("request")
	require.Len(t, requests, 1)
	assert.Equal(t, scriptWall+2*int64(millisecond), requests[0].Timestamp().AsTime().UnixNano(),
		"although the mark came after the transaction")
}

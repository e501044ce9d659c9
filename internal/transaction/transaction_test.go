package transaction

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

func TestDirection(t *testing.T) {
	for _, c := range []struct {
		name   string
		role   event.Role
		unix   bool
		remote string
		want   string
	}{
		{"who answers sees ingress, whoever asks", event.RoleServer, false, "8.8.8.8:1", "ingress"},
		{"a public address is external", event.RoleClient, false, "8.8.8.8:443", "egress-external"},
		{"a public IPv6 address is external", event.RoleClient, false, "[2001:4860::8888]:443", "egress-external"},
		{"loopback is internal", event.RoleClient, false, "127.8.0.1:80", "egress-internal"},
		{"IPv6 loopback is internal", event.RoleClient, false, "[::1]:80", "egress-internal"},
		{"RFC 1918 is internal", event.RoleClient, false, "172.31.255.1:80", "egress-internal"},
		{"beside RFC 1918 is external", event.RoleClient, false, "172.32.0.1:80", "egress-external"},
		{"RFC 4193 is internal", event.RoleClient, false, "[fd00::1]:80", "egress-internal"},
		{"link-local is internal", event.RoleClient, false, "169.254.169.254:80", "egress-internal"},
		{"IPv6 link-local is internal", event.RoleClient, false, "[fe80::1]:80", "egress-internal"},
		{"shared addresses are internal", event.RoleClient, false, "100.127.0.1:80", "egress-internal"},
		{"beside shared addresses is external", event.RoleClient, false, "100.128.0.1:80", "egress-external"},
		{"IPv4 in IPv6 counts as IPv4", event.RoleClient, false, "[::ffff:10.0.0.1]:80", "egress-internal"},
		{"Unix sockets are internal", event.RoleClient, true, "", "egress-internal"},
		{"an unknown address is unknown", event.RoleClient, false, "", ""},
		{"an unknown role is unknown", event.RoleUnknown, false, "8.8.8.8:1", ""},
	} {
		connection := &Connection{Role: c.role, Unix: c.unix}
		if c.remote != "" {
			connection.Remote = netip.MustParseAddrPort(c.remote)
		}
		transaction := &Transaction{Connection: connection}
		assert.Equal(t, c.want, transaction.Direction().String(), c.name)
	}
}

func at(first, end uint64, pid uint32) *message.Message {
	return &message.Message{First: event.Stamp{Time: first, PID: pid, Generation: uint64(pid)}, End: end}
}

func TestTimes(t *testing.T) {
	whole := &Transaction{Request: at(10, 20, 1), Response: at(30, 50, 1)}
	assert.EqualValues(t, 10, whole.StartTime())
	assert.EqualValues(t, 30, whole.FirstByteTime())
	assert.EqualValues(t, 50, whole.EndTime())
	d, ok := whole.Duration()
	assert.True(t, ok)
	assert.Equal(t, 40*time.Nanosecond, d)
	d, ok = whole.TimeToFirstByte()
	assert.True(t, ok)
	assert.Equal(t, 20*time.Nanosecond, d)

	unanswered := &Transaction{Request: at(10, 20, 1)}
	assert.EqualValues(t, 20, unanswered.EndTime())
	assert.Zero(t, unanswered.FirstByteTime())
	_, ok = unanswered.Duration()
	assert.False(t, ok)

	unasked := &Transaction{Response: at(30, 50, 1)}
	assert.EqualValues(t, 30, unasked.StartTime())
	assert.EqualValues(t, 50, unasked.EndTime())
	_, ok = unasked.TimeToFirstByte()
	assert.False(t, ok)

	assert.EqualValues(t, 9, (&Transaction{Request: at(9, 3, 1)}).EndTime(), "the end is never before the start")
}

func TestProcess(t *testing.T) {
	for _, c := range []struct {
		name              string
		role              event.Role
		request, response *message.Message
		want              uint32
	}{
		{"the server's process sent the response", event.RoleServer, at(1, 1, 1), at(1, 1, 2), 2},
		{"or else received the request", event.RoleServer, at(1, 1, 1), nil, 1},
		{"the client's process sent the request", event.RoleClient, at(1, 1, 1), at(1, 1, 2), 1},
		{"or else received the response", event.RoleClient, nil, at(1, 1, 2), 2},
		{"or else used the connection first", event.RoleClient, at(1, 1, 0), nil, 9},
	} {
		transaction := &Transaction{Connection: &Connection{Role: c.role, Process: ProcessKey{PID: 9}}, Request: c.request, Response: c.response}
		assert.Equal(t, c.want, transaction.Process().PID, c.name)
	}
}

func TestCompleteness(t *testing.T) {
	whole := func() *message.Message { return &message.Message{} }
	cut := func() *message.Message {
		return &message.Message{Body: message.Body{Size: 9, Missing: event.Of(event.ReasonBodyLimit)}}
	}
	endless := func() *message.Message { return &message.Message{Body: message.Body{Size: message.SizeUnknown}} }
	marked := func() *message.Message { return &message.Message{Missing: event.Of(event.ReasonRingFull)} }
	for _, c := range []struct {
		name              string
		level             Level
		request, response *message.Message
		missing           event.Reasons
		want              string
	}{
		{"nothing is missing", LevelFull, whole(), whole(), 0, "complete"},
		{"body bytes of known number are missing", LevelFull, whole(), cut(), 0, "truncated body_limit"},
		{"bodies that are not shown do not count", LevelHeaders, cut(), cut(), 0, "complete"},
		{"an end that was not seen", LevelNone, whole(), endless(), 0, "incomplete"},
		{"a marked message", LevelNone, marked(), whole(), 0, "incomplete ring_full"},
		{"a marked message and a cut body", LevelFull, marked(), cut(), 0, "incomplete body_limit ring_full"},
		{"a doubtful pairing", LevelNone, whole(), whole(), event.Of(event.ReasonPipelined), "incomplete pipelined"},
		{"no response", LevelNone, whole(), nil, event.Of(event.ReasonNoResponse), "incomplete no_response"},
		{"no response, even unmarked", LevelNone, whole(), nil, 0, "incomplete"},
	} {
		got, reasons := (&Transaction{Request: c.request, Response: c.response, Missing: c.missing}).Completeness(c.level)
		assert.Equal(t, c.want, strings.TrimSpace(got.String()+" "+strings.Join(reasons.Names(), " ")), c.name)
	}
}

func TestTraceparent(t *testing.T) {
	const valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for value, want := range map[string]bool{
		valid:                      true,
		"cc" + valid[2:]:           true,
		"cc" + valid[2:] + "-what": true,
		"cc" + valid[2:] + "x":     false,
		"ff" + valid[2:]:           false,
		valid + "-":                false,
		valid[:54]:                 false,
		"":                         false,
		strings.ToUpper(valid):     false,
		strings.Replace(valid, "b7ad6b7169203331", "0000000000000000", 1):                      false,
		strings.Replace(valid, "0af7651916cd43dd8448eb211c80319c", strings.Repeat("0", 32), 1): false,
		strings.Replace(valid, "-b7", "_b7", 1):                                                false,
	} {
		trace, ok := ParseTraceparent(value)
		assert.Equal(t, want, ok, value)
		if ok {
			assert.EqualValues(t, 0x0a, trace.TraceID[0])
			assert.EqualValues(t, 0x31, trace.SpanID[7])
			assert.EqualValues(t, 1, trace.Flags)
		}
	}
	field := message.Field{Name: "TraceParent", Value: valid}
	_, ok := (&Transaction{Request: &message.Message{Fields: message.Fields{field}}}).Trace()
	assert.True(t, ok)
	_, ok = (&Transaction{Request: &message.Message{Fields: message.Fields{field, field}}}).Trace()
	assert.False(t, ok, "two are none")
	_, ok = (&Transaction{}).Trace()
	assert.False(t, ok)
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Fuzz(func(t *testing.T, s string) {
		trace, ok := ParseTraceparent(s)
		if ok && (trace.TraceID == [16]byte{} || trace.SpanID == [8]byte{}) {
			t.Fatal("zero identifiers")
		}
	})
}

package pipeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// session makes the next data plaintext of a TLS session.
func (s *script) session(flags event.Flags) *script {
	s.flags |= flags
	s.source = event.SourceGo
	return s
}

// TestAWriteThatIsToldOfBeforeItsSessionIsRead: two threads use a session that
// was not known. The one that reads announces it, the one that writes has begun
// before, and records are in the order of time.
func TestAWriteThatIsToldOfBeforeItsSessionIsRead(t *testing.T) {
	for _, x := range []struct {
		name     string
		flags    event.Flags
		expected string
	}{
		{"of a session that is seen from its beginning", 0, "GET /written 200 complete"},
		{"of a session that is older than its probes", event.FlagLate, `GET /written 200 incomplete ["joined_late"]`},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newScript().open(1, event.RoleClient, func(o *event.Open) { o.Protocol = event.ProtocolTLS })
			s.session(x.flags).send(1, "GET /written HTTP/1.1\r\nHost: example.test\r\n\r\n")
			s.open(1, event.RoleClient, func(o *event.Open) { o.Source, o.Flags = event.SourceGo, x.flags })
			s.session(x.flags).receive(1, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			out, _, _ := play(t, configuration(t, transaction.LevelSummary), s.close(1).pass(time.Second))
			assert.Equal(t, []string{x.expected}, out.requests())
			for _, r := range out.ofType("connection") {
				assert.Equal(t, "go", text(r, "qtap.capture.source"))
				assert.Empty(t, text(r, "qtap.missing"))
			}
		})
	}
}

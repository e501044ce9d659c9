package transaction

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// ownerLog is an Owner that writes down what it is given.
type ownerLog struct {
	given  []*Transaction
	opaque []event.Direction
	keeps  int
}

func (o *ownerLog) Keep(t *Transaction, m *message.Message) int64 {
	if m != t.Request && m != t.Response {
		panic("Keep asked for a message of another transaction")
	}
	o.keeps++
	return 5
}
func (o *ownerLog) Emit(t *Transaction)      { o.given = append(o.given, t) }
func (o *ownerLog) Opaque(d event.Direction) { o.opaque = append(o.opaque, d) }

func (o *ownerLog) story() []string {
	var all []string
	for _, t := range o.given {
		request, response := "-", "-"
		if t.Request != nil {
			request = t.Request.Target
		}
		if t.Response != nil {
			response = t.Response.Phrase
		}
		line := request + " " + response
		if t.Missing != 0 {
			line += " " + strings.Join(t.Missing.Names(), ",")
		}
		all = append(all, line)
	}
	return all
}

// server is a connection on the server's side: requests are received.
type server struct {
	*Pairing
	owner *ownerLog
	clock uint64
}

func newServer(c *Connection) *server {
	o := &ownerLog{}
	return &server{Pairing: NewPairing(c, o), owner: o}
}

func (s *server) request(target string) *message.Message {
	s.clock++
	m := &message.Message{Kind: message.Request, Method: "GET", Target: target, First: event.Stamp{Time: s.clock, PID: 1}}
	s.Sink(event.Receive).Head(m)
	return m
}

func (s *server) response(phrase string, status int) *message.Message {
	s.clock++
	m := &message.Message{Kind: message.Response, Status: status, Phrase: phrase, First: event.Stamp{Time: s.clock, PID: 2}, Upgrade: status == 101}
	s.Sink(event.Send).Head(m)
	return m
}

// play runs a script: ">a" begins request a, "a>" ends it, "<a" and "a<" the
// same for a response; ">a>" and "<a<" do both; "<1" is a 100 Continue.
func (s *server) play(script string) {
	messages := map[string]*message.Message{}
	for step := range strings.FieldsSeq(script) {
		name := strings.Trim(step, "<>")
		switch {
		case step == "lost>":
			s.Sink(event.Receive).Lost(event.ReasonRingFull)
			continue
		case step == "lost<":
			s.Sink(event.Send).Lost(event.ReasonRingFull)
			continue
		case step == "opaque<":
			s.Sink(event.Send).Opaque()
			continue
		case step == "close":
			s.Close(true, event.ReasonConnectionClosed)
			continue
		case step == "<1":
			s.Sink(event.Send).Done(s.response("", 100))
			continue
		}
		if step[0] == '>' {
			messages[">"+name] = s.request(name)
		}
		if step[0] == '<' {
			messages["<"+name] = s.response(name, 200)
		}
		switch step[len(step)-1] {
		case '>':
			s.Sink(event.Receive).Done(messages[">"+name])
		case '<':
			s.Sink(event.Send).Done(messages["<"+name])
		}
	}
}

func TestPairing(t *testing.T) {
	for _, c := range []struct {
		name, script string
		late         bool
		want         []string
	}{
		{"one after the other", ">a> <a< >b> <b<", false, []string{"a a", "b b"}},
		{"pipelined requests are answered in order", ">a> >b> >c> <a< <b< <c<", false, []string{"a a", "b b", "c c"}},
		{"an early response waits for the end of its request", ">a <a< a>", false, []string{"a a"}},
		{"an early response is given once the connection ends", ">a <a a< close", false, []string{"a a connection_closed"}},
		{"interim responses end nothing", ">a <1 <1 a> <a<", false, []string{"a a"}},
		{"a request that is never answered", ">a> close", false, []string{"a - connection_closed,no_response"}},
		{"a response without a request", "<a< >b> <b<", false, []string{"- a no_request", "b b"}},
		{
			"a request that begins during the answer to a missed one pipelines", "<a >b> a< <b<", false,
			[]string{"- a no_request,pipelined", "b b pipelined"},
		},
		{"a loss gives up what waits", ">a> lost> >b> <b<", false, []string{"a - ring_full,no_response", "b b"}},
		{"a loss does not part what is together", ">a> <a lost> a< >b> <b<", false, []string{"a a", "b b"}},
		{"a request that is still sent is given when it ends", ">a lost< a> >b> <b<", false, []string{"a - ring_full,no_response", "b b"}},
		{
			"after a loss, pipelining is doubted for good", ">a> lost> >b> >c> <b< <c< >d> <d<", false,
			[]string{"a - ring_full,no_response", "b b pipelined", "c c pipelined", "d d pipelined"},
		},
		{
			"after pipelining, a loss is doubted for good", ">a> >b> <a< <b< lost< >c> <c<", false,
			[]string{"a a", "b b", "c c pipelined"},
		},
		{"a late connection that pipelines", ">a> >b> <a< <b<", true, []string{"a a pipelined", "b b pipelined"}},
		{"a late connection that does not", ">a> <a< >b> <b<", true, []string{"a a", "b b"}},
		{
			"no answer follows where the responses are not HTTP", ">a> opaque< >b> close", false,
			[]string{"a - malformed,no_response", "b - no_response"},
		},
		{"no answer follows where something else spoke first", "opaque< >a> close", false, []string{"a - no_response"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(&Connection{Late: c.late})
			s.play(c.script)
			assert.Equal(t, c.want, s.owner.story())
			assert.Zero(t, s.Open())
			for i, given := range s.owner.given {
				assert.LessOrEqual(t, given.Sequence, uint64(len(s.owner.given)), "%d", i)
			}
		})
	}
}

func TestARequestIsNotAnsweredByAResponseThatBeganBeforeIt(t *testing.T) {
	for _, c := range []struct {
		responseTime uint64
		want         string
	}{{9, "- x no_request"}, {10, "a x"}, {11, "a x"}} {
		s := newServer(&Connection{})
		s.clock = 9
		s.play(">a>")
		s.clock = c.responseTime - 1
		s.play("<x<")
		assert.Equal(t, []string{c.want}, s.owner.story(), "%d", c.responseTime)
	}
}

func TestARequestDeliveredAfterItsAnswerDoesNotTakeTheNextOne(t *testing.T) {
	s := newServer(&Connection{})
	s.clock = 10
	s.play("<a<") // began at 11
	s.clock = 9
	s.play(">a>") // began at 10
	s.clock = 20
	s.play(">b> <b<")
	assert.Equal(t, []string{"- a no_request", "a - no_response", "b b"}, s.owner.story())
}

func TestARequestFromTheOtherSideIsGivenAlone(t *testing.T) {
	s := newServer(&Connection{})
	s.play(">a>")
	m := &message.Message{Kind: message.Request, Target: "reverse", First: event.Stamp{Time: 5}}
	s.Sink(event.Send).Head(m)
	s.Sink(event.Send).Done(m)
	s.play("<a<")
	assert.Equal(t, []string{"reverse - no_response", "a a"}, s.owner.story())
}

// FuzzPairing gives the pairing messages in any order and checks that each one
// is given back once, and that nothing grows.
func FuzzPairing(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3})
	f.Add([]byte{0, 0, 2, 4, 1, 1, 3, 5, 2, 6, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		s := newServer(&Connection{Late: len(script)%2 == 0})
		var request, response *message.Message // in progress
		begun := map[*message.Message]bool{}
		for _, step := range script {
			s.clock += uint64(step >> 4)
			switch step & 7 {
			case 0, 1:
				if request == nil {
					request = s.request("")
					begun[request] = true
				}
			case 2:
				if response == nil {
					response = s.response("", 200)
					begun[response] = true
				}
			case 3:
				if request != nil {
					s.Sink(event.Receive).Done(request)
					request = nil
				}
			case 4:
				if response != nil {
					s.Sink(event.Send).Done(response)
					response = nil
				}
			case 5:
				s.Sink(event.Direction(step >> 7)).Lost(event.ReasonRingFull)
			case 6:
				s.Sink(event.Send).Done(s.response("", 103))
			case 7:
				s.clock -= min(s.clock, 3)
			}
			require.LessOrEqual(t, s.Open(), maxOutstanding+2)
		}
		for d, m := range []*message.Message{event.Send: response, event.Receive: request} {
			if m != nil {
				s.Sink(event.Direction(d)).Done(m)
			}
		}
		s.Close(true, event.ReasonConnectionClosed)
		require.Zero(t, s.Open())
		for _, given := range s.owner.given {
			for _, m := range []*message.Message{given.Request, given.Response} {
				if m != nil {
					require.True(t, begun[m], "given twice, or never begun")
					delete(begun, m)
				}
			}
			if how, _ := given.Completeness(LevelNone); how == Complete {
				require.LessOrEqual(t, given.Request.First.Time, given.Response.First.Time)
			}
		}
		require.Empty(t, begun)
	})
}

func TestPairingLearnsTheRole(t *testing.T) {
	for _, c := range []struct {
		direction event.Direction
		kind      message.Kind
		want      event.Role
	}{
		{event.Send, message.Request, event.RoleClient},
		{event.Receive, message.Request, event.RoleServer},
		{event.Send, message.Response, event.RoleServer},
		{event.Receive, message.Response, event.RoleClient},
	} {
		connection := &Connection{}
		p := NewPairing(connection, &ownerLog{})
		p.Sink(c.direction).Head(&message.Message{Kind: c.kind, Status: 200})
		assert.Equal(t, c.want, connection.Role)
	}
}

func TestPairingTellsWhatIsExpected(t *testing.T) {
	s := newServer(&Connection{})
	_, ok := s.Sink(event.Send).Expect()
	assert.False(t, ok)
	s.play(">a>")
	method, ok := s.Sink(event.Send).Expect()
	assert.True(t, ok)
	assert.Equal(t, "GET", method)
	_, ok = s.Sink(event.Receive).Expect()
	assert.False(t, ok, "the client is not expected to answer")
	s.play("<1")
	_, ok = s.Sink(event.Send).Expect()
	assert.True(t, ok, "an interim response is not the answer")
	s.play("<a")
	_, ok = s.Sink(event.Send).Expect()
	assert.False(t, ok)
	assert.Equal(t, 1, s.open[0].Interim)
}

func TestAnUpgradeEndsBothDirections(t *testing.T) {
	s := newServer(&Connection{})
	s.play(">a> >b>")
	s.Sink(event.Send).Done(s.response("up", 101))
	s.Sink(event.Send).Opaque()
	assert.Equal(t, []string{"a up", "b - no_response"}, s.owner.story())
	assert.Equal(t, []event.Direction{event.Send, event.Receive}, s.owner.opaque)
}

func TestPipeliningWithoutEndIsBounded(t *testing.T) {
	s := newServer(&Connection{})
	for i := range 10 * maxOutstanding {
		s.Sink(event.Receive).Done(s.request(strconv.Itoa(i)))
		require.LessOrEqual(t, s.Open(), maxOutstanding)
	}
	s.Close(false, event.ReasonConnectionClosed)
	require.Len(t, s.owner.given, 10*maxOutstanding)
	for i, given := range s.owner.given {
		assert.Equal(t, strconv.Itoa(i), given.Request.Target)
		assert.True(t, given.Missing.Has(event.ReasonNoResponse))
	}
	assert.True(t, s.owner.given[0].Missing.Has(event.ReasonMemoryBudget))
	assert.True(t, s.connection.Reset)
}

func TestClosingUnderAMessageInProgressLeavesItToItsParser(t *testing.T) {
	s := newServer(&Connection{})
	m := s.request("a")
	m.Held = 9
	s.Close(false, event.ReasonShutdown)
	require.Equal(t, []string{"a - no_response,shutdown"}, s.owner.story())
	given := s.owner.given[0]
	assert.NotSame(t, m, given.Request)
	assert.Zero(t, given.Request.Held)
	assert.Equal(t, Incomplete, must(given.Completeness(LevelNone)))
	s.Sink(event.Receive).Done(m)
	assert.Len(t, s.owner.given, 1)
}

func must(c Completeness, _ event.Reasons) Completeness { return c }

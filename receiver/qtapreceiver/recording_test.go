package qtapreceiver

import (
	"context"
	"flag"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/replay"
)

var update = flag.Bool("update", false, "write testdata/get.qtap anew")

const (
	request  = "GET /shop?item=7 HTTP/1.1\r\nHost: example.test\r\nAuthorization: secret\r\n\r\n"
	response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
)

// conversation is what the kernel side tells of a client on a fresh
// connection. Without the response, the connection stays open.
func conversation(answered bool) []byte {
	at := uint64(1000 * time.Second)
	header := func() event.Header {
		at += uint64(time.Millisecond)
		return event.Header{Time: at, Connection: 1, Generation: 1, PID: 100, TID: 100, Flags: event.FlagBegins}
	}
	records := event.AppendProcess(nil, &event.Process{Header: header(), UID: 0, PPID: 1, Comm: "curl", Exe: []string{"curl", "bin", "usr"}})
	records = event.AppendOpen(records, &event.Open{
		Header: header(), Handle: 7, Opened: at, Family: 2, Role: event.RoleClient, Protocol: event.ProtocolHTTP1,
		LocalPort: 40000, RemotePort: 80, Local: [16]byte{10, 0, 0, 1}, Remote: [16]byte{93, 184, 216, 34},
	})
	records = event.AppendData(records, &event.Data{Header: header(), Size: uint32(len(request)), Direction: event.Send, Payload: []byte(request)})
	if answered {
		records = event.AppendData(records, &event.Data{Header: header(), Size: uint32(len(response)), Direction: event.Receive, Payload: []byte(response)})
		records = event.AppendClose(records, &event.Close{Header: header(), Sent: uint64(len(request)), Received: uint64(len(response))})
	}
	loss := event.Loss{Header: header()}
	loss.Counts[event.CallsSeen] = 5
	loss.Counts[event.CallsSubmitted] = 2
	loss.Counts[event.CallsFiltered] = 3
	records = event.AppendLoss(records, &loss)
	return event.AppendMark(records, &event.Mark{Header: header(), Wall: 1_700_000_000_000_000_000})
}

func TestTheRecordingOfTheLifecycleTestIsAConversation(t *testing.T) {
	want := append([]byte(replay.Magic), conversation(true)...)
	if *update {
		require.NoError(t, os.WriteFile("testdata/get.qtap", want, 0o600))
	}
	got, err := os.ReadFile("testdata/get.qtap")
	require.NoError(t, err)
	assert.Equal(t, want, got, "run go test -update")
}

// watched is an event source as the kernel is one: it delivers records and
// goes on until it is stopped, or fails.
type watched struct {
	records   []byte
	err       error
	delivered chan struct{} // closed when the records were taken; may be nil
	closed    atomic.Int32
}

func (w *watched) Run(ctx context.Context, deliver func(*event.Batch)) error {
	deliver(&event.Batch{Records: w.records})
	if w.delivered != nil {
		close(w.delivered)
	}
	if w.err != nil {
		return w.err
	}
	<-ctx.Done()
	return nil
}

func (*watched) Ignore(uint64, uint64) {}

func (w *watched) Close() error {
	w.closed.Add(1)
	return nil
}

package replay

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

func TestASelectionKeepsItsConnectionsAndTheirProcesses(t *testing.T) {
	open := func(id uint64, pid uint32, edit func(*event.Open)) []byte {
		o := event.Open{Header: event.Header{Connection: id, PID: pid}}
		edit(&o)
		return event.AppendOpen(nil, &o)
	}
	data := func(id uint64, pid uint32) []byte {
		return event.AppendData(nil, &event.Data{Header: event.Header{Connection: id, PID: pid}, Size: 1, Payload: []byte("x")})
	}
	ended := func(id uint64) []byte {
		return event.AppendClose(nil, &event.Close{Header: event.Header{Connection: id}})
	}
	described := func(pid uint32) []byte {
		return event.AppendProcess(nil, &event.Process{Header: event.Header{PID: pid}})
	}
	local := func(o *event.Open) { o.LocalPort, o.NetNS = 80, 5 }
	remote := func(o *event.Open) { o.RemotePort = 80 }
	other := func(o *event.Open) { o.LocalPort, o.NetNS = 81, 5 }
	unix := func(o *event.Open) { o.Path = "/run/x.sock" }
	batches := func() [][]byte {
		return [][]byte{
			bytes.Join([][]byte{described(1), described(2), open(10, 1, local), data(10, 1), markRecord()}, nil),
			bytes.Join([][]byte{open(11, 2, other), data(11, 2), ended(11), data(99, 2)}, nil),
			bytes.Join([][]byte{open(12, 2, remote), data(12, 2), ended(10), data(10, 1)}, nil),
			bytes.Join([][]byte{open(13, 1, unix), data(13, 1)}, nil),
		}
	}
	cases := []struct {
		name      string
		selection Selection
		want      [][]byte
	}{
		{"nothing selects everything", Selection{}, batches()},
		{"a port, on either end", Selection{Ports: []uint16{80}}, [][]byte{
			described(1), open(10, 1, local), data(10, 1), markRecord(),
			described(2), open(12, 2, remote), data(12, 2), ended(10),
		}},
		{"a Unix socket", Selection{Paths: []string{"/run/x.sock"}}, [][]byte{
			markRecord(), described(1), open(13, 1, unix), data(13, 1),
		}},
		{"a network namespace", Selection{NetNS: 5}, [][]byte{
			described(1), open(10, 1, local), data(10, 1), markRecord(),
			described(2), open(11, 2, other), data(11, 2), ended(11), ended(10),
		}},
		{"a port in a network namespace", Selection{NetNS: 5, Ports: []uint16{80}}, [][]byte{
			described(1), open(10, 1, local), data(10, 1), markRecord(), ended(10),
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			_, err := Record(context.Background(), Select(&script{batches: batches()}, c.selection), &out)
			require.NoError(t, err)
			assert.Equal(t, Magic+string(bytes.Join(c.want, nil)), out.String())
		})
	}
}

func TestProcessesThatWaitForASelectedConnectionAreBounded(t *testing.T) {
	s, ok := Select(&script{}, Selection{Ports: []uint16{80}}).(*selected)
	require.True(t, ok)
	for pid := range uint32(2 * maxUnseen) {
		s.append(nil, event.AppendProcess(nil, &event.Process{Header: event.Header{PID: pid}}))
	}
	assert.Len(t, s.unseen, maxUnseen)
}

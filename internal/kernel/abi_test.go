//go:build linux

package kernel

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// The C structures of bpf/event.h are compared with what internal/event reads
// by decoding through the offsets in the object's BTF what the Go side wrote.

var header = event.Header{
	Flags: event.FlagLate | event.FlagBegins, CPU: 0x1234, Time: 0x1122334455667788,
	Connection: 0x99aabbccddeeff00, Generation: 0x0102030405060708, PID: 0x0a0b0c0d, TID: 0x1a1b1c1d,
}

func structOf(t *testing.T, types *btf.Spec, name string) *btf.Struct {
	t.Helper()
	var found *btf.Struct
	require.NoError(t, types.TypeByName(name, &found))
	return found
}

// field returns the bytes that the C side finds in a member.
func field(t *testing.T, record []byte, s *btf.Struct, name string) []byte {
	t.Helper()
	for _, member := range s.Members {
		if member.Name == name {
			size, err := btf.Sizeof(member.Type)
			require.NoError(t, err)
			return record[member.Offset.Bytes():][:size]
		}
	}
	t.Fatalf("struct %s has no member %s", s.Name, name)
	return nil
}

func number(b []byte) uint64 {
	var wide [8]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:])
}

func TestRecordsHaveOneLayoutInCAndGo(t *testing.T) {
	spec, err := loadQtap()
	require.NoError(t, err)

	open := event.Open{
		Header: header, Handle: 11, Opened: 12, NetNS: 13, UID: 14, Family: 15, LocalPort: 16, RemotePort: 17,
		Role: 18, Protocol: 19, Local: [16]byte{20, 15: 21}, Remote: [16]byte{22, 15: 23}, Path: "/run/a",
	}
	data := event.Data{Header: header, Position: 31, Size: 32, Direction: event.Receive, Source: 34, Reason: 35, Payload: []byte("abc")}
	finish := event.Finish{Header: header, Position: 41, Direction: event.Receive}
	closed := event.Close{Header: header, Sent: 51, Received: 52}
	process := event.Process{Header: header, UID: 61, PPID: 62, Comm: "sh", Exe: []string{"sh"}, CgroupV2: []string{"a", "b"}, CgroupV1: []string{"c"}}

	for _, test := range []struct {
		name    string
		record  []byte
		payload int // bytes after the fixed part
		kind    event.Kind
		want    map[string]uint64
	}{
		{"record_open", event.AppendOpen(nil, &open), 0, event.KindOpen, map[string]uint64{
			"handle": 11, "opened_ns": 12, "netns": 13, "uid": 14, "family": 15, "local_port": 16,
			"remote_port": 17, "role": 18, "protocol": 19,
		}},
		{"record_data", event.AppendData(nil, &data), 3, event.KindData, map[string]uint64{
			"position": 31, "size": 32, "captured": 3, "direction": 1, "source": 34, "reason": 35,
		}},
		{"record_finish", event.AppendFinish(nil, &finish), 0, event.KindFinish, map[string]uint64{"position": 41, "direction": 1}},
		{"record_close", event.AppendClose(nil, &closed), 0, event.KindClose, map[string]uint64{"sent": 51, "received": 52}},
		{"record_process", event.AppendProcess(nil, &process), 3 + 4 + 2, event.KindProcess, map[string]uint64{
			"uid": 61, "ppid": 62, "exe_bytes": 3, "v2_bytes": 4, "v1_bytes": 2,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := structOf(t, spec.Types, test.name)
			require.EqualValues(t, len(test.record)-test.payload, s.Size, "size of the fixed part")
			for name, want := range test.want {
				require.Equal(t, want, number(field(t, test.record, s, name)), name)
			}
			h := structOf(t, spec.Types, "record_header")
			for name, want := range map[string]uint64{
				"length": uint64(len(test.record)), "kind": uint64(test.kind), "flags": uint64(header.Flags),
				"cpu": uint64(header.CPU), "time_ns": header.Time, "connection": header.Connection,
				"generation": header.Generation, "pid": uint64(header.PID), "tid": uint64(header.TID),
			} {
				require.Equal(t, want, number(field(t, test.record, h, name)), name)
			}
		})
	}

	s := structOf(t, spec.Types, "record_open")
	record := event.AppendOpen(nil, &open)
	require.Equal(t, open.Local[:], field(t, record, s, "local"))
	require.Equal(t, open.Remote[:], field(t, record, s, "remote"))
	require.Equal(t, "/run/a\x00", string(field(t, record, s, "path")[:7]))
}

func TestEnumerationsHaveTheSameNumbersInCAndGo(t *testing.T) {
	spec, err := loadQtap()
	require.NoError(t, err)
	for enum, want := range map[string]map[string]uint64{
		"record_kind": {
			"KIND_OPEN": uint64(event.KindOpen), "KIND_DATA": uint64(event.KindData), "KIND_FINISH": uint64(event.KindFinish),
			"KIND_CLOSE": uint64(event.KindClose), "KIND_PROCESS": uint64(event.KindProcess), "KIND_BIND": uint64(event.KindBind), "KIND_HANDSHAKE": uint64(event.KindHandshake),
		},
		"record_flag": {
			"FLAG_LATE": uint64(event.FlagLate), "FLAG_ADOPTED": uint64(event.FlagAdopted), "FLAG_LOST": uint64(event.FlagLost),
			"FLAG_RESET": uint64(event.FlagReset), "FLAG_BEGINS": uint64(event.FlagBegins),
		},
		"role": {
			"ROLE_UNKNOWN": uint64(event.RoleUnknown), "ROLE_CLIENT": uint64(event.RoleClient), "ROLE_SERVER": uint64(event.RoleServer),
		},
		"capture_source": {
			"SOURCE_SOCKET": uint64(event.SourceSocket), "SOURCE_OPENSSL": uint64(event.SourceOpenSSL), "SOURCE_GO": uint64(event.SourceGo),
			"SOURCE_GNUTLS": uint64(event.SourceGnuTLS), "SOURCE_NSS": uint64(event.SourceNSS),
		},
		"operation": {
			"OPERATION_READ": uint64(operationRead), "OPERATION_WRITE": uint64(operationWrite),
			"OPERATION_READ_EX": uint64(operationReadEx), "OPERATION_WRITE_EX": uint64(operationWriteEx),
			"OPERATION_SENDFILE": uint64(operationSendfile), "OPERATION_FREE": uint64(operationFree),
			"OPERATION_IMPORT": uint64(operationImport), "OPERATION_READ_FLAGS": uint64(operationReadFlags), "OPERATION_HANDSHAKE": uint64(operationHandshake),
			"OPERATION_NEW": uint64(operationNew),
		},
		"protocol": {
			"PROTOCOL_UNKNOWN": uint64(event.ProtocolUnknown), "PROTOCOL_HTTP1": uint64(event.ProtocolHTTP1),
			"PROTOCOL_HTTP2": uint64(event.ProtocolHTTP2), "PROTOCOL_TLS": uint64(event.ProtocolTLS),
		},
		"reason": {
			"REASON_NONE": uint64(event.ReasonNone), "REASON_BODY_LIMIT": uint64(event.ReasonBodyLimit),
			"REASON_SENDFILE": uint64(event.ReasonSendfile), "REASON_UNREADABLE": uint64(event.ReasonUnreadable),
		},
		"counter": {
			"CALLS_SEEN": uint64(event.CallsSeen), "CALLS_SUBMITTED": uint64(event.CallsSubmitted),
			"CALLS_FILTERED": uint64(event.CallsFiltered), "CALLS_REFUSED": uint64(event.CallsRefused),
			"BYTES_REFUSED": uint64(event.BytesRefused), "RECORDS_SUBMITTED": uint64(event.RecordsSubmitted),
			"RECORDS_REFUSED": uint64(event.RecordsRefused), "CONNECTIONS_REFUSED": uint64(event.ConnectionsRefused),
			"CALLS_32BIT": uint64(event.Calls32Bit), "CALLS_UNREADABLE": uint64(event.CallsUnreadable),
			"SIGHTINGS_REFUSED": uint64(event.SightingsRefused),
			"NUM_COUNTERS":      uint64(event.NumCounters),
		},
	} {
		var values *btf.Enum
		require.NoError(t, spec.Types.TypeByName(enum, &values), enum)
		got := map[string]uint64{}
		for _, value := range values.Values {
			got[value.Name] = value.Value
		}
		require.Equal(t, want, got, enum)
	}
}

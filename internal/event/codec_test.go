package event

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func someHeader(kind Kind, length uint32) Header {
	return Header{
		Length: length, Kind: kind, Flags: FlagLate | FlagBegins, CPU: 3, Time: 1 << 50,
		Connection: 7<<12 | 3, Generation: 99, PID: 1234, TID: 1235,
	}
}

func someOpen() Open {
	return Open{
		Header: someHeader(KindOpen, OpenBytes), Handle: 0xffff888000000000, Opened: 5, NetNS: 4026531840, UID: 33,
		Family: 10, LocalPort: 80, RemotePort: 51000, Role: RoleServer, Protocol: ProtocolHTTP1,
		Local: [16]byte{15: 1}, Remote: [16]byte{0: 0xfd, 15: 2}, Path: "@abstract",
	}
}

func someData() Data {
	return Data{
		Header: someHeader(KindData, DataBytes+5), Position: 10, Size: 9, Direction: Receive,
		Reason: ReasonBodyLimit, Payload: []byte("hello"),
	}
}

func someProcess() Process {
	return Process{
		Header: someHeader(KindProcess, ProcessBytes+10+6), UID: 33, PPID: 1, Comm: "nginx",
		Exe: []string{"nginx", "bin"}, CgroupV2: []string{"a", "b", "c"},
	}
}

func TestEveryRecordComesBackAsItWasAppended(t *testing.T) {
	t.Run("open", func(t *testing.T) {
		want, got := someOpen(), Open{}
		require.NoError(t, DecodeOpen(AppendOpen(nil, &want), &got))
		assert.Equal(t, want, got)
	})
	t.Run("data", func(t *testing.T) {
		want, got := someData(), Data{}
		require.NoError(t, DecodeData(AppendData(nil, &want), &got))
		assert.Equal(t, want, got)
		assert.Equal(t, uint64(19), got.End())
	})
	t.Run("finish", func(t *testing.T) {
		want, got := Finish{Header: someHeader(KindFinish, FinishBytes), Position: 12, Direction: Receive}, Finish{}
		require.NoError(t, DecodeFinish(AppendFinish(nil, &want), &got))
		assert.Equal(t, want, got)
	})
	t.Run("close", func(t *testing.T) {
		want, got := Close{Header: someHeader(KindClose, CloseBytes), Sent: 1 << 40, Received: 3}, Close{}
		require.NoError(t, DecodeClose(AppendClose(nil, &want), &got))
		assert.Equal(t, want, got)
	})
	t.Run("process", func(t *testing.T) {
		want, got := someProcess(), Process{}
		require.NoError(t, DecodeProcess(AppendProcess(nil, &want), &got))
		assert.Equal(t, want, got)
	})
	t.Run("mark", func(t *testing.T) {
		want, got := Mark{Header: someHeader(KindMark, MarkBytes), Wall: -5}, Mark{}
		require.NoError(t, DecodeMark(AppendMark(nil, &want), &got))
		assert.Equal(t, want, got)
	})
	t.Run("loss", func(t *testing.T) {
		want, got := Loss{Header: someHeader(KindLoss, uint32(LossBytes))}, Loss{}
		want.Counts[BytesRefused] = 1 << 33
		require.NoError(t, DecodeLoss(AppendLoss(nil, &want), &got))
		assert.Equal(t, want, got)
	})
}

func TestTextsThatTheLayoutHasNoRoomForAreCut(t *testing.T) {
	open, gotOpen := someOpen(), Open{}
	open.Path = strings.Repeat("p", 200)
	require.NoError(t, DecodeOpen(AppendOpen(nil, &open), &gotOpen))
	assert.Equal(t, strings.Repeat("p", 107), gotOpen.Path)

	process, gotProcess := someProcess(), Process{}
	process.Comm = "a-name-over-fifteen"
	process.Exe = []string{"kept", strings.Repeat("x", 1<<16)}
	require.NoError(t, DecodeProcess(AppendProcess(nil, &process), &gotProcess))
	assert.Equal(t, "a-name-over-fif", gotProcess.Comm)
	assert.Equal(t, []string{"kept"}, gotProcess.Exe)
}

func TestNextSplitsRecordsOfAllLengths(t *testing.T) {
	open, data, process := someOpen(), someData(), someProcess()
	records := AppendProcess(AppendData(AppendOpen(nil, &open), &data), &process)
	var kinds []Kind
	for rest := records; len(rest) > 0; {
		var record []byte
		var err error
		record, rest, err = Next(rest)
		require.NoError(t, err)
		assert.Equal(t, open.Connection, ConnectionOf(record))
		kinds = append(kinds, KindOf(record))
	}
	assert.Equal(t, []Kind{KindOpen, KindData, KindProcess}, kinds)
}

func TestARecordMayBeLongerThanItsContents(t *testing.T) {
	want, got := someData(), Data{}
	record := append(AppendData(nil, &want), make([]byte, 100)...)
	little.PutUint32(record, uint32(len(record)))
	require.NoError(t, DecodeData(record, &got))
	assert.Equal(t, want.Payload, got.Payload)
	assert.Equal(t, len(got.Payload), cap(got.Payload), "appending to a payload must not write into the record")
}

func TestDecodingDataDoesNotAllocate(t *testing.T) {
	data := someData()
	record := AppendData(nil, &data)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		var d Data
		if _, _, err := Next(record); err != nil {
			t.Error(err)
		}
		if err := DecodeData(record, &d); err != nil {
			t.Error(err)
		}
	}))
}

func TestDamagedRecordsAreRefusedByNameOfTheField(t *testing.T) {
	open, data, process := someOpen(), someData(), someProcess()
	damaged := func(record []byte, at int, values ...byte) []byte {
		record = bytes.Clone(record)
		copy(record[at:], values)
		return record
	}
	dataRecord, openRecord := AppendData(nil, &data), AppendOpen(nil, &open)
	cases := []struct {
		name   string
		decode func() error
		want   string
	}{
		{
			"nothing", func() error { _, _, err := Next(nil); return err },
			"header: 0 bytes left, need 40",
		},
		{
			"a length below the header's", func() error { _, _, err := Next(damaged(dataRecord, 0, 39, 0, 0, 0)); return err },
			"header length: 39 is not in 40..1048576",
		},
		{
			"a length over the bound", func() error { _, _, err := Next(damaged(dataRecord, 0, 255, 255, 255, 255)); return err },
			"header length: 4294967295 is not in 40..1048576",
		},
		{
			"a length over what is there", func() error { _, _, err := Next(damaged(dataRecord, 0, 70, 0, 0, 0)); return err },
			"header length: 70 is more than the 69 bytes left",
		},
		{
			"a short header", func() error { return DecodeHeader(dataRecord[:39], &Header{}) },
			"header: record has 39 bytes, need 40",
		},
		{
			"another kind", func() error { return DecodeData(openRecord, &Data{}) },
			"data record: kind: is 1, must be 2",
		},
		{
			"a short open", func() error { return DecodeOpen(openRecord[:215], &Open{}) },
			"open record: fixed part: record has 215 bytes, need 216",
		},
		{
			"an unknown role", func() error { return DecodeOpen(damaged(openRecord, 70, 3), &Open{}) },
			"open record: role: 3 is not known",
		},
		{
			"a payload that is cut off", func() error { return DecodeData(dataRecord[:68], &Data{}) },
			"data record: payload: record has 68 bytes, need 69",
		},
		{
			"more captured than moved", func() error { return DecodeData(damaged(dataRecord, 52, 10), &Data{}) },
			"data record: captured: 10 is more than the size, 9",
		},
		{"a position beyond the last one", func() error {
			return DecodeData(damaged(dataRecord, 40, 255, 255, 255, 255, 255, 255, 255, 255), &Data{})
		}, "data record: position: 18446744073709551615 and 9 more overflow"},
		{
			"an unknown direction", func() error { return DecodeData(damaged(dataRecord, 56, 2), &Data{}) },
			"data record: direction: 2 is not known",
		},
		{
			"an unknown reason", func() error { return DecodeData(damaged(dataRecord, 58, 200), &Data{}) },
			"data record: reason: 200 is not known",
		},
		{"a finish of no direction", func() error {
			return DecodeFinish(damaged(AppendFinish(nil, &Finish{}), 48, 9), &Finish{})
		}, "finish record: direction: 9 is not known"},
		{"names that are cut off", func() error {
			return DecodeProcess(damaged(AppendProcess(nil, &process), 64, 255, 255), &Process{})
		}, "process record: names: record has 88 bytes, need 65613"},
		{
			"a short close", func() error { return DecodeClose(make([]byte, 55), &Close{}) },
			"close record: fixed part: record has 55 bytes, need 56",
		},
		{
			"a short mark", func() error { return DecodeMark(make([]byte, 40), &Mark{}) },
			"mark record: fixed part: record has 40 bytes, need 48",
		},
		{
			"a short loss", func() error { return DecodeLoss(make([]byte, 40), &Loss{}) },
			"loss record: fixed part: record has 40 bytes, need 120",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { assert.EqualError(t, c.decode(), c.want) })
	}
}

// FuzzDecode feeds arbitrary bytes to the splitter and to every decoder: none
// may panic, and what decodes must encode to something that decodes alike.
func FuzzDecode(f *testing.F) {
	open, data, process := someOpen(), someData(), someProcess()
	f.Add(AppendProcess(AppendData(AppendOpen(nil, &open), &data), &process))
	f.Add(AppendLoss(AppendMark(AppendClose(AppendFinish(nil, &Finish{}), &Close{}), &Mark{}), &Loss{}))
	f.Fuzz(func(t *testing.T, records []byte) {
		for len(records) > 0 {
			record, rest, err := Next(records)
			if err != nil {
				return
			}
			if len(record)+len(rest) != len(records) || len(record) < HeaderBytes {
				t.Fatalf("split %d bytes into %d and %d", len(records), len(record), len(rest))
			}
			checkRecord(t, record)
			records = rest
		}
	})
}

func checkRecord(t *testing.T, record []byte) {
	t.Helper()
	checkAgain(t, record, DecodeOpen, AppendOpen, func(o *Open) *Header { return &o.Header })
	checkAgain(t, record, DecodeData, AppendData, func(d *Data) *Header { return &d.Header })
	checkAgain(t, record, DecodeFinish, AppendFinish, func(v *Finish) *Header { return &v.Header })
	checkAgain(t, record, DecodeClose, AppendClose, func(c *Close) *Header { return &c.Header })
	checkAgain(t, record, DecodeProcess, AppendProcess, func(p *Process) *Header { return &p.Header })
	checkAgain(t, record, DecodeMark, AppendMark, func(m *Mark) *Header { return &m.Header })
	checkAgain(t, record, DecodeLoss, AppendLoss, func(l *Loss) *Header { return &l.Header })
}

func checkAgain[T any](t *testing.T, record []byte, decode func([]byte, *T) error,
	appendTo func([]byte, *T) []byte, header func(*T) *Header,
) {
	t.Helper()
	var first, second T
	if decode(record, &first) != nil {
		return
	}
	if err := decode(appendTo(nil, &first), &second); err != nil {
		t.Fatalf("decoding what was encoded: %v", err)
	}
	// Encoding drops what a record is longer than its contents.
	header(&second).Length = header(&first).Length
	assert.Equal(t, first, second)
}

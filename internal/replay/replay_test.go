package replay

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// script is a source that delivers fixed batches.
type script struct {
	batches [][]byte
	err     error
	stopped bool
}

func (s *script) Run(ctx context.Context, deliver func(*event.Batch)) error {
	for _, records := range s.batches {
		deliver(&event.Batch{Records: records})
		if ctx.Err() != nil {
			s.stopped = true
			break
		}
	}
	return s.err // none when it was stopped
}

func (s *script) Ignore(uint64, uint64) {}
func (s *script) Close() error          { return nil }

func dataRecord(size int) []byte {
	return event.AppendData(nil, &event.Data{Size: uint32(size), Payload: bytes.Repeat([]byte{'x'}, size)})
}

func markRecord() []byte { return event.AppendMark(nil, &event.Mark{Wall: 1}) }

// play returns everything that the player delivers, joined.
func play(p *Player) (records []byte, err error) {
	err = p.Run(context.Background(), func(batch *event.Batch) {
		records = append(records, batch.Records...)
		batch.Release()
	})
	return records, err
}

func TestWhatWasRecordedIsPlayed(t *testing.T) {
	source := &script{batches: [][]byte{
		append(dataRecord(5), markRecord()...), dataRecord(16384), dataRecord(0),
	}}
	path := filepath.Join(t.TempDir(), "recording.qtap")
	file, err := os.Create(path)
	require.NoError(t, err)
	summary, err := Record(context.Background(), source, file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	want := bytes.Join(source.batches, nil)
	assert.Equal(t, Summary{Records: 4, Bytes: int64(len(want))}, summary)

	player, err := Open(path)
	require.NoError(t, err)
	got, err := play(player)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.NoError(t, player.Close())
	assert.NoError(t, player.Close(), "closing twice is harmless")
}

func TestRecordsThatCrossTheEndOfABatchStayWhole(t *testing.T) {
	var want []byte
	for len(want) < 3*batchBytes {
		want = append(want, dataRecord(60_001)...)
	}
	player, err := New("memory", iotest.HalfReader(bytes.NewReader(append([]byte(Magic), want...))))
	require.NoError(t, err)
	batches := 0
	var got []byte
	require.NoError(t, player.Run(context.Background(), func(batch *event.Batch) {
		batches++
		for rest := batch.Records; len(rest) > 0; {
			var err error
			_, rest, err = event.Next(rest)
			require.NoError(t, err)
		}
		got = append(got, batch.Records...)
		batch.Release()
	}))
	assert.Equal(t, want, got)
	assert.Greater(t, batches, 3)
}

func TestTheLargestRecordPlays(t *testing.T) {
	want := append(markRecord(), dataRecord(event.MaxRecordBytes-event.DataBytes)...)
	player, err := New("memory", bytes.NewReader(append([]byte(Magic), want...)))
	require.NoError(t, err)
	got, err := play(player)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestDamagedRecordingsSayWhereAfterWhatWasWhole(t *testing.T) {
	mark := string(markRecord())
	cases := []struct {
		name, rest, played, want string
	}{
		{
			"cut in a payload", mark + string(dataRecord(100))[:120], mark,
			"playing memory: record at offset 56: the file ends 120 bytes into it",
		},
		{
			"cut in a header", mark + "\x40\x00", mark,
			"playing memory: record at offset 56: the file ends 2 bytes into it",
		},
		{
			"a length of nothing", mark + string(make([]byte, 48)) + mark, mark,
			"playing memory: record at offset 56: header length: 0 is not in 40..1048576",
		},
		{
			"a length of everything", "\xff\xff\xff\xff" + mark, "",
			"playing memory: record at offset 8: header length: 4294967295 is not in 40..1048576",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			player, err := New("memory", bytes.NewReader([]byte(Magic+c.rest)))
			require.NoError(t, err)
			got, err := play(player)
			assert.EqualError(t, err, c.want)
			assert.Equal(t, c.played, string(got))
		})
	}
}

func TestWhatIsNoRecordingIsRefusedAtOnce(t *testing.T) {
	for _, content := range []string{"", "QTAP", "QTAPEV2\n and more", "#!/bin/sh\n"} {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := Open(path)
		assert.EqualError(t, err, path+` is not a recording of this version: it must begin with "QTAPEV1\n"`)
	}
	_, err := Open(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestReadErrorsNameTheOffset(t *testing.T) {
	broken := errors.New("disk on fire")
	content := append([]byte(Magic), markRecord()...)
	reader := iotest.TimeoutReader(bytes.NewReader(content))
	_, err := New("disk", iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	player, err := New("disk", reader)
	require.NoError(t, err)
	_, err = play(player)
	assert.EqualError(t, err, "reading disk at offset 8: timeout")
}

func TestPlayingStopsWithItsContext(t *testing.T) {
	content := append([]byte(Magic), bytes.Repeat(dataRecord(60_000), 100)...)
	player, err := New("memory", bytes.NewReader(content))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	batches := 0
	require.NoError(t, player.Run(ctx, func(batch *event.Batch) {
		batches++
		batch.Release()
		cancel()
	}))
	assert.Equal(t, 1, batches)
}

// full is a disk with room for some bytes.
type full struct{ room int }

var errFull = errors.New("no space left")

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestAWriteErrorStopsTheSource(t *testing.T) {
	source := &script{batches: [][]byte{markRecord(), markRecord(), markRecord()}}
	summary, err := Record(context.Background(), source, &full{room: 100})
	require.ErrorIs(t, err, errFull)
	assert.True(t, source.stopped)
	assert.Equal(t, int64(1), summary.Records)
	_, err = Record(context.Background(), source, &full{room: 3})
	require.ErrorIs(t, err, errFull)
}

func TestAnErrorOfTheSourceIsReturned(t *testing.T) {
	broken := errors.New("map vanished")
	_, err := Record(context.Background(), &script{err: broken}, &bytes.Buffer{})
	assert.ErrorIs(t, err, broken)
}

func TestARecordThatCouldNotBePlayedIsNotWritten(t *testing.T) {
	var out bytes.Buffer
	_, err := Record(context.Background(), &script{batches: [][]byte{{1, 2, 3}}}, &out)
	assert.EqualError(t, err, "writing the recording: a batch of the source: header: 3 bytes left, need 40")
	assert.Equal(t, Magic, out.String())
}

func FuzzPlayer(f *testing.F) {
	f.Add(append([]byte(Magic), append(markRecord(), dataRecord(10)...)...))
	f.Add([]byte(Magic))
	f.Fuzz(func(t *testing.T, content []byte) {
		player, err := New("fuzz", bytes.NewReader(content))
		if err != nil {
			return
		}
		got, err := play(player)
		if err == nil && !bytes.Equal(got, content[len(Magic):]) {
			t.Fatal("played something else than was there, without an error")
		}
	})
}

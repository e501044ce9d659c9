package replay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// batchBytes is how much is read at a time. It is as large as the largest
// record, so a batch always has room for one.
const batchBytes = event.MaxRecordBytes

// Player is a recording as an [event.Source]. It plays as fast as the records
// are taken, without regard to their times, and ends with the file.
type Player struct {
	name   string
	reader io.Reader
	closer io.Closer
	offset int64 // in the file, of the next byte that was not delivered
	free   sync.Pool
}

var _ event.Source = (*Player)(nil)

// Open opens the recording at path. It fails at once when the file cannot be
// read or is no recording.
func Open(path string) (*Player, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the recording: %w", err)
	}
	player, err := New(path, file)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	player.closer = file
	return player, nil
}

// New plays what r yields; name stands for it in error texts.
func New(name string, r io.Reader) (*Player, error) {
	magic := make([]byte, len(Magic))
	if _, err := io.ReadFull(r, magic); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if string(magic) != Magic {
		return nil, fmt.Errorf("%s is not a recording of this version: it must begin with %q", name, Magic)
	}
	return &Player{name: name, reader: r, offset: int64(len(Magic))}, nil
}

// Run delivers the recording in batches of whole records. A last record that
// is cut off is an error, after everything before it was delivered.
func (p *Player) Run(ctx context.Context, deliver func(*event.Batch)) error {
	carry := make([]byte, 0, batchBytes) // a record whose end was not read yet
	for ctx.Err() == nil {
		buffer := p.take()
		n := copy(buffer, carry)
		read, err := io.ReadFull(p.reader, buffer[n:])
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return fmt.Errorf("reading %s at offset %d: %w", p.name, p.offset+int64(n), err)
		}
		buffer = buffer[:n+read]
		whole, damage := wholeRecords(buffer)
		carry = append(carry[:0], buffer[whole:]...)
		damageAt := p.offset + int64(whole)
		p.deliver(buffer[:whole], deliver)
		switch {
		case damage != nil:
			return fmt.Errorf("playing %s: record at offset %d: %w", p.name, damageAt, damage)
		case ended && len(carry) > 0:
			return fmt.Errorf("playing %s: record at offset %d: the file ends %d bytes into it", p.name, damageAt, len(carry))
		case ended:
			return nil
		}
	}
	return nil
}

func (p *Player) deliver(records []byte, deliver func(*event.Batch)) {
	p.offset += int64(len(records))
	batch := &event.Batch{Records: records, Free: p.put}
	if len(records) == 0 {
		batch.Release()
		return
	}
	deliver(batch)
}

// wholeRecords returns the length of the records that are whole in b. An error
// tells that what follows is no record, however it may go on.
func wholeRecords(b []byte) (length int, err error) {
	for len(b)-length >= event.HeaderBytes {
		rest := b[length:]
		size := binary.LittleEndian.Uint32(rest)
		if err := event.CheckLength(size); err != nil {
			return length, err
		}
		if int(size) > len(rest) {
			break
		}
		length += int(size)
	}
	return length, nil
}

// take returns a buffer of batchBytes.
func (p *Player) take() []byte {
	if buffer, ok := p.free.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, batchBytes)
}

func (p *Player) put(batch *event.Batch) {
	buffer := batch.Records[:cap(batch.Records)]
	if len(buffer) == batchBytes {
		p.free.Put(&buffer)
	}
	batch.Records = nil
}

// Ignore does nothing: a recording cannot be told what to leave out.
func (p *Player) Ignore(uint64, uint64) {}

// Close closes the file.
func (p *Player) Close() error {
	if p.closer == nil {
		return nil
	}
	closer := p.closer
	p.closer = nil
	if err := closer.Close(); err != nil {
		return fmt.Errorf("closing the recording: %w", err)
	}
	return nil
}

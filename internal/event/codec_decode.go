package event

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// The decoders fill a value from one record as [Next] returns it. They check
// every length, because recordings are files that anybody can write, and
// accept records that are longer than their contents. Byte slices alias the
// record; strings are copies. A value is undefined after an error.

// DecodeHeader fills h. Its Length is the length of the record, which must be
// at least [HeaderBytes] long.
func DecodeHeader(record []byte, h *Header) error {
	if len(record) < HeaderBytes {
		return fmt.Errorf("header: record has %d bytes, need %d", len(record), HeaderBytes)
	}
	h.decode(record)
	return nil
}

func (h *Header) decode(r []byte) {
	_ = r[HeaderBytes-1]
	h.Length = little.Uint32(r)
	h.Kind = Kind(r[4])
	h.Flags = Flags(r[5])
	h.CPU = little.Uint16(r[6:])
	h.Time = little.Uint64(r[8:])
	h.Connection = little.Uint64(r[16:])
	h.Generation = little.Uint64(r[24:])
	h.PID = little.Uint32(r[32:])
	h.TID = little.Uint32(r[36:])
}

// begin checks the fixed part of a record and fills its header.
func (h *Header) begin(record []byte, kind Kind, need int) error {
	if len(record) < need {
		return errShort(kind, "fixed part", len(record), need)
	}
	h.decode(record)
	if h.Kind != kind {
		return fmt.Errorf("%v record: kind: is %d, must be %d", kind, h.Kind, kind)
	}
	return nil
}

// DecodeOpen fills o.
func DecodeOpen(record []byte, o *Open) error {
	if err := o.begin(record, KindOpen, OpenBytes); err != nil {
		return err
	}
	o.Handle = little.Uint64(record[40:])
	o.Opened = little.Uint64(record[48:])
	o.NetNS = little.Uint32(record[56:])
	o.UID = little.Uint32(record[60:])
	o.Family = little.Uint16(record[64:])
	o.LocalPort = little.Uint16(record[66:])
	o.RemotePort = little.Uint16(record[68:])
	o.Role = Role(record[70])
	o.Protocol = Protocol(record[71])
	copy(o.Local[:], record[72:])
	copy(o.Remote[:], record[88:])
	o.Path = text(record[104 : 104+pathBytes-1])
	o.Source = CaptureSource(record[104+pathBytes])
	if o.Role > RoleServer {
		return fmt.Errorf("open record: role: %d is not known", o.Role)
	}
	return nil
}

// DecodeData fills d without allocating. d.Payload aliases record.
func DecodeData(record []byte, d *Data) error { return decodeData(record, d, KindData) }

// DecodeHandshake fills d from a record of KindHandshake, without allocating.
// d.Payload aliases record.
func DecodeHandshake(record []byte, d *Data) error { return decodeData(record, d, KindHandshake) }

func decodeData(record []byte, d *Data, kind Kind) error {
	if err := d.begin(record, kind, DataBytes); err != nil {
		return err
	}
	d.Position = little.Uint64(record[40:])
	d.Size = little.Uint32(record[48:])
	captured := little.Uint32(record[52:])
	d.Direction = Direction(record[56])
	d.Source = CaptureSource(record[57])
	d.Reason = Reason(record[58])
	switch {
	case d.Position > math.MaxUint64-uint64(d.Size):
		return fmt.Errorf("data record: position: %d and %d more overflow", d.Position, d.Size)
	case captured > d.Size:
		return fmt.Errorf("data record: captured: %d is more than the size, %d", captured, d.Size)
	case uint64(len(record)-DataBytes) < uint64(captured):
		return errShort(kind, "payload", len(record), DataBytes+int(captured))
	case d.Direction > Receive:
		return fmt.Errorf("data record: direction: %d is not known", d.Direction)
	case d.Reason >= numReasons:
		return fmt.Errorf("data record: reason: %d is not known", d.Reason)
	}
	end := DataBytes + int(captured)
	d.Payload = record[DataBytes:end:end]
	return nil
}

// DecodeFinish fills f.
func DecodeFinish(record []byte, f *Finish) error {
	if err := f.begin(record, KindFinish, FinishBytes); err != nil {
		return err
	}
	f.Position = little.Uint64(record[40:])
	f.Direction = Direction(record[48])
	if f.Direction > Receive {
		return fmt.Errorf("finish record: direction: %d is not known", f.Direction)
	}
	return nil
}

// DecodeClose fills c.
func DecodeClose(record []byte, c *Close) error {
	if err := c.begin(record, KindClose, CloseBytes); err != nil {
		return err
	}
	c.Sent = little.Uint64(record[40:])
	c.Received = little.Uint64(record[48:])
	return nil
}

// DecodeProcess fills p.
func DecodeProcess(record []byte, p *Process) error {
	if err := p.begin(record, KindProcess, ProcessBytes); err != nil {
		return err
	}
	p.UID = little.Uint32(record[40:])
	p.PPID = little.Uint32(record[44:])
	p.Comm = text(record[48 : 48+commBytes-1])
	exe := int(little.Uint16(record[64:]))
	v2 := int(little.Uint16(record[66:]))
	v1 := int(little.Uint16(record[68:]))
	lists := record[ProcessBytes:]
	if len(lists) < exe+v2+v1 {
		return errShort(KindProcess, "names", len(record), ProcessBytes+exe+v2+v1)
	}
	p.Exe = names(lists[:exe])
	p.CgroupV2 = names(lists[exe : exe+v2])
	p.CgroupV1 = names(lists[exe+v2 : exe+v2+v1])
	return nil
}

// DecodeMark fills m.
func DecodeMark(record []byte, m *Mark) error {
	if err := m.begin(record, KindMark, MarkBytes); err != nil {
		return err
	}
	m.Wall = int64(little.Uint64(record[40:]))
	return nil
}

// DecodeLoss fills l. A recording of an earlier version has fewer counts; the
// others are zero.
func DecodeLoss(record []byte, l *Loss) error {
	if err := l.begin(record, KindLoss, firstLossBytes); err != nil {
		return err
	}
	for i := range l.Counts {
		l.Counts[i] = 0
		if at := HeaderBytes + 8*i; at+8 <= len(record) {
			l.Counts[i] = little.Uint64(record[at:])
		}
	}
	return nil
}

// DecodeBind fills b.
func DecodeBind(record []byte, b *Bind) error {
	if err := b.begin(record, KindBind, BindBytes); err != nil {
		return err
	}
	b.Socket = little.Uint64(record[40:])
	return nil
}

// DecodeHello fills h.
func DecodeHello(record []byte, h *Hello) error {
	if err := h.begin(record, KindHello, HelloBytes); err != nil {
		return err
	}
	h.Version = little.Uint16(record[40:])
	h.Cipher = little.Uint16(record[42:])
	name, protocol := int(little.Uint16(record[44:])), int(little.Uint16(record[46:]))
	texts := record[HelloBytes:]
	if len(texts) < name+protocol {
		return errShort(KindHello, "texts", len(record), HelloBytes+name+protocol)
	}
	h.ServerName, h.Protocol = string(texts[:name]), string(texts[name:name+protocol])
	return nil
}

// text returns the bytes before the first NUL, or all of them.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// names splits a list of NUL-terminated names; the last may lack its NUL.
func names(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

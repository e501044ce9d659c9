package event

import "math"

// The Append functions add one encoded record to dst and return the extended
// slice. They set Length and Kind themselves and cut texts that are longer
// than the layout allows. The kernel side encodes its own records; these are
// for what sources make in user space, for recordings and for tests.

func (h *Header) append(dst []byte, kind Kind, length int) []byte {
	dst = little.AppendUint32(dst, uint32(length))
	dst = append(dst, byte(kind), byte(h.Flags))
	dst = little.AppendUint16(dst, h.CPU)
	dst = little.AppendUint64(dst, h.Time)
	dst = little.AppendUint64(dst, h.Connection)
	dst = little.AppendUint64(dst, h.Generation)
	dst = little.AppendUint32(dst, h.PID)
	return little.AppendUint32(dst, h.TID)
}

// AppendOpen appends o.
func AppendOpen(dst []byte, o *Open) []byte {
	dst = o.append(dst, KindOpen, OpenBytes)
	dst = little.AppendUint64(dst, o.Handle)
	dst = little.AppendUint64(dst, o.Opened)
	dst = little.AppendUint32(dst, o.NetNS)
	dst = little.AppendUint32(dst, o.UID)
	dst = little.AppendUint16(dst, o.Family)
	dst = little.AppendUint16(dst, o.LocalPort)
	dst = little.AppendUint16(dst, o.RemotePort)
	dst = append(dst, byte(o.Role), byte(o.Protocol))
	dst = append(dst, o.Local[:]...)
	dst = append(dst, o.Remote[:]...)
	dst = appendText(dst, o.Path, pathBytes)
	return append(dst, byte(o.Source), 0, 0, 0)
}

// AppendData appends d. A payload beyond d.Size is cut.
func AppendData(dst []byte, d *Data) []byte { return appendData(dst, d, KindData) }

// AppendHandshake appends d as a record of KindHandshake.
func AppendHandshake(dst []byte, d *Data) []byte { return appendData(dst, d, KindHandshake) }

func appendData(dst []byte, d *Data, kind Kind) []byte {
	payload := d.Payload[:min(len(d.Payload), int(d.Size), MaxRecordBytes-DataBytes)]
	dst = d.append(dst, kind, DataBytes+len(payload))
	dst = little.AppendUint64(dst, d.Position)
	dst = little.AppendUint32(dst, d.Size)
	dst = little.AppendUint32(dst, uint32(len(payload)))
	dst = append(dst, byte(d.Direction), byte(d.Source), byte(d.Reason), 0, 0, 0, 0, 0)
	return append(dst, payload...)
}

// AppendFinish appends f.
func AppendFinish(dst []byte, f *Finish) []byte {
	dst = f.append(dst, KindFinish, FinishBytes)
	dst = little.AppendUint64(dst, f.Position)
	return append(dst, byte(f.Direction), 0, 0, 0, 0, 0, 0, 0)
}

// AppendClose appends c.
func AppendClose(dst []byte, c *Close) []byte {
	dst = c.append(dst, KindClose, CloseBytes)
	dst = little.AppendUint64(dst, c.Sent)
	return little.AppendUint64(dst, c.Received)
}

// AppendProcess appends p. Names that do not fit into a list are left out
// from its end, the outermost ones.
func AppendProcess(dst []byte, p *Process) []byte {
	exe, v2, v1 := fitting(p.Exe), fitting(p.CgroupV2), fitting(p.CgroupV1)
	dst = p.append(dst, KindProcess, ProcessBytes+exe.bytes+v2.bytes+v1.bytes)
	dst = little.AppendUint32(dst, p.UID)
	dst = little.AppendUint32(dst, p.PPID)
	dst = appendText(dst, p.Comm, commBytes)
	for _, list := range []nameList{exe, v2, v1} {
		dst = little.AppendUint16(dst, uint16(list.bytes))
	}
	dst = append(dst, 0, 0)
	for _, list := range []nameList{exe, v2, v1} {
		for _, name := range list.names {
			dst = append(append(dst, name...), 0)
		}
	}
	return dst
}

// AppendBind appends b.
func AppendBind(dst []byte, b *Bind) []byte {
	dst = b.append(dst, KindBind, BindBytes)
	return little.AppendUint64(dst, b.Socket)
}

// AppendHello appends h. Texts are cut at 65535 bytes.
func AppendHello(dst []byte, h *Hello) []byte {
	name := h.ServerName[:min(len(h.ServerName), math.MaxUint16)]
	protocol := h.Protocol[:min(len(h.Protocol), math.MaxUint16)]
	dst = h.append(dst, KindHello, HelloBytes+len(name)+len(protocol))
	dst = little.AppendUint16(dst, h.Version)
	dst = little.AppendUint16(dst, h.Cipher)
	dst = little.AppendUint16(dst, uint16(len(name)))
	dst = little.AppendUint16(dst, uint16(len(protocol)))
	return append(append(dst, name...), protocol...)
}

// AppendMark appends m.
func AppendMark(dst []byte, m *Mark) []byte {
	dst = m.append(dst, KindMark, MarkBytes)
	return little.AppendUint64(dst, uint64(m.Wall))
}

// AppendLoss appends l.
func AppendLoss(dst []byte, l *Loss) []byte {
	dst = l.append(dst, KindLoss, LossBytes)
	for _, count := range l.Counts {
		dst = little.AppendUint64(dst, count)
	}
	return dst
}

type nameList struct {
	names []string
	bytes int // with the NUL after each
}

func fitting(names []string) nameList {
	list := nameList{names: names}
	for i, name := range names {
		if list.bytes+len(name)+1 > math.MaxUint16 {
			list.names = names[:i]
			break
		}
		list.bytes += len(name) + 1
	}
	return list
}

// appendText appends s in a field of the given size, with at least one NUL.
func appendText(dst []byte, s string, size int) []byte {
	s = s[:min(len(s), size-1)]
	dst = append(dst, s...)
	for range size - len(s) {
		dst = append(dst, 0)
	}
	return dst
}

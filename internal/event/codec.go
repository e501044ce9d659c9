package event

import (
	"encoding/binary"
	"fmt"
)

// Sizes of the fixed parts, bytes. They are those of the structures in
// bpf/event.h: little endian, every field on its natural boundary.
const (
	HeaderBytes  = 40
	OpenBytes    = 216
	DataBytes    = 64 // the payload follows
	FinishBytes  = 56
	CloseBytes   = 56
	ProcessBytes = 72 // the names follow
	MarkBytes    = 48
	BindBytes    = 48
	HelloBytes   = 48 // the texts follow
	LossBytes    = HeaderBytes + 8*int(NumCounters)
	// firstLossBytes is what recordings had when there were ten counters.
	firstLossBytes = HeaderBytes + 8*10
)

// MaxRecordBytes bounds every record. The largest that the kernel side makes
// is one piece of a call, 16 KiB; a recording that claims more is not one.
const MaxRecordBytes = 1 << 20

const (
	pathBytes = 108 // sizeof(sockaddr_un.sun_path)
	commBytes = 16  // TASK_COMM_LEN
)

var little = binary.LittleEndian

var kindNames = [...]string{
	KindOpen: "open", KindData: "data", KindFinish: "finish", KindClose: "close",
	KindProcess: "process", KindMark: "mark", KindLoss: "loss",
	KindBind: "bind", KindHandshake: "handshake", KindHello: "hello",
}

// String returns the name used in error texts.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

// Next returns the first record of a sequence of records, and the rest. Both
// alias records. An error means that the sequence cannot be followed further;
// of an empty sequence there is no next record, which is an error too.
func Next(records []byte) (record, rest []byte, err error) {
	if len(records) < HeaderBytes {
		return nil, nil, fmt.Errorf("header: %d bytes left, need %d", len(records), HeaderBytes)
	}
	length := little.Uint32(records)
	if err := CheckLength(length); err != nil {
		return nil, nil, err
	}
	if int(length) > len(records) {
		return nil, nil, fmt.Errorf("header length: %d is more than the %d bytes left", length, len(records))
	}
	return records[:length:length], records[length:], nil
}

// CheckLength says what is wrong with the length in a [Header], if anything.
func CheckLength(length uint32) error {
	if length < HeaderBytes || length > MaxRecordBytes {
		return fmt.Errorf("header length: %d is not in %d..%d", length, HeaderBytes, MaxRecordBytes)
	}
	return nil
}

// KindOf returns the kind of a record that [Next] returned.
func KindOf(record []byte) Kind { return Kind(record[4]) }

// TimeOf returns Header.Time of a record that Next returned.
func TimeOf(record []byte) uint64 { return little.Uint64(record[8:]) }

// ConnectionOf returns the connection of a record that [Next] returned.
func ConnectionOf(record []byte) uint64 { return little.Uint64(record[16:]) }

// errShort says that a record ends before a field does.
func errShort(kind Kind, field string, have, need int) error {
	return fmt.Errorf("%v record: %s: record has %d bytes, need %d", kind, field, have, need)
}

package executable

import (
	"bytes"
	"debug/elf"
	"fmt"
	"strings"
)

// Layouts of the function table (runtime/symtab.go, pcHeader): its magic
// number says which one.
const (
	magic116 = 0xfffffffa // go1.16 and go1.17
	magic118 = 0xfffffff0
	magic120 = 0xfffffff1
)

// goMethods are the methods of crypto/tls.Conn that move plaintext, and its
// beginning and end.
var goMethods = []string{
	"crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Write", "crypto/tls.(*Conn).clientHandshake",
	"crypto/tls.(*Conn).serverHandshake", "crypto/tls.(*Conn).Close",
}

// Reasons why the TLS of a Go executable cannot be read.
const (
	whyStackABI  = "go_stack_abi"  // arguments on the stack: before go1.17 on amd64, go1.18 on arm64
	whyGoUnknown = "go_not_parsed" // the function table is of no known layout
)

// funcTable is the runtime's table of functions. It is there in stripped
// executables too, because the runtime needs it.
type funcTable struct {
	data      []byte // from the header on
	entryWord uint64 // size of an entry address or offset: 4, in go1.16 and go1.17 8
	textStart uint64 // 0 when the header does not tell
	count     uint64
	names     []byte
	functions uint64 // offset of the table of entries
}

// goTLS finds the methods of crypto/tls.Conn. Neither a finding nor a reason
// means that this is no Go executable, or one without TLS.
func (b *binary) goTLS() (finding *Finding, why string, err error) {
	data, err := b.pclntab()
	if err != nil || data == nil {
		return nil, "", err
	}
	table, ok := parseFuncTable(data)
	if !ok {
		return nil, whyGoUnknown, nil
	}
	version := b.goVersion()
	entries := table.find(goMethods)
	if _, reads := entries[goMethods[0]]; !reads {
		return nil, "", nil // crypto/tls is not in it
	}
	if table.entryWord == 8 && (!strings.HasPrefix(version, "go1.17") || b.elf.Machine != elf.EM_X86_64) {
		return nil, whyStackABI, nil
	}
	for _, start := range b.textStarts(table) {
		if functions := b.goFunctions(entries, start); functions != nil {
			return &Finding{Library: Go, Version: version, Functions: functions}, "", nil
		}
	}
	return nil, whyGoUnknown, nil
}

// pclntab returns the table's bytes, nil when there is none.
func (b *binary) pclntab() ([]byte, error) {
	for _, s := range b.elf.Sections {
		if strings.HasSuffix(s.Name, ".gopclntab") && b.section(s.Name) == s {
			return b.read(s)
		}
	}
	if b.section(".go.buildinfo") == nil && b.section(".note.go.buildid") == nil {
		return nil, nil
	}
	// An external linker has put it among other data.
	for _, name := range []string{".data.rel.ro", ".rodata"} {
		s := b.section(name)
		if s == nil {
			continue
		}
		data, err := b.read(s)
		if err != nil {
			return nil, err
		}
		for at := 0; at+64 <= len(data); at += 8 {
			if data[at+3] == 0xff && data[at+2] == 0xff && data[at+1] == 0xff && data[at+7] == 8 {
				if _, ok := parseFuncTable(data[at:]); ok {
					return data[at:], nil
				}
			}
		}
	}
	return nil, nil
}

func (b *binary) read(s *elf.Section) ([]byte, error) {
	data := make([]byte, s.FileSize)
	if _, err := b.file.ReadAt(data, int64(s.Offset)); err != nil {
		return nil, fmt.Errorf("reading section %s: %w", s.Name, err)
	}
	return data, nil
}

// parseFuncTable reads the header; false when it is of no known layout or
// points outside.
func parseFuncTable(data []byte) (funcTable, bool) {
	const words = 8 // of the header at most, after the first 8 bytes
	if len(data) < 8+8*words || data[4] != 0 || data[5] != 0 || data[7] != 8 {
		return funcTable{}, false
	}
	word := func(i int) uint64 { return little.Uint64(data[8+8*i:]) }
	t := funcTable{data: data, entryWord: 4, count: word(0)}
	after := 3 // words before the offsets: functions, files, start of the text
	switch little.Uint32(data) {
	case magic118, magic120:
		t.textStart = word(2)
	case magic116:
		t.entryWord, after = 8, 2
	default:
		return funcTable{}, false
	}
	names, units, functions := word(after), word(after+1), word(after+4)
	size := uint64(len(data))
	if names > units || units > size || functions > size || t.count > (size-functions)/(2*t.entryWord) {
		return funcTable{}, false
	}
	t.names, t.functions = data[names:units], functions
	return t, true
}

// find returns where functions begin and where the next ones do, as the table
// has it, by name. It passes once over the table, which is large.
func (t *funcTable) find(names []string) map[string][2]uint64 {
	wanted := map[uint32]string{} // by the place of the name
	for _, name := range names {
		if at := bytes.Index(t.names, []byte("\x00"+name+"\x00")); at >= 0 {
			wanted[uint32(at+1)] = name
		}
	}
	number := func(at uint64) uint64 {
		if t.entryWord == 4 {
			return uint64(little.Uint32(t.data[at:]))
		}
		return little.Uint64(t.data[at:])
	}
	found := map[string][2]uint64{}
	size := uint64(len(t.data))
	for i := uint64(0); i < t.count && len(found) < len(wanted); i++ {
		entry := t.functions + i*2*t.entryWord
		if entry+3*t.entryWord > size {
			break
		}
		// struct _func: its entry, then the offset of its name.
		info := t.functions + number(entry+t.entryWord)
		if info >= size || info+t.entryWord+4 > size {
			continue
		}
		name, ok := wanted[little.Uint32(t.data[info+t.entryWord:])]
		if _, twice := found[name]; ok && !twice {
			found[name] = [2]uint64{number(entry), number(entry + 2*t.entryWord)}
		}
	}
	return found
}

// textStarts returns what entries may be counted from. With the external
// linker the text section begins with code of C, and since go1.26 the header
// does not tell any more.
func (b *binary) textStarts(t funcTable) []uint64 {
	if t.entryWord == 8 {
		return []uint64{0} // addresses
	}
	var starts []uint64
	if t.textStart != 0 {
		starts = append(starts, t.textStart)
	}
	if text := b.elf.Section(".text"); text != nil {
		starts = append(starts, text.Addr)
	}
	return append(starts, b.moduleText()...)
}

// moduleText returns the start of the text that moduledata has
// (runtime/symtab.go: the header's address, six slices and a pointer come
// before minpc, maxpc and text).
func (b *binary) moduleText() []uint64 {
	const textAt = 8 * (1 + 3*6 + 1 + 2)
	s := b.section(".go.module")
	if s == nil || s.FileSize < textAt+8 {
		return nil
	}
	var word [8]byte
	if _, err := b.file.ReadAt(word[:], int64(s.Offset+textAt)); err != nil {
		return nil
	}
	return []uint64{little.Uint64(word[:])}
}

// goFunctions turns entries into places to probe; nil when the code there is
// not that of a Go function, because the entries count from elsewhere.
func (b *binary) goFunctions(entries map[string][2]uint64, start uint64) []Function {
	const maxFunction = 1 << 20
	var functions []Function
	for _, name := range goMethods {
		entry, found := entries[name]
		if !found || entry[1] <= entry[0] || entry[1]-entry[0] > maxFunction {
			continue
		}
		address := start + entry[0]
		offset, ok := b.offset(address)
		if !ok {
			return nil
		}
		code := make([]byte, entry[1]-entry[0])
		if err := b.at(address, code); err != nil {
			return nil // behind the end of the segment: counted from elsewhere
		}
		if !b.beginsLikeGo(code) {
			return nil
		}
		returns := b.returns(code)
		if len(returns) == 0 {
			return nil
		}
		f := Function{Name: name, Entry: offset}
		for _, at := range returns {
			f.Returns = append(f.Returns, offset+at)
		}
		functions = append(functions, f)
	}
	return functions
}

// goVersion returns the version of the toolchain from the build information
// (debug/buildinfo: since go1.18 the text stands in the section), "" when it
// is older or not there.
func (b *binary) goVersion() string {
	s := b.section(".go.buildinfo")
	if s == nil || s.FileSize < 48 {
		return ""
	}
	head := make([]byte, min(s.FileSize, 128))
	if _, err := b.file.ReadAt(head, int64(s.Offset)); err != nil || !bytes.HasPrefix(head, []byte("\xff Go buildinf:")) {
		return ""
	}
	if head[15]&2 != 0 {
		length := int(head[32])
		if length >= 128 || 33+length > len(head) {
			return ""
		}
		return string(head[33 : 33+length])
	}
	// Before: the address of a string.
	var header [16]byte
	if b.at(little.Uint64(head[16:]), header[:]) != nil {
		return ""
	}
	text := make([]byte, min(little.Uint64(header[8:]), 64))
	if b.at(little.Uint64(header[:]), text) != nil {
		return ""
	}
	return string(text)
}

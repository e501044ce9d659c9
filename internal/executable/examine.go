package executable

import (
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

const (
	maxSegments = 256
	maxSections = 4096
	// maxTable bounds a symbol table, its strings and a function table, bytes.
	maxTable = 128 << 20
)

// ErrOtherMachine is returned for files that are not 64-bit little-endian ELF
// files of amd64 or arm64.
var ErrOtherMachine = errors.New("not an ELF file of amd64 or arm64")

// Examine finds the TLS code in an executable or a shared library. What it
// returns with an error is empty. It reads headers, symbol tables and the
// functions that it finds, a piece at a time, whatever the file's size.
func Examine(file io.ReaderAt, size int64) (Report, error) {
	if err := checkHeader(file, size); err != nil {
		return Report{}, err
	}
	f, err := elf.NewFile(file)
	if err != nil {
		return Report{}, fmt.Errorf("reading the ELF headers: %w", err)
	}
	b := &binary{file: file, elf: f, size: uint64(size)}
	report := Report{Machine: "amd64", BuildID: b.buildID()}
	if f.Machine == elf.EM_AARCH64 {
		report.Machine = "arm64"
	}
	found, err := b.symbols()
	if err != nil {
		return Report{}, err
	}
	report.Findings = libraries(found)
	finding, why, err := b.goTLS()
	if err != nil {
		return Report{}, err
	}
	if finding != nil {
		report.Findings = append(report.Findings, *finding)
	}
	report.Why = why
	if len(report.Findings) == 0 && why == "" {
		report.Why = b.hidden()
	}
	return report, nil
}

// binary is a file that is being examined.
type binary struct {
	file io.ReaderAt
	elf  *elf.File
	size uint64
}

// checkHeader refuses what is of no interest, and counts that no linker
// writes, before memory is made for them. Layout: ELF-64 object file format.
func checkHeader(file io.ReaderAt, size int64) error {
	var h [64]byte
	if size < int64(len(h)) {
		return ErrOtherMachine
	}
	if _, err := file.ReadAt(h[:], 0); err != nil {
		return fmt.Errorf("reading the ELF header: %w", err)
	}
	if string(h[:4]) != elf.ELFMAG || h[4] != byte(elf.ELFCLASS64) || h[5] != byte(elf.ELFDATA2LSB) {
		return ErrOtherMachine
	}
	machine := elf.Machine(uint16(h[18]) | uint16(h[19])<<8)
	if machine != elf.EM_X86_64 && machine != elf.EM_AARCH64 {
		return ErrOtherMachine
	}
	segments := int(h[56]) | int(h[57])<<8
	sections := int(h[60]) | int(h[61])<<8
	sectionsAt := little.Uint64(h[40:])
	switch {
	case segments > maxSegments:
		return fmt.Errorf("ELF header: %d segments, more than %d", segments, maxSegments)
	case sections > maxSections:
		return fmt.Errorf("ELF header: %d sections, more than %d", sections, maxSections)
	case sectionsAt != 0 && sections == 0:
		// The number stands in the first section when it is over 65279.
		return errors.New("ELF header: more than 65279 sections")
	case sectionsAt > uint64(size):
		return fmt.Errorf("ELF header: the section table is at %d, behind the end of the file", sectionsAt)
	}
	return nil
}

// offset returns where in the file an address of code stands; false when it
// is not in an executable segment.
func (b *binary) offset(address uint64) (uint64, bool) {
	for _, p := range b.elf.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && p.Vaddr <= address && address-p.Vaddr < p.Filesz {
			at := address - p.Vaddr + p.Off
			return at, at < b.size
		}
	}
	return 0, false
}

// at reads from an address, whatever segment it is in.
func (b *binary) at(address uint64, into []byte) error {
	for _, p := range b.elf.Progs {
		if p.Type == elf.PT_LOAD && p.Vaddr <= address && address-p.Vaddr < p.Filesz &&
			uint64(len(into)) <= p.Filesz-(address-p.Vaddr) {
			if _, err := b.file.ReadAt(into, int64(address-p.Vaddr+p.Off)); err != nil {
				return fmt.Errorf("reading %d bytes at address %#x: %w", len(into), address, err)
			}
			return nil
		}
	}
	return fmt.Errorf("reading %d bytes at address %#x: not in a segment", len(into), address)
}

// section returns the section of that name, nil when there is none whose
// content stands in the file as it is.
func (b *binary) section(name string) *elf.Section {
	s := b.elf.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS || s.Flags&elf.SHF_COMPRESSED != 0 || s.FileSize > maxTable ||
		s.Offset > b.size || s.FileSize > b.size-s.Offset {
		return nil
	}
	return s
}

// buildID returns the GNU build id, or Go's own, "" when there is none.
func (b *binary) buildID() string {
	const maxNote = 4096
	for _, name := range []string{".note.gnu.build-id", ".note.go.buildid"} {
		s := b.section(name)
		if s == nil || s.FileSize > maxNote || s.FileSize < 12 {
			continue
		}
		note := make([]byte, s.FileSize)
		if _, err := b.file.ReadAt(note, int64(s.Offset)); err != nil {
			continue
		}
		owner, length := uint64(little.Uint32(note)), uint64(little.Uint32(note[4:]))
		begin := 12 + (owner+3)&^3
		if begin+length > uint64(len(note)) {
			continue
		}
		if name == ".note.go.buildid" {
			return string(note[begin : begin+length])
		}
		return hex.EncodeToString(note[begin : begin+length])
	}
	return ""
}

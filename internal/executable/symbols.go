package executable

import (
	"bytes"
	"debug/elf"
	encoding "encoding/binary"
	"fmt"
	"slices"
)

var little = encoding.LittleEndian

const (
	symbolBytes = 24 // Elf64_Sym
	chunkBytes  = symbolBytes * 8192
)

// wanted are the functions of each library, and which of them it must have.
var wanted = []struct {
	library  Library
	required []string
	names    []string
}{
	{OpenSSL, []string{"SSL_read", "SSL_write"}, []string{"SSL_read", "SSL_write", "SSL_read_ex", "SSL_write_ex", "SSL_sendfile", "SSL_do_handshake", "SSL_new", "SSL_free"}},
	{GnuTLS, []string{"gnutls_record_recv", "gnutls_record_send"}, []string{
		"gnutls_record_recv", "gnutls_record_recv_seq", "gnutls_record_send", "gnutls_record_send2", "gnutls_record_send_range",
		"gnutls_record_send_file", "gnutls_handshake", "gnutls_deinit",
	}},
	// The SSL layer of NSS, and NSPR, through whose functions it is used.
	{NSS, []string{"SSL_ImportFD"}, []string{"SSL_ImportFD"}},
	{NSS, []string{"PR_Read", "PR_Write"}, []string{"PR_Read", "PR_Write", "PR_Recv", "PR_Send", "PR_Close"}},
}

// isWanted is the same by name.
var isWanted = func() map[string]bool {
	all := map[string]bool{}
	for _, w := range wanted {
		for _, name := range w.names {
			all[name] = true
		}
	}
	return all
}()

// symbols returns the offsets in the file of the wanted functions that the
// file defines: of the dynamic symbols, or, when there are none of interest,
// of all of them (static libraries in an executable).
func (b *binary) symbols() (map[string]uint64, error) {
	for _, name := range []string{".dynsym", ".symtab"} {
		found, err := b.symbolsOf(name)
		if err != nil || len(libraries(found)) > 0 {
			return found, err
		}
	}
	return nil, nil
}

func (b *binary) symbolsOf(name string) (map[string]uint64, error) {
	table := b.section(name)
	if table == nil || int(table.Link) >= len(b.elf.Sections) {
		return nil, nil
	}
	texts := b.elf.Sections[table.Link]
	if texts.Type != elf.SHT_STRTAB || b.section(texts.Name) == nil || texts.FileSize > maxTable {
		return nil, nil
	}
	strings := make([]byte, texts.FileSize)
	if _, err := b.file.ReadAt(strings, int64(texts.Offset)); err != nil {
		return nil, fmt.Errorf("reading %s: %w", texts.Name, err)
	}
	found := map[string]uint64{}
	chunk := make([]byte, min(chunkBytes, table.FileSize/symbolBytes*symbolBytes))
	for at, end := table.Offset, table.Offset+table.FileSize/symbolBytes*symbolBytes; at < end; {
		n := min(uint64(len(chunk)), end-at)
		if _, err := b.file.ReadAt(chunk[:n], int64(at)); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		for s := chunk[:n]; len(s) > 0; s = s[symbolBytes:] {
			b.symbol(s[:symbolBytes], strings, found)
		}
		at += n
	}
	return found, nil
}

// symbol adds a symbol that is a wanted function defined here.
func (b *binary) symbol(s, strings []byte, found map[string]uint64) {
	kind := elf.ST_TYPE(s[4])
	if kind != elf.STT_FUNC && kind != elf.STT_GNU_IFUNC || little.Uint16(s[6:]) == uint16(elf.SHN_UNDEF) {
		return
	}
	at := uint64(little.Uint32(s))
	if at >= uint64(len(strings)) {
		return
	}
	// The first letters tell most others apart without looking for the end.
	name := strings[at:]
	if len(name) < 3 || !bytes.HasPrefix(name, []byte("SSL")) && !bytes.HasPrefix(name, []byte("PR_")) && !bytes.HasPrefix(name, []byte("gnu")) {
		return
	}
	name = name[:min(len(name), 64)]
	if end := bytes.IndexAny(name, "\x00@"); end >= 0 { // "SSL_read@@OPENSSL_3.0.0"
		name = name[:end]
	}
	if !isWanted[string(name)] {
		return
	}
	if offset, ok := b.offset(little.Uint64(s[8:])); ok {
		found[string(name)] = offset
	}
}

// libraries says whose functions these are.
func libraries(found map[string]uint64) []Finding {
	var findings []Finding
	for _, w := range wanted {
		if slices.ContainsFunc(w.required, func(name string) bool { _, ok := found[name]; return !ok }) {
			continue
		}
		finding := Finding{Library: w.library}
		var seen []uint64
		for _, name := range w.names {
			entry, ok := found[name]
			if !ok || slices.Contains(seen, entry) { // an alias would count everything twice
				continue
			}
			seen = append(seen, entry)
			finding.Functions = append(finding.Functions, Function{Name: name, Entry: entry})
		}
		findings = append(findings, finding)
	}
	return findings
}

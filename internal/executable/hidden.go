package executable

import (
	"bytes"
	"debug/elf"
	"strings"
)

// whyStripped tells of TLS code without names.
const whyStripped = "stripped_static"

// tlsTexts stand in executables that contain a TLS library: version lines of
// OpenSSL and BoringSSL, source paths of rustls.
var tlsTexts = [][]byte{
	[]byte("OpenSSL 1."), []byte("OpenSSL 3."), []byte("BoringSSL"), []byte("ssl/ssl_lib.c"), []byte("rustls/src/"), []byte("LibreSSL "),
}

// hidden says why no function was found of TLS code that is in an executable.
// Shared libraries, and executables that only use one, are not searched.
func (b *binary) hidden() string {
	const maxSearched = 64 << 20
	if b.elf.Section(".interp") == nil && b.elf.Type == elf.ET_DYN {
		if b.elf.Section(".dynamic") != nil && b.elf.Entry == 0 {
			return ""
		}
	}
	needed, err := b.elf.ImportedLibraries()
	if err == nil {
		for _, name := range needed {
			if strings.HasPrefix(name, "libssl") || strings.HasPrefix(name, "libgnutls") || strings.HasPrefix(name, "libcrypto") {
				return ""
			}
		}
	}
	if b.elf.Entry == 0 {
		return "" // a library
	}
	s := b.section(".rodata")
	if s == nil || s.FileSize > maxSearched {
		return ""
	}
	const piece, overlap = 1 << 20, 32
	buffer := make([]byte, min(piece, s.FileSize))
	for at := uint64(0); at < s.FileSize; at += piece - overlap {
		n := min(uint64(len(buffer)), s.FileSize-at)
		if _, err := b.file.ReadAt(buffer[:n], int64(s.Offset+at)); err != nil {
			return ""
		}
		for _, text := range tlsTexts {
			if bytes.Contains(buffer[:n], text) {
				return whyStripped
			}
		}
	}
	return ""
}

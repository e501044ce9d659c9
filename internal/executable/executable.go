// Package executable finds the functions of TLS libraries in ELF files, by
// symbols or, in Go executables, by the runtime's function table.
//
// It reads files that anybody may have written, so every count and offset is
// checked against bounds, and every error says what is wrong with the file.
// It starts nothing, keeps nothing and knows nothing of processes: a file in,
// places to probe out. Offsets are offsets in the file, as uprobes take them.
package executable

// Library is the TLS implementation that a function belongs to. Its value is
// that of the attribute qtap.capture.source.
type Library string

const (
	OpenSSL Library = "openssl" // and LibreSSL and BoringSSL, which have its API
	Go      Library = "go"      // crypto/tls
	GnuTLS  Library = "gnutls"
	NSS     Library = "nss"
)

// Function is one place to probe.
type Function struct {
	Name  string // as the library names it: "SSL_read", "crypto/tls.(*Conn).Read"
	Entry uint64 // offset in the file of the first instruction
	// Returns are offsets in the file of all return instructions. Only of Go,
	// whose stacks move, so that a return probe would crash them; nil for
	// others.
	Returns []uint64
}

// Finding is one TLS implementation in a file.
type Finding struct {
	Library   Library
	Version   string // as far as the file tells: "go1.22.3", "OpenSSL 3.0.17"; "" when not
	Functions []Function
}

// Report is what one file contains.
type Report struct {
	Machine  string // "amd64", "arm64"; others are not examined
	BuildID  string // hexadecimal, of the GNU note or Go's own; "" when there is none
	Findings []Finding
	// Why tells why nothing can be read of TLS code that is there:
	// "stripped_static" when the file contains TLS code by its strings but no
	// function can be found. "" otherwise.
	Why string
}

// Package handshake reads the first messages of a TLS connection, which are
// not encrypted: ClientHello and ServerHello (RFC 8446 section 4.1, RFC 5246
// section 7.4.1). They tell the name of the server, the version, the cipher
// and, before TLS 1.3, the protocol inside.
//
// A [Reader] takes the bytes of both directions as they come, is bounded, and
// gives what was said; it never guesses what the encryption hides.
package handshake

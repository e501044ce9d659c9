// Package delivery runs every configuration of distribution/examples, unchanged,
// with the real collector against real servers: it makes traffic, asks the back
// end by its own query interface what arrived, opens the link of the
// artifact_record and compares the SHA-1 of what comes with the digest.
//
// The tests need root and Linux, the collectors (QTAP_BINARY and
// QTAP_FULL_BINARY, or dist/otelcol-qtap and dist/otelcol-qtap-full) and the
// servers of servers/Makefile in dist/servers. A collector watches the whole
// host, so the tests look for a token in the URL, run one collector at a time and
// let it show requests on the side of the client only: otherwise a server that
// stores what was seen of storing would never come to an end.
package delivery

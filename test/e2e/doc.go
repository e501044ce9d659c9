// Package e2e runs the real collector against real processes.
//
// A replay can show what the stages make of recorded events. These tests show
// what a replay cannot: that the kernel side sees what applications do, whoever
// they are and whichever calls they use, and that what it saw is what the peers
// exchanged. They need root, the binary dist/otelcol-qtap (or QTAP_BINARY), and
// curl, nginx, Python 3, Node and iproute2; those over TLS need more, all of
// which make deps installs.
//
// One collector per configuration serves many scenarios: every request carries
// a random token in its path, and a scenario looks only at records with its
// own. Everything stays on loopback or in network namespaces made here, and
// only processes that were started here are ended.
package e2e

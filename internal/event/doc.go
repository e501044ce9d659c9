// Package event is the kernel ABI in Go: what the eBPF programs submit, as
// bytes and as values, and the [Source] that delivers it.
//
// It owns the layout of every record (the C side is bpf/event.h; a test
// compares the two through BTF), the codec, and the vocabulary for what is
// missing: [Gap], [Reason], [Reasons]. It takes raw records and gives values
// that alias them. It never imports another package of this module, runs
// without Linux and without privileges, and interprets no payload.
package event

//go:build linux

// Command bench measures what watching costs on this machine, with the real
// collector, as its user has it:
//
//	bench [flags] [start] [calls] [steady] [saturated] [memory] [discovery]
//
// Without a section it measures all. It needs root, nginx and wrk; `make
// bench` runs it. It prints a table per section and, with -out, every single
// value in Go's benchmark format, for benchstat.
//
// Everything is measured with and without the collector in turns within one
// run, because the machine of a run is the only one that its figures can be
// compared with. Nothing is asserted.
//
// The collector leaves out its own process, but no other, so load comes from
// processes of their own. This program is also these, see roles in main.go.
package main

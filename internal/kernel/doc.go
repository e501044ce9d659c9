// Package kernel is the capture side on Linux: it loads the eBPF programs of
// bpf/, attaches them after the hook plan, reads all ring buffers and delivers
// their records in the order of their time. It is the [event.Source] of a
// running receiver.
//
// It owns every kernel object that is made: programs, links, maps. They are
// held by descriptors only, never pinned, so that nothing is left when the
// process ends in any way. It parses no message and keeps no connection.
package kernel

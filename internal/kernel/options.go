//go:build linux

package kernel

// Options decide what is loaded.
type Options struct {
	// RingBytes is the size of all ring buffers together.
	RingBytes int
	// Connections bounds the TCP connections that are followed at a time.
	Connections int
	// CopyBudgetBytes are copied per direction of a connection until the
	// other direction speaks; of what goes beyond only the size is delivered.
	CopyBudgetBytes uint64
	// IgnoreLoopback leaves out connections with both addresses on loopback.
	IgnoreLoopback bool
	// IgnoreClients and IgnoreServers leave out connections by the role of
	// the local socket, where it is known.
	IgnoreClients, IgnoreServers bool
	// Attached is told of every hook of the plan once it was tried. May be nil.
	Attached func(Attachment)
}

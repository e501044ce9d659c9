// Package stream turns the records of one direction of a connection into its
// bytes in order, and every hole into an [event.Gap] with its reason.
//
// It takes [event.Data] in any order, the final position as [event.Finish] or
// at the close, and the marks that say how far in time everything has arrived.
// It gives bytes, gaps and the end to a [Consumer]: contiguous, each position
// once, and their lengths add up to what the application moved. It owns the
// memory [Budget] that all streams and bodies share.
//
// Bytes in order pass without being copied. What is ahead of a hole is copied
// and held until the hole is filled, until a mark shows that nothing can fill
// it any more, or until there is no room to wait; then the hole is a gap.
//
// # Positions that contradict each other
//
// The kernel side takes the position of a call from the socket when the call
// returns. When two threads send on one socket at the same time, the call
// that returns late finds the socket further on and claims a position that is
// too high; it can never claim one that is too low. So the true place of a
// misplaced call is a hole or was claimed by another, and as long as nothing
// overlaps and nothing is missing, every claim is right: the first bytes can
// only belong to the call that claims them, then the next ones, and so on. As
// soon as claims overlap, all that is held is in doubt, together with whatever
// the same calls still deliver. Doubtful bytes are given as gaps.
//
// It never looks at a byte and never guesses one.
package stream

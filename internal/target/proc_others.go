//go:build !linux

package target

import "github.com/qtapreceiver/qtapreceiver/internal/transaction"

// probeSystem knows nothing: outside of Linux there are only recordings, whose
// processes are not here.
func probeSystem(transaction.ProcessKey) (facts, bool) { return facts{}, false }

package qtapreceiver

import (
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
)

// health reports the component's status, on change only. The Collector itself
// reports that the component has started and that it stops.
type health struct {
	host component.Host

	mu       sync.Mutex
	failed   bool // for good
	refusing bool // the last batch was not taken
}

// fail reports that nothing is captured any more.
func (h *health) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed {
		return
	}
	h.failed = true
	componentstatus.ReportStatus(h.host, componentstatus.NewPermanentErrorEvent(err))
}

// delivered reports when the next consumer begins to refuse, err, and when it
// takes records again, nil. It tells whether that is a change.
func (h *health) delivered(err error) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if refusing := err != nil; refusing == h.refusing {
		return false
	}
	h.refusing = err != nil
	if h.failed {
		return true
	}
	status := componentstatus.NewEvent(componentstatus.StatusOK)
	if err != nil {
		status = componentstatus.NewRecoverableErrorEvent(err)
	}
	componentstatus.ReportStatus(h.host, status)
	return true
}

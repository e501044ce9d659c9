package objectstoreexporter

import (
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
)

// refusalShown is how long a refused record stays visible in the status, so
// that the good batches around it do not hide it, and how often the log
// repeats a cause.
const refusalShown = time.Minute

// health reports the component's status, on change only: a recoverable error
// while the store fails or records are refused, OK again afterwards.
type health struct {
	host   component.Host
	logger *zap.Logger
	now    func() time.Time

	mu          sync.Mutex
	problem     string // reason or cause of the error that is shown, "" for OK
	lastFailure time.Time
	lastRefusal time.Time
	logged      map[cause]time.Time
}

func newHealth(host component.Host, logger *zap.Logger) *health {
	return &health{host: host, logger: logger, now: time.Now, logged: make(map[cause]time.Time)}
}

// failed reports that the store did not take objects.
func (h *health) failed(f *failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastFailure = h.now()
	h.show(string(f.reason), f)
}

// refused reports that a record was dropped. Each cause is logged at most once
// in refusalShown; the metric counts all.
func (h *health) refused(r *refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	h.lastRefusal = now
	h.show(string(r.cause), r.err)
	if last, before := h.logged[r.cause]; before && now.Sub(last) < refusalShown {
		return
	}
	h.logged[r.cause] = now
	h.logger.Warn("A log record cannot become an object and is dropped; further ones for this cause are counted, and logged once a minute",
		zap.String("cause", string(r.cause)), zap.Error(r.err))
}

// stored reports that a batch that began at the given time was taken whole. One
// that began before the last failure says nothing about the store now.
func (h *health) stored(began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.problem == "" || !began.After(h.lastFailure) {
		return
	}
	if !h.lastRefusal.IsZero() && h.now().Sub(h.lastRefusal) < refusalShown {
		return
	}
	h.problem = ""
	componentstatus.ReportStatus(h.host, componentstatus.NewEvent(componentstatus.StatusOK))
}

func (h *health) show(problem string, err error) {
	if h.problem == problem {
		return
	}
	h.problem = problem
	componentstatus.ReportStatus(h.host, componentstatus.NewRecoverableErrorEvent(err))
}

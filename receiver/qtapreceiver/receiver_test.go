package qtapreceiver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/receiver/qtapreceiver/internal/metadata"
)

// statusHost notes the status events of the component.
type statusHost struct {
	component.Host
	mu     sync.Mutex
	events []*componentstatus.Event
}

func newStatusHost() *statusHost { return &statusHost{Host: componenttest.NewNopHost()} }

func (h *statusHost) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

// statuses returns what was reported, with the error texts.
func (h *statusHost) statuses() (all []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		text := e.Status().String()
		if e.Err() != nil {
			text += ": " + e.Err().Error()
		}
		all = append(all, text)
	}
	return all
}

// newTestReceiver returns a receiver that watches the source instead of the
// kernel, and its log.
func newTestReceiver(t *testing.T, next consumer.Logs, source event.Source, edit ...func(*Config, *receiver.Settings)) (*qtapReceiver, *observer.ObservedLogs) {
	t.Helper()
	settings := receivertest.NewNopSettings(metadata.Type)
	core, log := observer.New(zap.InfoLevel)
	settings.Logger = zap.New(core)
	config := createDefaultConfig().(*Config)
	for _, e := range edit {
		e(config, &settings)
	}
	r, err := newReceiver(config, settings, next)
	require.NoError(t, err)
	r.delivery.bounds = retryBounds{first: 2 * time.Millisecond, longest: 4 * time.Millisecond, total: time.Minute}
	r.open = func(*Config, *zap.Logger) (event.Source, error) { return source, nil }
	return r, log
}

// kinds returns the event types of all records, in order.
func kinds(all []plog.Logs) (found []string) {
	for _, logs := range all {
		for _, resource := range logs.ResourceLogs().All() {
			for _, scope := range resource.ScopeLogs().All() {
				for _, entry := range scope.LogRecords().All() {
					kind, _ := entry.Attributes().Get("event.type")
					found = append(found, kind.AsString())
				}
			}
		}
	}
	return found
}

func TestARecordingIsPlayedWithoutPrivileges(t *testing.T) {
	next := new(consumertest.LogsSink)
	config := createDefaultConfig().(*Config)
	config.ReplayFile = "testdata/get.qtap"
	r, err := NewFactory().CreateLogs(context.Background(), receivertest.NewNopSettings(metadata.Type), config, next)
	require.NoError(t, err)
	require.NoError(t, r.Start(context.Background(), componenttest.NewNopHost()))
	assert.Eventually(t, func() bool { return next.LogRecordCount() == 4 }, 5*time.Second, time.Millisecond)
	require.NoError(t, r.Shutdown(context.Background()))
	assert.ElementsMatch(t, []string{"artifact", "request", "artifact_record", "connection"}, kinds(next.AllLogs()))

	first := next.AllLogs()[0].ResourceLogs().At(0).Resource().Attributes().AsRaw()
	assert.Equal(t, "qtap", first["service.name"])
	assert.Equal(t, "curl", first["process.executable.name"])
	for _, logs := range next.AllLogs() {
		text, err := new(plog.JSONMarshaler).MarshalLogs(logs)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "secret")
	}
}

func TestStartContextMayEndWhenStartHasReturned(t *testing.T) {
	next := new(consumertest.LogsSink)
	r, _ := newTestReceiver(t, next, &watched{records: conversation(true)})
	ctx, cancel := context.WithCancel(context.Background())
	require.NoError(t, r.Start(ctx, componenttest.NewNopHost()))
	cancel()
	assert.Eventually(t, func() bool { return next.LogRecordCount() == 4 }, 5*time.Second, time.Millisecond)
	require.NoError(t, r.Shutdown(context.Background()))
}

func TestErrorsOfOpeningTheSource(t *testing.T) {
	tests := []struct {
		name     string
		mode     string
		start    string // error of Start, "" for none
		statuses []string
		logged   []string
	}{
		{
			name:  "propagate stops the Collector",
			mode:  errorModePropagate,
			start: "starting to capture: missing CAP_BPF: run as root",
		},
		{
			name:     "ignore lets the Collector run on and tells",
			mode:     errorModeIgnore,
			statuses: []string{"StatusPermanentError: starting to capture: missing CAP_BPF: run as root"},
			logged:   []string{"Nothing is captured: the Collector runs on without this receiver (error_mode: ignore)"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, log := newTestReceiver(t, consumertest.NewNop(), nil, func(c *Config, _ *receiver.Settings) { c.ErrorMode = tt.mode })
			r.open = func(*Config, *zap.Logger) (event.Source, error) {
				return nil, errors.New("missing CAP_BPF: run as root")
			}
			host := newStatusHost()
			err := r.Start(context.Background(), host)
			if tt.start == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tt.start)
			}
			assert.Equal(t, tt.statuses, host.statuses())
			assert.Equal(t, tt.logged, messages(log))
			require.NoError(t, r.Shutdown(context.Background()))
		})
	}
}

func messages(log *observer.ObservedLogs) (all []string) {
	for _, entry := range log.All() {
		all = append(all, entry.Message)
	}
	return all
}

func TestASourceThatDiesIsTold(t *testing.T) {
	source := &watched{records: conversation(true), err: errors.New("the ring is gone")}
	next := new(consumertest.LogsSink)
	r, log := newTestReceiver(t, next, source)
	host := newStatusHost()
	require.NoError(t, r.Start(context.Background(), host))
	assert.Eventually(t, func() bool { return len(host.statuses()) == 1 }, 5*time.Second, time.Millisecond)
	assert.Equal(t, []string{"StatusPermanentError: reading the source: the ring is gone"}, host.statuses())
	assert.Equal(t, 1, log.FilterMessage("Capturing has ended").Len())
	assert.Equal(t, 4, next.LogRecordCount(), "what was captured before is delivered")
	require.NoError(t, r.Shutdown(context.Background()))
	assert.EqualValues(t, 1, source.closed.Load())
}

func TestShutdownWithoutStartAndTwice(t *testing.T) {
	r, _ := newTestReceiver(t, consumertest.NewNop(), nil)
	require.NoError(t, r.Shutdown(context.Background()))
	require.NoError(t, r.Shutdown(context.Background()))

	source := &watched{}
	r, _ = newTestReceiver(t, consumertest.NewNop(), source)
	require.NoError(t, r.Start(context.Background(), componenttest.NewNopHost()))
	require.NoError(t, r.Shutdown(context.Background()))
	require.NoError(t, r.Shutdown(context.Background()))
	assert.EqualValues(t, 1, source.closed.Load(), "the source is closed once")
}

func TestShutdownDeliversWhatIsInProgress(t *testing.T) {
	source := &watched{records: conversation(false), delivered: make(chan struct{})}
	next := new(consumertest.LogsSink)
	r, _ := newTestReceiver(t, next, source)
	require.NoError(t, r.Start(context.Background(), componenttest.NewNopHost()))
	<-source.delivered
	require.NoError(t, r.Shutdown(context.Background()))
	assert.Contains(t, kinds(next.AllLogs()), "request")
	text, err := new(plog.JSONMarshaler).MarshalLogs(next.AllLogs()[len(next.AllLogs())-1])
	require.NoError(t, err)
	assert.Contains(t, string(text), `"shutdown"`)
}

// stuck does not answer before it is told to, or its context ends.
type stuck struct {
	called, release chan struct{}
}

func (*stuck) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *stuck) ConsumeLogs(ctx context.Context, _ plog.Logs) error {
	select {
	case s.called <- struct{}{}:
	default:
	}
	select {
	case <-s.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestShutdownHonoursItsDeadline(t *testing.T) {
	next := &stuck{called: make(chan struct{}, 1), release: make(chan struct{})}
	defer close(next.release)
	r, _ := newTestReceiver(t, next, &watched{records: conversation(true)})
	require.NoError(t, r.Start(context.Background(), componenttest.NewNopHost()))
	<-next.called
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	require.ErrorContains(t, r.Shutdown(ctx), "records were dropped")
	assert.Less(t, time.Since(start), 2*time.Second)
}

func TestStatusFollowsTheNextConsumer(t *testing.T) {
	var refuses atomic.Bool
	refuses.Store(true)
	next, err := consumer.NewLogs(func(context.Context, plog.Logs) error {
		if refuses.Load() {
			return consumererror.NewPermanent(errors.New("no"))
		}
		return nil
	})
	require.NoError(t, err)
	r, log := newTestReceiver(t, next, nil)
	host := newStatusHost()
	r.health = health{host: host}
	deliver := func() {
		_, _ = r.deliver(context.Background(), recordBatch("event"))
	}
	deliver()
	deliver()
	refuses.Store(false)
	deliver()
	deliver()
	assert.Equal(t, []string{"StatusRecoverableError: Permanent error: no", "StatusOK"}, host.statuses(), "on change only")
	assert.Equal(t, []string{"The next consumer refuses records, they are dropped", "The next consumer takes records again"}, messages(log))
	require.NoError(t, r.Shutdown(context.Background()))
}

package qtapreceiver

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/qtapreceiver/qtapreceiver/internal/record"
	"github.com/qtapreceiver/qtapreceiver/receiver/qtapreceiver/internal/metadata"
	"github.com/qtapreceiver/qtapreceiver/receiver/qtapreceiver/internal/metadatatest"
)

// script is a next consumer that answers its calls one after the other with
// the given errors, and then takes everything.
type script struct {
	answers []error
	calls   []plog.Logs
	blocked chan struct{} // when not nil: every call is announced here
}

func (s *script) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	s.calls = append(s.calls, logs)
	if s.blocked != nil {
		s.blocked <- struct{}{}
	}
	if len(s.calls) <= len(s.answers) {
		return s.answers[len(s.calls)-1]
	}
	return nil
}

func (*script) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// logsOf returns logs whose records have the bodies.
func logsOf(bodies ...string) plog.Logs {
	logs := plog.NewLogs()
	records := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, body := range bodies {
		records.AppendEmpty().Body().SetStr(body)
	}
	return logs
}

// bodies returns the bodies of all records of all calls.
func bodies(calls []plog.Logs) (all [][]string) {
	for _, logs := range calls {
		var call []string
		records := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
		for i := range records.Len() {
			call = append(call, records.At(i).Body().AsString())
		}
		all = append(all, call)
	}
	return all
}

func newTestDelivery(t *testing.T, next consumer.Logs) (*delivery, *componenttest.Telemetry) {
	t.Helper()
	observed := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, observed.Shutdown(context.Background())) })
	settings := receivertest.NewNopSettings(metadata.Type)
	settings.TelemetrySettings = observed.NewTelemetrySettings()
	return deliveryWith(t, next, settings), observed
}

func deliveryWith(t *testing.T, next consumer.Logs, settings receiver.Settings) *delivery {
	t.Helper()
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	require.NoError(t, err)
	t.Cleanup(telemetry.Shutdown)
	d, err := newDelivery(next, settings, telemetry)
	require.NoError(t, err)
	d.bounds = retryBounds{first: 2 * time.Millisecond, longest: 4 * time.Millisecond, total: time.Minute}
	return d
}

func TestDelivery(t *testing.T) {
	busy := errors.New("busy")
	wrong := consumererror.NewPermanent(errors.New("wrong"))
	tests := []struct {
		name    string
		answers []error
		total   time.Duration // of the retries; a minute when 0
		calls   [][]string
		refused int
		err     string
		retries int64
	}{
		{
			name:  "objects are delivered one by one and before the events that name them",
			calls: [][]string{{"object 1"}, {"object 2"}, {"event 1", "event 2"}},
		},
		{
			name:    "a consumer that refuses for a passing reason is asked again with the same records",
			answers: []error{nil, busy, busy},
			calls:   [][]string{{"object 1"}, {"object 2"}, {"object 2"}, {"object 2"}, {"event 1", "event 2"}},
			retries: 2,
		},
		{
			name:    "of records taken in part only the rest is repeated",
			answers: []error{nil, nil, consumererror.NewLogs(busy, logsOf("event 2"))},
			calls:   [][]string{{"object 1"}, {"object 2"}, {"event 1", "event 2"}, {"event 2"}},
			retries: 1,
		},
		{
			name:    "records refused for good are not repeated, and the others are delivered",
			answers: []error{wrong},
			calls:   [][]string{{"object 1"}, {"object 2"}, {"event 1", "event 2"}},
			refused: 1,
			err:     "Permanent error: wrong",
		},
		{
			name:    "when the time of the batch is over everything is tried once more",
			answers: []error{busy, nil, busy},
			total:   time.Nanosecond,
			calls:   [][]string{{"object 1"}, {"object 2"}, {"event 1", "event 2"}},
			refused: 3,
			err:     "giving up after 1ns: busy\ngiving up after 1ns: busy",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next := &script{answers: tt.answers}
			d, observed := newTestDelivery(t, next)
			if tt.total != 0 {
				d.bounds.total = tt.total
			}
			refused, err := d.batch(context.Background(), record.Batch{
				Artifacts: []plog.Logs{logsOf("object 1"), logsOf("object 2")},
				Events:    logsOf("event 1", "event 2"),
			})
			assert.Equal(t, tt.calls, bodies(next.calls))
			assert.Equal(t, tt.refused, refused)
			if tt.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tt.err)
			}
			if tt.retries > 0 {
				metadatatest.AssertEqualReceiverQtapDeliveryRetries(t, observed,
					[]metricdata.DataPoint[int64]{{Value: tt.retries}}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
			}
		})
	}
}

func TestNoEventsMeansNoCall(t *testing.T) {
	next := new(script)
	d, _ := newTestDelivery(t, next)
	refused, err := d.batch(context.Background(), record.Batch{Events: plog.NewLogs()})
	require.NoError(t, err)
	assert.Zero(t, refused)
	assert.Empty(t, next.calls)
}

func TestDeliveryEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	next := &script{answers: []error{errors.New("busy")}, blocked: make(chan struct{})}
	d, _ := newTestDelivery(t, next)
	d.bounds.first = time.Hour
	d.bounds.total = 2 * time.Hour
	go func() {
		<-next.blocked
		cancel()
	}()
	refused, err := d.batch(ctx, record.Batch{Events: logsOf("event")})
	require.EqualError(t, err, "giving up because of the shutdown: busy")
	assert.Equal(t, 1, refused)
}

func recordBatch(events ...string) record.Batch { return record.Batch{Events: logsOf(events...)} }

package qtapreceiver

import (
	"go.uber.org/zap"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/kernel"
	"github.com/qtapreceiver/qtapreceiver/internal/policy"
)

// headBytes is copied of a direction at any level: a header section of the
// largest size that is parsed, and enough of a body to follow the framing of
// usual chunked ones, whose end cannot be found without.
const headBytes = 256 * 1024

// openKernel loads and attaches the eBPF programs.
func openKernel(config *Config, logger *zap.Logger) (event.Source, error) {
	options, err := kernelOptions(config, logger)
	if err != nil {
		return nil, err
	}
	source, err := kernel.Open(options)
	if err != nil {
		// Not the typed nil that source holds.
		return nil, err
	}
	return &watchedSource{Source: source, tlsTargets: watchTargets(config, source, logger)}, nil
}

func kernelOptions(config *Config, logger *zap.Logger) (kernel.Options, error) {
	var wanted policy.Directions
	if err := text("capture.direction", config.Capture.Direction, &wanted); err != nil {
		return kernel.Options{}, err
	}
	options := kernel.Options{
		RingBytes:       int(config.Limits.RingMiB) * mebibyte,
		Connections:     int(config.Limits.Connections),
		CopyBudgetBytes: headBytes,
		IgnoreLoopback:  config.Capture.IgnoreLoopback,
		// A client's transactions are egress, a server's are ingress. Which
		// kind of egress is decided later, by the address.
		IgnoreClients: wanted&policy.Egress == 0,
		IgnoreServers: wanted&policy.Ingress == 0,
		Attached: func(a kernel.Attachment) {
			if a.Err == nil {
				logger.Debug("Attached", zap.String("hook", a.Where), zap.String("purpose", a.Purpose))
				return
			}
			logger.Warn("Not attached", zap.String("hook", a.Where), zap.String("without", a.Without), zap.Error(a.Err))
		},
	}
	if config.full() {
		// The limit is for bodies, the budget for all that goes one way until
		// the other answers.
		options.CopyBudgetBytes += uint64(config.Capture.BodyLimitBytes)
	}
	return options, nil
}

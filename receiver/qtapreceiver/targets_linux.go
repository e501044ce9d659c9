package qtapreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"go.uber.org/zap"

	"github.com/qtapreceiver/qtapreceiver/internal/executable"
	"github.com/qtapreceiver/qtapreceiver/internal/kernel"
	"github.com/qtapreceiver/qtapreceiver/internal/target"
)

// waitingSightings is how many reports of executable files may wait. The
// kernel reports a file once, so a burst is as large as a host has files.
const waitingSightings = 4096

// watchedSource is the kernel side with everything that is probed.
type watchedSource struct {
	*kernel.Source
	*tlsTargets
}

// Close takes the probes away, and then the kernel side.
func (s *watchedSource) Close() error {
	return errors.Join(s.tlsTargets.close(), s.Source.Close())
}

// tlsTargets keeps the TLS libraries of all processes probed for as long as
// the kernel side is open.
type tlsTargets struct {
	discovery *target.Discovery
	logger    *zap.Logger
	stop      context.CancelFunc
	running   sync.WaitGroup
}

// prober lets the discovery use the kernel side.
type prober struct{ source *kernel.Source }

func (p prober) Attach(file *os.File, finding executable.Finding) (io.Closer, error) {
	return p.source.Attach(file, finding)
}

func (p prober) Forget(key target.FileKey) {
	// Only when the map is gone, and everything with it.
	_ = p.source.Forget(key.Device, key.Inode)
}

// watchTargets begins to look for TLS libraries, those of running processes
// first.
func watchTargets(config *Config, source *kernel.Source, logger *zap.Logger) *tlsTargets {
	t := &tlsTargets{logger: logger}
	t.discovery = target.NewDiscovery(target.Options{
		Prober:  prober{source},
		Examine: executable.Examine,
		OpenSSL: config.TLS.OpenSSL.Enabled,
		Go:      config.TLS.Go.Enabled,
		GnuTLS:  config.TLS.GnuTLS.Enabled,
		NSS:     config.TLS.NSS.Enabled,
		Denied: func(err error) {
			logger.Warn("TLS of some processes is not read: grant CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or run as root", zap.Error(err))
		},
		// The path stands in the message, of which the Collector by default lets
		// no more than ten of the same through in ten seconds.
		Changed: func(f target.File) { logger.Debug("TLS target "+f.Path, targetFields(f)...) },
	})
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	sightings := make(chan target.Sighting, waitingSightings)
	t.running.Go(func() {
		if err := t.discovery.Run(ctx, sightings); err != nil {
			logger.Error("Looking for TLS libraries has ended; what was found stays probed", zap.Error(err))
		}
	})
	t.running.Go(func() {
		err := source.Sightings(ctx, func(s kernel.Sighting) {
			select {
			case sightings <- target.Sighting{
				PID: s.PID, IsExec: s.IsExec, File: target.FileKey{Device: s.Device, Inode: s.Inode},
			}:
			default:
				// Its next use tells again.
				_ = source.Forget(s.Device, s.Inode)
			}
		})
		if err != nil {
			logger.Error("New executables are not noticed any more", zap.Error(err))
		}
	})
	t.running.Go(func() { t.reportOnSignal(ctx) })
	return t
}

func targetFields(f target.File) []zap.Field {
	fields := []zap.Field{
		zap.String("library", string(f.Library)),
		zap.String("outcome", string(f.Outcome)), zap.String("version", f.Version), zap.String("build_id", f.BuildID),
	}
	if f.Err != nil {
		fields = append(fields, zap.Error(f.Err))
	}
	return fields
}

// reportOnSignal writes the attach report whenever SIGUSR1 comes, which the
// Collector itself has no use for.
func (t *tlsTargets) reportOnSignal(ctx context.Context) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	defer signal.Stop(asked)
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
		}
		path, err := t.writeReport()
		if err != nil {
			t.logger.Error("The report of TLS targets could not be written", zap.Error(err))
			continue
		}
		t.logger.Info("The report of TLS targets was written", zap.String("path", path))
	}
}

// writeReport writes the report to a file that only its owner can read: it
// lists the processes of the host.
func (t *tlsTargets) writeReport() (string, error) {
	file, err := os.CreateTemp("", "qtap-targets-*.txt")
	if err != nil {
		return "", fmt.Errorf("making the file of the report in %s (TMPDIR): %w", filepath.Clean(os.TempDir()), err)
	}
	defer file.Close()
	snapshot := t.discovery.Report()
	if err := snapshot.WriteText(file); err != nil {
		return "", fmt.Errorf("writing %s: %w", file.Name(), err)
	}
	return file.Name(), nil
}

// Reason implements pipeline.Targets.
func (t *tlsTargets) Reason(pid uint32, opened uint64) string { return t.discovery.Reason(pid, opened) }

// Observe implements pipeline.Targets.
func (t *tlsTargets) Observe(pid uint32) { t.discovery.Observe(pid) }

// Counts implements targetCounter.
func (t *tlsTargets) Counts() map[[2]string]int64 {
	counts := map[[2]string]int64{}
	for series, count := range t.discovery.Counts() {
		counts[[2]string{string(series.Library), string(series.Outcome)}] = count
	}
	return counts
}

// close takes all probes away.
func (t *tlsTargets) close() error {
	t.stop()
	t.running.Wait()
	if err := t.discovery.Close(); err != nil {
		return fmt.Errorf("taking the probes away: %w", err)
	}
	return nil
}

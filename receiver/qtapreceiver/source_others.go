//go:build !linux

package qtapreceiver

import (
	"errors"
	"runtime"

	"go.uber.org/zap"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// openKernel tells that there is nothing to open.
func openKernel(*Config, *zap.Logger) (event.Source, error) {
	return nil, errors.New("capturing needs Linux and this is " + runtime.GOOS + "; here only replay_file can be used")
}

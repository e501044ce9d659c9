//go:build !linux

package main

import (
	"errors"
	"runtime"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

var errNotLinux = errors.New("capturing needs Linux and this is " + runtime.GOOS)

func openKernel(settings) (event.Source, error) {
	return nil, errNotLinux
}

func networkNamespace(string) (uint32, error) { return 0, errNotLinux }

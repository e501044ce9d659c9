package main

import (
	"bytes"
	"context"
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/qtapreceiver/qtapreceiver/internal/replay"
)

func TestFlagsBecomeSettings(t *testing.T) {
	s, err := parse([]string{
		"-o", "out.qtap", "-duration", "3s", "-ring-mib", "4", "-connections", "9", "-budget-kib", "1",
		"-port", "80", "-port", "443", "-unix", "/run/x.sock",
	}, &bytes.Buffer{})
	require.NoError(t, err)
	assert.Equal(t, settings{
		output: "out.qtap", duration: 3 * time.Second, ringMiB: 4, connections: 9, budgetKiB: 1,
		selection: replay.Selection{Ports: []uint16{80, 443}, Paths: []string{"/run/x.sock"}},
	}, s)
}

func TestBadArgumentsAreRefusedBeforeAnythingIsOpened(t *testing.T) {
	cases := []struct {
		name      string
		arguments []string
		want      string
	}{
		{"no output", nil, "-o FILE is required; see qtaprecord -h"},
		{"something left over", []string{"-o", "x", "y"}, `unexpected argument "y"; see qtaprecord -h`},
		{"no ring", []string{"-o", "x", "-ring-mib", "0"}, "-ring-mib and -connections must be at least 1; see qtaprecord -h"},
		{"a time in the past", []string{"-o", "x", "-duration", "-1s"}, "-duration must not be negative; see qtaprecord -h"},
		{"a port that is none", []string{"-port", "65536"}, `invalid value "65536" for flag -port: must be a number from 1 to 65535`},
		{"an unknown flag", []string{"-x"}, "flag provided but not defined: -x"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			assert.EqualError(t, run(context.Background(), c.arguments, &bytes.Buffer{}), c.want)
		})
	}
}

func TestHelpSaysWhatTheFileHolds(t *testing.T) {
	var out bytes.Buffer
	require.ErrorIs(t, run(context.Background(), []string{"-h"}, &out), flag.ErrHelp)
	assert.Contains(t, out.String(), "passwords and cookies")
	assert.Contains(t, out.String(), "-duration")
}

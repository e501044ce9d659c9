//go:build linux

package kernel

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMissingCapabilitiesAreNamed(t *testing.T) {
	for _, test := range []struct {
		name, status string
		want         []string
	}{
		{"root has all", "Name:\tx\nCapEff:\t000001ffffffffff\n", nil},
		{"administrator stands for all", "CapEff:\t0000000000200000\n", nil},
		{"the two that are needed are enough", "CapEff:\t000000c000000000\n", nil},
		{"one of two", "CapEff:\t0000008000000000\n", []string{"CAP_PERFMON"}},
		{"the other of two", "CapEff:\t0000004000000000\n", []string{"CAP_BPF"}},
		{"none", "CapInh:\t000001ffffffffff\nCapEff:\t0000000000000000\n", []string{"CAP_BPF", "CAP_PERFMON"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := missingCapabilities(test.status)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
	_, err := missingCapabilities("Name:\tx\n")
	require.ErrorContains(t, err, "no CapEff line")
	_, err = missingCapabilities("CapEff:\tzz\n")
	require.ErrorContains(t, err, "reading CapEff")
}

func TestAMissingRequirementSaysTheWayOut(t *testing.T) {
	kernelAnswer := errors.New("operation not permitted")
	err := error(&MissingError{What: "CAP_BPF", WayOut: "run as root", Err: kernelAnswer})
	require.EqualError(t, err, "missing CAP_BPF: run as root (operation not permitted)")
	require.ErrorIs(t, err, kernelAnswer)
}

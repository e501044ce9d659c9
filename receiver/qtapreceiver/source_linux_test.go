package qtapreceiver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/qtapreceiver/qtapreceiver/internal/kernel"
)

func TestTheKernelSideIsAskedForNoMoreThanIsShown(t *testing.T) {
	defaults := kernel.Options{RingBytes: 16 << 20, Connections: 65536, CopyBudgetBytes: headBytes}
	tests := []struct {
		name string
		edit func(*Config)
		want func(*kernel.Options)
	}{
		{"heads and the beginning of bodies by default", func(*Config) {}, func(*kernel.Options) {}},
		{
			"bodies up to their limit at level full",
			func(c *Config) { c.Capture.Level = "full" },
			func(o *kernel.Options) { o.CopyBudgetBytes = headBytes + 1<<20 },
		},
		{
			"servers only for ingress",
			func(c *Config) { c.Capture.Direction = "ingress" },
			func(o *kernel.Options) { o.IgnoreClients = true },
		},
		{
			"clients only for egress",
			func(c *Config) { c.Capture.Direction = "egress" },
			func(o *kernel.Options) { o.IgnoreServers = true },
		},
		{
			"clients only for one kind of egress, whose address is looked at later",
			func(c *Config) { c.Capture.Direction = "egress-external" },
			func(o *kernel.Options) { o.IgnoreServers = true },
		},
		{
			"limits in bytes",
			func(c *Config) {
				c.Limits = LimitsConfig{RingMiB: 2, Connections: 100}
				c.Capture.IgnoreLoopback = true
			},
			func(o *kernel.Options) { o.RingBytes, o.Connections, o.IgnoreLoopback = 2<<20, 100, true },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := createDefaultConfig().(*Config)
			tt.edit(config)
			want := defaults
			tt.want(&want)
			got, err := kernelOptions(config, zap.NewNop())
			require.NoError(t, err)
			got.Attached = nil // functions cannot be compared
			assert.Equal(t, want, got)
		})
	}
}

//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// State tells whether the collector was running.
type State string

const (
	Bare    State = "bare"
	Watched State = "watched"
)

// figure is something that is measured in several rounds.
type figure struct {
	name  string // slash-separated, without spaces: benchstat's form
	state State
	unit  string
}

// Report keeps all values of a run.
type Report struct {
	values map[figure][]float64
	raw    io.WriteCloser
}

// newReport writes every value to the file too, unless its name is empty.
func newReport(path string) (*Report, error) {
	r := &Report{values: make(map[figure][]float64)}
	if path == "" {
		return r, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("creating the file of values: %w", err)
	}
	r.raw = file
	return r, nil
}

func (r *Report) Close() {
	if r.raw != nil {
		_ = r.raw.Close()
	}
}

// write adds a line in the format of golang.org/design/14313-benchmark-format.
func (r *Report) write(format string, arguments ...any) {
	if r.raw != nil {
		fmt.Fprintf(r.raw, format+"\n", arguments...)
	}
}

// describeMachine says what the figures depend on, above all how busy the
// machine is with something else.
func (r *Report) describeMachine() {
	var name unix.Utsname
	_ = unix.Uname(&name)
	load, _ := os.ReadFile("/proc/loadavg")
	kernel, busy := unix.ByteSliceToString(name.Release[:]), strings.TrimSpace(string(load))
	fmt.Printf("Linux %s, %s, %d CPUs, load average before the run: %s\n", kernel, runtime.GOARCH, runtime.NumCPU(), busy)
	if others := named("otelcol-qtap"); others > 0 {
		fmt.Printf("%d other collectors are watching this machine: what is called bare is not\n", others)
	}
	r.write("goos: %s\ngoarch: %s\nkernel: %s\nload: %s", runtime.GOOS, runtime.GOARCH, kernel, busy)
	r.write("Unit requests/s better=higher\nUnit captured/served better=higher")
}

// Add keeps one value of one round.
func (r *Report) Add(name string, state State, unit string, value float64) {
	f := figure{name, state, unit}
	r.values[f] = append(r.values[f], value)
	r.write("Benchmark%s/state=%s 1 %g %s", name, state, value, unit)
}

// Median returns the middle of the rounds, 0 when there was none.
func (r *Report) Median(name string, state State, unit string) float64 {
	return median(r.values[figure{name, state, unit}])
}

// MedianAdded returns the middle of what was added in each round, so that a
// machine that becomes slower between rounds does not count.
func (r *Report) MedianAdded(name, unit string) float64 {
	bare, watched := r.values[figure{name, Bare, unit}], r.values[figure{name, Watched, unit}]
	var added []float64
	for i := range min(len(bare), len(watched)) {
		added = append(added, watched[i]-bare[i])
	}
	return median(added)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// table prints aligned columns; the cells of a row are separated by tabs.
func table(title string, rows ...string) {
	fmt.Printf("\n%s\n", title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(w, row+"\t")
	}
	_ = w.Flush()
}

// compare prints how the units of a case differ with the collector. Those of
// the collector itself have no bare figure.
func (r *Report) compare(title, name string, units []string) {
	rows := []string{"\tbare\twatched\tratio"}
	for _, unit := range units {
		bare, watched := r.Median(name, Bare, unit), r.Median(name, Watched, unit)
		if bare > 0 {
			rows = append(rows, fmt.Sprintf("%s\t%.1f\t%.1f\t%.2f", unit, bare, watched, watched/bare))
		} else {
			rows = append(rows, fmt.Sprintf("%s\t\t%.4g\t", unit, watched))
		}
	}
	table(title, rows...)
}

// list prints figures of the collector alone.
func (r *Report) list(title, name string, units []string) {
	var rows []string
	for _, unit := range units {
		rows = append(rows, fmt.Sprintf("%s\t%.1f", unit, r.Median(name, Watched, unit)))
	}
	table(title, rows...)
}

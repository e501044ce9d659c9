package target

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/executable"
)

// Series tells the values of the metric of targets apart.
type Series struct {
	Library executable.Library
	Outcome Outcome
}

// Counts returns how many files there are by library and outcome.
func (d *Discovery) Counts() map[Series]int64 {
	d.guard.Lock()
	defer d.guard.Unlock()
	counts := map[Series]int64{}
	for _, k := range d.files {
		for _, f := range k.files {
			counts[Series{f.Library, f.Outcome}]++
		}
	}
	return counts
}

// Reason says why TLS of a process cannot be read, on a connection that was
// opened at that time (ns, CLOCK_BOOTTIME; 0 when unknown). It is "" when the
// process uses TLS code that was probed in time.
func (d *Discovery) Reason(pid uint32, opened uint64) string {
	d.guard.Lock()
	seen, isKnown := d.observed[pid]
	d.guard.Unlock()
	if isKnown && time.Since(seen.at) < observedFor {
		return d.reason(seen.mappings, opened)
	}
	mappings, err := d.mappings(pid)
	switch {
	case errors.Is(err, os.ErrPermission):
		return string(Unreadable)
	case err == nil && len(mappings) > 0:
		return d.reason(mappings, opened)
	case isKnown:
		return d.reason(seen.mappings, opened)
	default:
		return "process_ended"
	}
}

// observation is what a process had mapped when it was last looked at.
type observation struct {
	mappings []mapping
	at       time.Time
}

const (
	maxObserved = 4096
	// observedFor is how long an observation stands for a process that opens
	// further connections.
	observedFor = 10 * time.Second
)

// Observe notes what a process runs, for a question after its end.
func (d *Discovery) Observe(pid uint32) {
	d.guard.Lock()
	seen, isKnown := d.observed[pid]
	d.guard.Unlock()
	if isKnown && time.Since(seen.at) < observedFor {
		return
	}
	mappings, err := d.mappings(pid)
	if err != nil || len(mappings) == 0 {
		return // it has ended; an earlier process of that number is no answer
	}
	d.guard.Lock()
	defer d.guard.Unlock()
	for other := range d.observed {
		if len(d.observed) < maxObserved {
			break
		}
		delete(d.observed, other)
	}
	d.observed[pid] = observation{mappings, time.Now()}
}

func (d *Discovery) reason(mappings []mapping, opened uint64) string {
	d.guard.Lock()
	defer d.guard.Unlock()
	reason := "no_known_tls_library"
	for _, m := range mappings {
		k := d.files[m.key]
		if k == nil {
			continue
		}
		for _, f := range k.files {
			switch f.Outcome {
			case Attached:
				if opened != 0 && f.Since > opened {
					reason = "probed_late"
					continue
				}
				return ""
			case Hidden:
				reason = f.Why
			default:
				reason = string(f.Outcome)
			}
		}
	}
	return reason
}

// Snapshot is the state of a Discovery at one time.
type Snapshot struct {
	Files     []File
	Processes []ProcessReport
	Vanished  int64
}

// ProcessReport says of one process whether its TLS is read.
type ProcessReport struct {
	PID       uint32
	Path      string
	Libraries []string
	Reason    string // why not; "" when it is read
}

// Report returns what was found, and looks at every process anew.
func (d *Discovery) Report() Snapshot {
	var s Snapshot
	d.guard.Lock()
	for _, k := range d.files {
		s.Files = append(s.Files, k.files...)
	}
	s.Vanished = d.vanished
	d.guard.Unlock()
	slices.SortFunc(s.Files, func(a, b File) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Key.Inode, b.Key.Inode)) })
	for _, pid := range d.pids() {
		mappings, err := d.mappings(pid)
		if err != nil || len(mappings) == 0 {
			continue // a kernel thread, or it has ended
		}
		path, _ := os.Readlink(filepath.Join(d.options.ProcRoot, strconv.FormatUint(uint64(pid), 10), "exe"))
		s.Processes = append(s.Processes, ProcessReport{
			PID: pid, Path: path, Libraries: d.libraries(mappings), Reason: d.reason(mappings, 0),
		})
	}
	return s
}

// libraries names the TLS libraries among the mappings.
func (d *Discovery) libraries(mappings []mapping) []string {
	d.guard.Lock()
	defer d.guard.Unlock()
	names := map[string]bool{}
	for _, m := range mappings {
		if k := d.files[m.key]; k != nil {
			for _, f := range k.files {
				names[string(f.Library)] = true
			}
		}
	}
	delete(names, "")
	return slices.Sorted(maps.Keys(names))
}

// explanations say what a reason means and what to do.
var explanations = map[string]string{
	"no_known_tls_library": "no file that it runs contains OpenSSL, BoringSSL, LibreSSL, GnuTLS, NSS or Go's crypto/tls; TLS of Java or of rustls cannot be read",
	"stripped_static":      "a TLS library is part of the executable, without the names of its functions",
	"go_stack_abi":         "built by a Go version that passes arguments on the stack (before 1.17)",
	"go_not_parsed":        "built by a Go version, or in a way, whose function table is not understood",
	"disabled":             "switched off in the configuration (tls)",
	"attach_failed":        "the kernel refused the probes, see the file's error",
	"unreadable":           "the file could not be opened, see its error: CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH are needed",
	"malformed":            "the file is not a proper ELF file, see its error",
}

// WriteText writes the report for people.
func (s *Snapshot) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(table, "FILES WITH TLS CODE\noutcome\tlibrary\tversion\tfunctions\tprocesses\tpath\terror\n")
	for _, f := range s.Files {
		problem := f.Why
		if f.Err != nil {
			problem = strings.ReplaceAll(f.Err.Error(), "\n", "; ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", f.Outcome, f.Library, f.Version, f.Functions, f.Processes, f.Path, problem)
	}
	fmt.Fprintf(table, "\nPROCESSES\npid\tTLS is read\tlibraries\texecutable\twhy not\n")
	for _, p := range s.Processes {
		read := "yes"
		if p.Reason != "" {
			read = "no"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", p.PID, read, strings.Join(p.Libraries, " "), p.Path, p.Reason)
	}
	fmt.Fprintf(table, "\nREASONS\n")
	for _, reason := range slices.Sorted(maps.Keys(explanations)) {
		fmt.Fprintf(table, "%s\t%s\n", reason, explanations[reason])
	}
	if s.Vanished > 0 {
		fmt.Fprintf(table, "\n%d files or processes were gone before they could be examined.\n", s.Vanished)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the report of TLS targets: %w", err)
	}
	return nil
}

package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtapreceiver/qtapreceiver/internal/executable"
)

// Prober attaches probes to functions of a file.
type Prober interface {
	// Attach probes the functions in all processes that run the file, until
	// what it returns is closed. The file stays the caller's.
	Attach(file *os.File, finding executable.Finding) (io.Closer, error)
	// Forget has the file reported again when it is next used.
	Forget(key FileKey)
}

// FileKey is how the kernel numbers a file: super_block.s_dev (major in the
// bits from 20 on) and inode.i_ino. /proc/PID/maps shows the same numbers.
type FileKey struct{ Device, Inode uint64 }

// Sighting is a process that begins to use an executable file which was not
// reported before.
type Sighting struct {
	PID    uint32
	File   FileKey
	IsExec bool
}

// Options are what a Discovery works with.
type Options struct {
	Prober  Prober
	Examine func(file io.ReaderAt, size int64) (executable.Report, error)
	// OpenSSL, Go, GnuTLS and NSS say which libraries are probed.
	OpenSSL, Go, GnuTLS, NSS bool
	// Changed is told of every file with TLS code, found or lost. May be nil.
	Changed func(File)
	// Denied is told once when a process may not be looked into. May be nil.
	Denied func(error)
	// ProcRoot is where the process file system is; default /proc.
	ProcRoot string
	// SystemRoot is where the folders of system libraries are looked for;
	// default /.
	SystemRoot string
	// SweepInterval is how often files are looked for that no process uses
	// any more; default one minute.
	SweepInterval time.Duration
}

// Outcome is what became of a file with TLS code.
type Outcome string

const (
	Attached   Outcome = "attached"
	Failed     Outcome = "attach_failed"
	Disabled   Outcome = "disabled"
	Unreadable Outcome = "unreadable"
	Malformed  Outcome = "malformed"
	Hidden     Outcome = "hidden" // there is TLS code, whose functions cannot be found; File.Why tells why
)

// File is one executable file with TLS code, or one that could not be
// examined. Files without are remembered by their key alone.
type File struct {
	Path      string // as the process that was first seen to use it names it
	Key       FileKey
	Library   executable.Library // "" when unknown
	Version   string
	BuildID   string
	Functions int
	Outcome   Outcome
	Why       string // of Hidden
	Err       error
	Since     uint64 // ns, CLOCK_BOOTTIME: when it was probed
	Processes int    // that use it, at the last sweep
}

// maxFiles bounds the files that are remembered; beyond it those without TLS
// are forgotten, and examined again at their next sighting.
const maxFiles = 16384

// Discovery finds the TLS code of all processes and keeps it probed for as
// long as a process uses it. All methods are safe for concurrent use.
type Discovery struct {
	options Options
	own     uint32

	guard    sync.Mutex
	observed map[uint32]observation // by PID
	files    map[FileKey]*known
	vanished int64 // processes and files that were gone before they could be read
	closed   bool
	denied   sync.Once
}

// known is a file that was examined.
type known struct {
	files  []File // one per TLS library in it; none for most
	probes []io.Closer
	stamp  stamp
	unused bool // no process used it at the last sweep
	pinned bool // stays probed without users
}

// stamp tells a file from an earlier one with the same number.
type stamp struct {
	size    int64
	changed int64 // ns, ctime
}

// NewDiscovery returns a discovery that has found nothing yet.
func NewDiscovery(o Options) *Discovery {
	if o.ProcRoot == "" {
		o.ProcRoot = "/proc"
	}
	if o.SystemRoot == "" {
		o.SystemRoot = "/"
	}
	if o.SweepInterval == 0 {
		o.SweepInterval = time.Minute
	}
	return &Discovery{options: o, own: uint32(os.Getpid()), files: map[FileKey]*known{}, observed: map[uint32]observation{}}
}

// Run looks at all processes and then at every sighting, until ctx ends. One
// file is examined at a time: the host's applications come first.
func (d *Discovery) Run(ctx context.Context, sightings <-chan Sighting) error {
	// Sightings come first even while the scan goes on: their process is about
	// to use the file.
	d.system()
	scan := d.scan(ctx)
	sweep := time.NewTicker(d.options.SweepInterval)
	defer sweep.Stop()
	for {
		select {
		case s := <-sightings:
			d.sighted(s)
			continue
		default:
		}
		select {
		case <-ctx.Done():
			return nil
		case s := <-sightings:
			d.sighted(s)
		case pid, more := <-scan:
			if !more {
				scan = nil
				// Tables of large executables were read, and that much is
				// hardly needed again.
				debug.FreeOSMemory()
				continue
			}
			d.process(pid)
		case <-sweep.C:
			d.sweep(ctx)
		}
	}
}

// systemLibraries is where TLS libraries of distributions are. Those are
// probed before any process uses them, which costs nothing until one does:
// otherwise a process could be faster than we are.
var systemLibraries = []string{
	"libssl.so.*", "libgnutls.so.*", "libnspr4.so", "libssl3.so",
}

var systemFolders = []string{"/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/lib/*-linux-gnu", "/lib/*-linux-gnu", "/usr/local/lib", "/usr/local/lib64"}

// system looks at the libraries of our own mount namespace and of the host's,
// which are not the same when we run in a container.
func (d *Discovery) system() {
	for _, root := range d.systemRoots() {
		for _, folder := range systemFolders {
			for _, name := range systemLibraries {
				paths, err := filepath.Glob(filepath.Join(root, folder, name))
				if err != nil {
					continue // never: the patterns are ours
				}
				for _, path := range paths {
					d.pin(path)
				}
			}
		}
	}
}

// systemRoots returns our own root, and the host's when it is another one that
// we may look into.
func (d *Discovery) systemRoots() []string {
	roots := []string{d.options.SystemRoot, filepath.Join(d.options.ProcRoot, "1", "root")}
	own, err := os.Stat(roots[0])
	if err != nil {
		return roots
	}
	host, err := os.Stat(roots[1])
	if err != nil || os.SameFile(own, host) {
		return roots[:1]
	}
	return roots
}

func (d *Discovery) pin(path string) {
	file, err := os.Open(path)
	if err != nil {
		return // a link to nowhere
	}
	defer file.Close()
	var status unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &status); err != nil {
		return
	}
	key := FileKey{Device: uint64(unix.Major(status.Dev))<<20 | uint64(unix.Minor(status.Dev)), Inode: status.Ino}
	d.examine(key, file, path, true)
}

// scan gives the processes that run now.
func (d *Discovery) scan(ctx context.Context) <-chan uint32 {
	pids := make(chan uint32)
	go func() {
		defer close(pids)
		for _, pid := range d.pids() {
			select {
			case pids <- pid:
			case <-ctx.Done():
				return
			}
		}
	}()
	return pids
}

// process looks at everything that a process runs.
func (d *Discovery) process(pid uint32) {
	mappings, err := d.mappings(pid)
	if err != nil {
		d.count(err)
		d.deny(err)
		return
	}
	for _, m := range mappings {
		d.look(pid, m)
	}
}

// sighted looks at what a process has just begun to use. At an exec the
// process has no other mapping than its executable and the loader yet.
func (d *Discovery) sighted(s Sighting) {
	if s.PID == d.own {
		return
	}
	m := mapping{key: s.File, path: exePath}
	if !s.IsExec {
		found := false
		mappings, err := d.mappings(s.PID)
		for _, candidate := range mappings {
			if candidate.key == s.File {
				m, found = candidate, true
			}
		}
		if err != nil || !found {
			d.count(err)
			d.options.Prober.Forget(s.File) // the next process that uses it tells again
			return
		}
	}
	d.look(s.PID, m)
}

// look examines a file of a process, unless that was done before.
func (d *Discovery) look(pid uint32, m mapping) {
	d.guard.Lock()
	old := d.files[m.key]
	d.guard.Unlock()
	file, path, err := d.open(pid, m)
	if err != nil {
		d.count(err)
		d.deny(err)
		d.options.Prober.Forget(m.key)
		if old == nil && !errors.Is(err, os.ErrNotExist) {
			d.keep(m.key, &known{files: []File{{Path: m.path, Key: m.key, Outcome: Unreadable, Err: err}}})
		}
		return
	}
	defer file.Close()
	d.examine(m.key, file, path, false)
}

// examine looks at an open file, unless that was done before.
func (d *Discovery) examine(key FileKey, file *os.File, path string, pinned bool) {
	now, size, err := stampOf(file)
	if err != nil {
		d.count(err)
		return
	}
	d.guard.Lock()
	old := d.files[key]
	d.guard.Unlock()
	if old != nil && old.stamp == now {
		return
	}
	k := &known{stamp: now, pinned: pinned}
	report, err := d.options.Examine(file, size)
	switch {
	case errors.Is(err, executable.ErrOtherMachine):
	case err != nil:
		k.files = []File{{Path: path, Key: key, Outcome: Malformed, Err: err}}
	default:
		d.probe(k, file, path, key, report)
	}
	if old != nil {
		d.release(old)
	}
	d.keep(key, k)
}

// probe attaches to everything that a file contains.
func (d *Discovery) probe(k *known, file *os.File, path string, key FileKey, report executable.Report) {
	for _, finding := range report.Findings {
		f := File{
			Path: path, Key: key, Library: finding.Library, Version: finding.Version,
			BuildID: report.BuildID, Functions: len(finding.Functions), Outcome: Disabled,
		}
		if d.enabled(finding.Library) {
			probes, err := d.options.Prober.Attach(file, finding)
			if err != nil {
				f.Outcome, f.Err = Failed, err
			} else {
				f.Outcome, f.Since = Attached, bootTime()
				k.probes = append(k.probes, probes)
			}
		}
		k.files = append(k.files, f)
	}
	if report.Why != "" {
		k.files = append(k.files, File{Path: path, Key: key, BuildID: report.BuildID, Outcome: Hidden, Why: report.Why})
	}
}

func (d *Discovery) enabled(l executable.Library) bool {
	return map[executable.Library]bool{
		executable.OpenSSL: d.options.OpenSSL, executable.Go: d.options.Go,
		executable.GnuTLS: d.options.GnuTLS, executable.NSS: d.options.NSS,
	}[l]
}

// keep remembers a file and tells of it.
func (d *Discovery) keep(key FileKey, k *known) {
	d.guard.Lock()
	if d.closed {
		d.guard.Unlock()
		d.release(k)
		return
	}
	for other, kept := range d.files {
		if len(d.files) < maxFiles {
			break
		}
		if len(kept.probes) == 0 {
			delete(d.files, other)
			d.options.Prober.Forget(other)
		}
	}
	d.files[key] = k
	d.guard.Unlock()
	if d.options.Changed != nil {
		for _, f := range k.files {
			d.options.Changed(f)
		}
	}
}

// release takes the probes of a file away.
func (d *Discovery) release(k *known) {
	for i := range k.probes {
		_ = k.probes[i].Close() // the file has no user; what fails is the kernel's to clean up
	}
}

// deny tells of missing privileges, once.
func (d *Discovery) deny(err error) {
	if errors.Is(err, os.ErrPermission) && d.options.Denied != nil {
		d.denied.Do(func() { d.options.Denied(err) })
	}
}

// count notes what was gone before it could be read.
func (d *Discovery) count(err error) {
	if err == nil || errors.Is(err, os.ErrNotExist) || isGone(err) {
		d.guard.Lock()
		d.vanished++
		d.guard.Unlock()
	}
}

// Close takes all probes away. What Run still finds is not probed.
func (d *Discovery) Close() error {
	d.guard.Lock()
	defer d.guard.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	var errs []error
	for _, k := range d.files {
		for _, p := range k.probes {
			errs = append(errs, p.Close())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("taking probes away: %w", err)
	}
	return nil
}

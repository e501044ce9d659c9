//go:build linux

package dropin

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideMark tells the test's second process that it runs in the namespaces.
const insideMark = "QTAP_DROPIN_INSIDE"

// installation is what the tests run.
var installation struct {
	collector string // absolute path of otelcol-qtap-full
	configs   string // absolute path of distribution/dropin
	recording string // absolute path of a recording for the qtap receiver
	missing   string // why nothing can be tested here, or ""
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	installation.missing = prepare()
	if installation.missing != "" {
		fmt.Fprintln(os.Stderr, "drop-in tests cannot run:", installation.missing)
		if os.Getenv("CI") == "true" && !testing.Short() {
			return 1
		}
		return m.Run()
	}
	if os.Getenv(insideMark) == "" {
		return runInside()
	}
	if err := settle(); err != nil {
		fmt.Fprintln(os.Stderr, "preparing the namespaces:", err)
		return 1
	}
	return m.Run()
}

// prepare returns why the tests cannot run, or "".
func prepare() (missing string) {
	if testing.Short() {
		return "-short leaves them out"
	}
	collector := os.Getenv("QTAP_FULL_BINARY")
	if collector == "" {
		collector = "../../dist/otelcol-qtap-full"
	}
	for path, target := range map[string]*string{
		collector:                   &installation.collector,
		"../../distribution/dropin": &installation.configs,
		"../../testdata/events/chunked_with_trailers.qtap": &installation.recording,
	} {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err.Error()
		}
		if _, err := os.Stat(absolute); err != nil {
			return "something is not there (make build-full writes the collector): " + err.Error()
		}
		*target = absolute
	}
	if _, err := exec.LookPath("journalctl"); err != nil {
		return "missing program for the journald receiver: " + err.Error()
	}
	return ""
}

// runInside runs the same tests in a second process that has its own network
// and mounts, and gives its exit code.
func runInside() int {
	runtime.LockOSThread() // Pdeathsig is sent when the thread that started the child ends
	defer runtime.UnlockOSThread()
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.Env = append(os.Environ(), insideMark+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "starting the tests in namespaces of their own:", err)
		return 1
	}
}

// settle keeps mounts to ourselves and brings the loopback interface up, the
// only one that there is.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("naming the loopback interface: %w", err)
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bringing the loopback interface up: %w", err)
	}
	return nil
}

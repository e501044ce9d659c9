//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// MissingError says what the machine or the process lacks, and the way out.
type MissingError struct {
	What   string
	WayOut string
	Err    error // what the kernel answered; may be nil
}

// Error names what is missing first.
func (e *MissingError) Error() string {
	text := "missing " + e.What + ": " + e.WayOut
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

// Unwrap returns what the kernel answered.
func (e *MissingError) Unwrap() error { return e.Err }

const btfPath = "/sys/kernel/btf/vmlinux"

// capability is a bit of CapEff in /proc/self/status (capabilities(7)).
type capability struct {
	bit  uint
	name string
}

var (
	capSysAdmin = capability{21, "CAP_SYS_ADMIN"}
	neededCaps  = []capability{{39, "CAP_BPF"}, {38, "CAP_PERFMON"}}
)

// missingCapabilities returns the names of what loading needs and the process
// does not have. CAP_SYS_ADMIN stands for all of them.
func missingCapabilities(status string) ([]string, error) {
	for line := range strings.Lines(status) {
		digits, found := strings.CutPrefix(line, "CapEff:")
		if !found {
			continue
		}
		effective, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("reading CapEff of /proc/self/status: %w", err)
		}
		if effective&(1<<capSysAdmin.bit) != 0 {
			return nil, nil
		}
		var missing []string
		for _, c := range neededCaps {
			if effective&(1<<c.bit) == 0 {
				missing = append(missing, c.name)
			}
		}
		return missing, nil
	}
	return nil, errors.New("reading /proc/self/status: no CapEff line")
}

// checkRequirements finds what is missing before anything is loaded, because
// the kernel answers most of it with the same "operation not permitted".
func checkRequirements() error {
	if _, err := os.Stat(btfPath); err != nil {
		return &MissingError{
			What:   "kernel type information (BTF)",
			WayOut: "use a kernel built with CONFIG_DEBUG_INFO_BTF=y",
			Err:    err,
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fmt.Errorf("looking up the capabilities: %w", err)
	}
	missing, err := missingCapabilities(string(status))
	if err != nil {
		return fmt.Errorf("looking up the capabilities: %w", err)
	}
	if len(missing) > 0 {
		return &MissingError{
			What: strings.Join(missing, " and "),
			WayOut: "run as root, or grant CAP_BPF and CAP_PERFMON " +
				"(setcap cap_bpf,cap_perfmon+ep, AmbientCapabilities= of the systemd unit, capabilities.add of the container)",
		}
	}
	// bpf_loop came with Linux 5.17; everything else that is used is older.
	if err := features.HaveProgramHelper(ebpf.Tracing, asm.FnLoop); errors.Is(err, ebpf.ErrNotSupported) {
		return &MissingError{
			What:   "the kernel helper bpf_loop",
			WayOut: "use Linux 5.17 or later; this is " + kernelRelease(),
			Err:    err,
		}
	}
	return nil
}

// explain adds what usually stands behind an answer of the kernel.
func explain(err error) error {
	if _, ok := errors.AsType[*ebpf.VerifierError](err); ok {
		return fmt.Errorf("the verifier of Linux %s refused a program, please report it: %w", kernelRelease(), err)
	}
	if errors.Is(err, unix.EPERM) {
		if mode, ok := lockdown(); ok && mode == "confidentiality" {
			return &MissingError{
				What:   "permission to read memory from BPF",
				WayOut: "the kernel is locked down to confidentiality; boot with lockdown=integrity",
				Err:    err,
			}
		}
		return fmt.Errorf("%w (a security module such as seccomp, AppArmor or SELinux may forbid bpf(2))", err)
	}
	return err
}

func lockdown() (mode string, ok bool) {
	text, err := os.ReadFile("/sys/kernel/security/lockdown")
	if err != nil {
		return "", false
	}
	_, rest, found := strings.Cut(string(text), "[")
	mode, _, closed := strings.Cut(rest, "]")
	return mode, found && closed
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "of unknown version"
	}
	return unix.ByteSliceToString(name.Release[:])
}

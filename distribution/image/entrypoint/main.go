//go:build linux

// Command entrypoint is /otelcol-qtap of the image. It gives the collector, as
// which it goes on in the same process, those of the four capabilities that
// the container may have.
//
// It exists because of how a user that is not root gets capabilities in a
// container. What is granted is in the bounding set when a program is executed;
// what it can use of that stands on its file. A file that wants
// its capabilities to be effective at once (setcap +ep) cannot be executed at
// all where one of them is not granted, and then the image could not serve as
// a gateway, which needs none. So this file has them as permitted only (+p),
// which takes what is there, and raises them to ambient capabilities, which
// the collector inherits although its own file has none.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// collector is what is executed, under the arguments and in the environment of
// this program.
const collector = "/usr/bin/otelcol-qtap"

// capability is a number of capabilities(7).
type capability struct {
	number uintptr
	name   string
}

// wanted is what build.sh writes on the file of this program.
var wanted = []capability{
	{unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{unix.CAP_PERFMON, "CAP_PERFMON"},
	{unix.CAP_BPF, "CAP_BPF"},
}

func main() {
	// Capabilities belong to a thread, and the one that executes decides.
	runtime.LockOSThread()
	withheld, err := raise()
	if err != nil {
		fail(err)
	}
	if len(withheld) > 0 {
		fmt.Fprintf(os.Stderr, "otelcol-qtap: the container was granted %s, but this process did not get it: "+
			"no_new_privs is set (allowPrivilegeEscalation: false), or the image was copied without its file capabilities\n",
			strings.Join(withheld, ", "))
	}
	fail(fmt.Errorf("executing %s: %w", collector, unix.Exec(collector, os.Args, os.Environ())))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "otelcol-qtap:", err)
	os.Exit(1)
}

// raise makes every wanted capability that is permitted ambient. It returns the
// names of those that the container could have and this process did not get.
func raise() (withheld []string, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // 32 capabilities each
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return nil, fmt.Errorf("reading the capabilities: %w", err)
	}
	var permitted []capability
	for _, c := range wanted {
		set, bit := &sets[c.number/32], uint32(1)<<(c.number%32)
		if set.Permitted&bit != 0 {
			set.Inheritable |= bit // an ambient capability has to be inheritable
			permitted = append(permitted, c)
			continue
		}
		grantable, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c.number, 0, 0, 0)
		if err != nil {
			return nil, fmt.Errorf("reading whether %s can be granted: %w", c.name, err)
		}
		if grantable == 1 {
			withheld = append(withheld, c.name)
		}
	}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return nil, fmt.Errorf("making the capabilities inheritable: %w", err)
	}
	for _, c := range permitted {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c.number, 0, 0); err != nil {
			return nil, fmt.Errorf("making %s ambient: %w", c.name, err)
		}
	}
	return withheld, nil
}

//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// roles are the processes that the sections start of this program.
var roles = map[string]func(arguments []string) error{
	"caller": callerRole, // makes system calls
	"pace":   paceRole,   // requests at a fixed rate
	"hold":   holdRole,   // connections that stay open
	"map":    mapRole,    // executable files that were never seen before
}

// Setup is what all sections share.
type Setup struct {
	collector string        // path of otelcol-qtap
	self      string        // path of this program
	rounds    int           // of each, with and without the collector
	load      time.Duration // of each round
	report    *Report
}

// section is a part of the measurements that can be run by itself.
type section struct {
	name    string
	measure func(Setup) error
}

var sections = []section{
	{"start", measureStart},
	{"calls", measureCalls},
	{"steady", measureSteady},
	{"saturated", measureSaturated},
	{"memory", measureMemory},
	{"discovery", measureDiscovery},
}

func main() {
	log.SetFlags(0)
	var err error
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		log.SetPrefix("bench " + os.Args[1] + ": ")
		err = roles[os.Args[1]](os.Args[2:])
	} else {
		log.SetPrefix("bench: ")
		err = run()
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run() error {
	var s Setup
	flag.StringVar(&s.collector, "collector", "dist/otelcol-qtap", "path of the collector")
	flag.IntVar(&s.rounds, "rounds", 6, "how often each case is measured with and without the collector")
	flag.DurationVar(&s.load, "load", 5*time.Second, "how long load lasts in a round")
	out := flag.String("out", "", "file for every value, in Go's benchmark format")
	flag.Parse()
	if err := check(&s); err != nil {
		return err
	}
	wanted := flag.Args()
	for _, name := range wanted {
		if !slices.ContainsFunc(sections, func(x section) bool { return x.name == name }) {
			return fmt.Errorf("no section %q", name)
		}
	}
	report, err := newReport(*out)
	if err != nil {
		return err
	}
	defer report.Close()
	s.report = report
	report.describeMachine()
	for _, x := range sections {
		if len(wanted) > 0 && !slices.Contains(wanted, x.name) {
			continue
		}
		if err := x.measure(s); err != nil {
			return fmt.Errorf("measuring %s: %w", x.name, err)
		}
	}
	return nil
}

// check finds out what is missing before minutes have passed.
func check(s *Setup) (err error) {
	if s.rounds < 1 || s.load < time.Second {
		return errors.New("-rounds must be at least 1 and -load at least 1s")
	}
	if os.Geteuid() != 0 {
		return errors.New("loading eBPF programs needs root")
	}
	if s.self, err = os.Executable(); err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	var missing []string
	for _, program := range []string{s.collector, "nginx", "wrk"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing (make deps, make build): %s", strings.Join(missing, ", "))
	}
	return nil
}

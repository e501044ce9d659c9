// Command qtaprecord records what the kernel side submits into a file, which
// the receiver can play with its setting replay_file. Recordings hold what
// applications sent and received, unredacted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/qtapreceiver/qtapreceiver/internal/replay"
)

const usage = `Usage: qtaprecord -o FILE [flags]

Records the plaintext traffic of this host as the eBPF programs see it, until
interrupted. It needs what the receiver needs: CAP_BPF and CAP_PERFMON, or root.

The file holds what applications sent and received, passwords and cookies
included. It is readable by its owner alone; -netns, -port and -unix keep
strangers' traffic out of it. Play it with the receiver's setting replay_file.

Flags:
`

// settings are the flags.
type settings struct {
	output      string
	duration    time.Duration
	ringMiB     int
	connections int
	budgetKiB   uint64
	selection   replay.Selection
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "qtaprecord:", err)
			stop()
			os.Exit(1)
		}
	}
}

// run records until ctx ends. What it tells goes to messages.
func run(ctx context.Context, arguments []string, messages io.Writer) error {
	s, err := parse(arguments, messages)
	if err != nil {
		return err
	}
	if s.duration > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, s.duration)
		defer stop()
	}
	return record(ctx, s, messages)
}

// record opens the source first, so that a failure leaves no file behind.
func record(ctx context.Context, s settings, messages io.Writer) (err error) {
	source, err := openKernel(s)
	if err != nil {
		return fmt.Errorf("starting the capture: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	file, err := os.OpenFile(s.output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("opening the output: %w", err)
	}
	defer func() {
		if failed := file.Close(); failed != nil {
			err = errors.Join(err, fmt.Errorf("closing the output: %w", failed))
		}
	}()
	fmt.Fprintf(messages, "recording to %s\n", s.output)
	summary, err := replay.Record(ctx, replay.Select(source, s.selection), file)
	if err != nil {
		return err
	}
	fmt.Fprintf(messages, "%d records, %d bytes\n", summary.Records, summary.Bytes)
	return nil
}

func parse(arguments []string, messages io.Writer) (s settings, err error) {
	flags := flag.NewFlagSet("qtaprecord", flag.ContinueOnError)
	flags.SetOutput(messages)
	flags.Usage = func() {
		fmt.Fprint(messages, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&s.output, "o", "", "write the recording to `FILE`; required")
	flags.DurationVar(&s.duration, "duration", 0, "stop after this time; 0 goes on until interrupted")
	flags.IntVar(&s.ringMiB, "ring-mib", 16, "size of all ring buffers together")
	flags.IntVar(&s.connections, "connections", 65536, "TCP connections followed at a time")
	flags.Uint64Var(&s.budgetKiB, "budget-kib", 2048, "bytes copied per direction until the other one speaks; beyond it sizes alone")
	flags.Func("netns", "record only connections in the network namespace of `FILE`, for example /proc/PID/ns/net", func(path string) error {
		inode, err := networkNamespace(path)
		s.selection.NetNS = inode
		return err
	})
	flags.Func("port", "record only connections with this `PORT` at either end; may be repeated", func(text string) error {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return errors.New("must be a number from 1 to 65535")
		}
		s.selection.Ports = append(s.selection.Ports, uint16(port))
		return nil
	})
	flags.Func("unix", "record only connections of the Unix socket at `PATH`; may be repeated", func(path string) error {
		s.selection.Paths = append(s.selection.Paths, path)
		return nil
	})
	if err := flags.Parse(arguments); err != nil {
		return s, err
	}
	var problems []string
	if s.output == "" {
		problems = append(problems, "-o FILE is required")
	}
	if flags.NArg() > 0 {
		problems = append(problems, fmt.Sprintf("unexpected argument %q", flags.Arg(0)))
	}
	if s.duration < 0 {
		problems = append(problems, "-duration must not be negative")
	}
	if s.ringMiB < 1 || s.connections < 1 {
		problems = append(problems, "-ring-mib and -connections must be at least 1")
	}
	if len(problems) > 0 {
		return s, fmt.Errorf("%s; see qtaprecord -h", strings.Join(problems, ", "))
	}
	return s, nil
}

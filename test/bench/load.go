//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

const (
	steadyRate      = 15_000 // requests per second
	loadConnections = 64
)

// Load is what a load generator has to say.
type Load struct {
	Requests int64         `json:"requests"` // answered
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
	Elapsed  time.Duration `json:"elapsed"` // from the first request to the last answer
	cpu      time.Duration
}

// generator puts load on an address for a time.
type generator func(s Setup, address, path string) (Load, error)

// paced sends requests at the steady rate.
func paced(s Setup, address, path string) (load Load, err error) {
	command := exec.Command(s.self, "pace", address, path, strconv.Itoa(loadConnections), strconv.Itoa(steadyRate), s.load.String())
	out, err := command.Output()
	if err != nil {
		return load, fmt.Errorf("sending requests: %w", withOutput(err))
	}
	if err := json.Unmarshal(out, &load); err != nil {
		return load, fmt.Errorf("reading what was sent: %w", err)
	}
	load.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	return load, nil
}

var wrkOutput = regexp.MustCompile(`(?s)50%\s+([0-9.]+(?:us|ms|s)).*99%\s+([0-9.]+(?:us|ms|s)).*?([0-9]+) requests in ([0-9.]+(?:ms|s|m))`)

// rate returns the requests per second.
func (l Load) rate() float64 { return float64(l.Requests) / l.Elapsed.Seconds() }

// saturating sends as many requests as go through.
func saturating(s Setup, address, path string) (load Load, err error) {
	command := exec.Command("wrk", "-t2", fmt.Sprint("-c", loadConnections), fmt.Sprintf("-d%.0fs", s.load.Seconds()),
		"--latency", "http://"+address+path)
	out, err := command.Output()
	if err != nil {
		return load, fmt.Errorf("running wrk: %w", withOutput(err))
	}
	match := wrkOutput.FindSubmatch(out)
	if match == nil {
		return load, fmt.Errorf("unexpected output of wrk: %s", out)
	}
	for i, duration := range map[int]*time.Duration{1: &load.P50, 2: &load.P99, 4: &load.Elapsed} {
		if *duration, err = time.ParseDuration(string(match[i])); err != nil {
			return load, fmt.Errorf("reading the output of wrk: %w", err)
		}
	}
	if load.Requests, err = strconv.ParseInt(string(match[3]), 10, 64); err != nil {
		return load, fmt.Errorf("reading the output of wrk: %w", err)
	}
	load.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	return load, nil
}

// withOutput adds what the program wrote to stderr.
func withOutput(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

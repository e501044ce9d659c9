//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// paceRole sends GET requests at a fixed rate and prints a Load:
//
//	bench pace ADDRESS PATH CONNECTIONS REQUESTS_PER_SECOND DURATION
//
// Every connection has its own schedule and one request at a time. A latency
// counts from the time at which the request was due when the answer before it
// was late, so a server that falls behind shows it. Otherwise it counts from
// when the request was sent: how late a timer of this process is, is not the
// server's doing.
func paceRole(arguments []string) error {
	if len(arguments) != 5 {
		return errors.New("five arguments are needed")
	}
	address, path := arguments[0], arguments[1]
	connections, err := strconv.Atoi(arguments[2])
	if err != nil {
		return fmt.Errorf("reading the number of connections: %w", err)
	}
	rate, err := strconv.Atoi(arguments[3])
	if err != nil {
		return fmt.Errorf("reading the rate: %w", err)
	}
	duration, err := time.ParseDuration(arguments[4])
	if err != nil {
		return fmt.Errorf("reading the duration: %w", err)
	}
	interval := time.Duration(connections) * time.Second / time.Duration(rate)
	count := int(duration / interval)
	latencies, errs := make([][]time.Duration, connections), make([]error, connections)
	start := time.Now().Add(100 * time.Millisecond)
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() {
			due := start.Add(interval * time.Duration(i) / time.Duration(connections))
			latencies[i], errs[i] = converse(address, path, due, interval, count)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	sorted := slices.Concat(latencies...)
	slices.Sort(sorted)
	return json.NewEncoder(os.Stdout).Encode(Load{
		Requests: int64(len(sorted)),
		P50:      sorted[len(sorted)/2],
		P99:      sorted[len(sorted)*99/100],
		Elapsed:  time.Since(start),
	})
}

// converse sends count requests over one connection, the first when due and
// the others at the interval.
func converse(address, path string, due time.Time, interval time.Duration, count int) ([]time.Duration, error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer connection.Close()
	request := get(address, path)
	latencies := make([]time.Duration, 0, count)
	buffer := make([]byte, 16<<10)
	answered := time.Now()
	for range count {
		from := due
		if answered.Before(due) {
			time.Sleep(time.Until(due))
			from = time.Now()
		}
		if err := exchange(connection, request, buffer); err != nil {
			return nil, err
		}
		answered = time.Now()
		latencies = append(latencies, answered.Sub(from))
		due = due.Add(interval)
	}
	return latencies, nil
}

func get(address, path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: qtap-bench\r\nAccept: */*\r\n\r\n", path, address)
}

// exchange sends a request and reads the whole answer, which has a
// Content-Length. An answer that came at once is read in one call.
func exchange(connection net.Conn, request, buffer []byte) error {
	if _, err := connection.Write(request); err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	for size := 0; ; {
		n, err := connection.Read(buffer[size:])
		if err != nil {
			return fmt.Errorf("reading an answer: %w", err)
		}
		size += n
		head, body, whole := bytes.Cut(buffer[:size], []byte("\r\n\r\n"))
		if !whole {
			continue
		}
		_, rest, _ := bytes.Cut(head, []byte("Content-Length: "))
		digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
		length, err := strconv.Atoi(string(digits))
		if err != nil {
			return fmt.Errorf("reading the length of an answer: %w", err)
		}
		if len(body) >= length {
			return nil
		}
	}
}

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// bodyBytes is the size of the page: with its head about 700 bytes, a usual
// answer of an API.
const bodyBytes = 512

// Nginx is a server of one small page.
type Nginx struct {
	address   string
	status    string // address of its own count
	dir       string
	command   *exec.Cmd
	questions int64 // about its status: requests, too
}

func startNginx() (n *Nginx, err error) {
	n = new(Nginx)
	defer func() {
		if err != nil {
			n.Stop()
		}
	}()
	for _, address := range []*string{&n.address, &n.status} {
		if *address, err = freeAddress(); err != nil {
			return n, err
		}
	}
	if n.dir, err = os.MkdirTemp("", "qtap-bench-nginx-"); err != nil {
		return n, fmt.Errorf("making a folder for nginx: %w", err)
	}
	var config strings.Builder
	fmt.Fprintf(&config, "daemon off; worker_processes auto; worker_rlimit_nofile 19000; pid %s/pid; error_log stderr warn;\n", n.dir)
	fmt.Fprintf(&config, "events { worker_connections 15000; }\nhttp { access_log off; default_type text/plain;\n")
	fmt.Fprintf(&config, "keepalive_requests 1000000000; keepalive_timeout 1h;\n")
	for _, part := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&config, "%s_temp_path %s/%s;\n", part, n.dir, part)
	}
	fmt.Fprintf(&config, "server { listen %s; location / { stub_status; } }\n", n.status)
	fmt.Fprintf(&config, "server { listen %s backlog=4096; location / { return 200 %q; } } }\n",
		n.address, strings.Repeat("measured", bodyBytes/8))
	path := filepath.Join(n.dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config.String()), 0o600); err != nil {
		return n, fmt.Errorf("writing the configuration of nginx: %w", err)
	}
	command := exec.Command("nginx", "-e", "stderr", "-p", n.dir, "-c", path)
	command.Stderr = os.Stderr
	if err := startOn(nil, command); err != nil {
		return n, err
	}
	n.command = command
	for range 100 {
		connection, err := net.Dial("tcp", n.address)
		if err == nil {
			_ = connection.Close()
			return n, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return n, errors.New("nginx does not answer")
}

// Stop ends it and removes its folder.
func (n *Nginx) Stop() {
	if n.command != nil {
		_ = n.command.Process.Signal(os.Interrupt)
		_ = n.command.Wait()
	}
	_ = os.RemoveAll(n.dir)
}

// Port returns the port of the page.
func (n *Nginx) Port() int {
	_, port, _ := net.SplitHostPort(n.address)
	number, _ := strconv.Atoi(port)
	return number
}

// CPU returns what its processes have used.
func (n *Nginx) CPU() time.Duration { return cpuTime(family(n.command.Process.Pid)...) }

// Served returns how many requests it has answered by its own count, without
// the questions for it.
func (n *Nginx) Served() (int64, error) {
	response, err := http.Get("http://" + n.status)
	if err != nil {
		return 0, fmt.Errorf("asking nginx for its status: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, fmt.Errorf("asking nginx for its status: %w", err)
	}
	n.questions++
	// Three numbers follow the names: accepts, handled, requests.
	_, rest, _ := strings.Cut(string(content), "requests")
	var accepts, handled, requests int64
	if _, err := fmt.Sscan(rest, &accepts, &handled, &requests); err != nil {
		return 0, fmt.Errorf("reading the status of nginx: %w", err)
	}
	return requests - n.questions, nil
}

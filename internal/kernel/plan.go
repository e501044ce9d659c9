//go:build linux

package kernel

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Hook is one line of the hook plan: where a program is attached, and what
// is not seen without it.
type Hook struct {
	Program string // name of the function in bpf/qtap.bpf.c
	Where   string // as the kernel names it
	Purpose string
	// Without says what is lost when the hook cannot be attached; empty when
	// nothing works without it.
	Without string
}

// Plan lists all hooks in the order in which they are attached: connection
// life first, so that a connection established in between is not taken for an
// older one.
func Plan() []Hook {
	return []Hook{
		{
			Program: "on_state_change",
			Where:   "tp_btf/inet_sock_set_state",
			Purpose: "establishment and end of TCP connections",
		},
		{
			Program: "on_sys_exit",
			Where:   "tp_btf/sys_exit",
			Purpose: "bytes that system calls move on sockets, libraries that are mapped",
		},
		{
			Program: "on_exec",
			Where:   "tp_btf/sched_process_exec",
			Purpose: "executables with TLS code of their own",
			Without: "TLS of statically linked programs that start later",
		},
		{
			Program: "on_exit",
			Where:   "tp_btf/sched_process_exit",
			Purpose: "calls of TLS libraries that do not return",
			Without: "memory of such calls, until it is needed for others",
		},
	}
}

// Attachment is the outcome of one hook of the plan.
type Attachment struct {
	Hook
	Err error // nil when attached
}

// attach attaches all hooks of the plan. The caller closes the links.
func attach(programs map[string]*ebpf.Program, report func(Attachment)) ([]link.Link, error) {
	var links []link.Link
	for _, hook := range Plan() {
		attached, err := link.AttachTracing(link.TracingOptions{Program: programs[hook.Program]})
		if report != nil {
			report(Attachment{Hook: hook, Err: err})
		}
		if err == nil {
			links = append(links, attached)
			continue
		}
		if hook.Without == "" {
			for _, l := range links {
				_ = l.Close()
			}
			return nil, fmt.Errorf("attaching %s: %w", hook.Where, explain(err))
		}
	}
	return links, nil
}

/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Calls of TLS libraries that are in progress.
 *
 * A call is found at its return by the place of its stack frame, which is
 * right for threads, for coroutines that change stacks within a call, and for
 * calls within calls. The stacks of goroutines move, so theirs is the distance
 * from the stack's upper end. A system call finds the innermost call around it
 * by its thread, or by its goroutine, which may change threads.
 */
#ifndef QTAP_TLS_CALLS_H
#define QTAP_TLS_CALLS_H

#include "connections.h"
#include "processes.h"

struct frame {
	u64 place; /* stack pointer at the entry, or the goroutine */
	u32 tgid;
	u32 depth; /* of a goroutine's stack at the entry; 0 for others */
};

struct runner {
	u64 goroutine; /* 0 for threads */
	u32 tgid;
	u32 tid; /* 0 for goroutines */
};

struct tls_call {
	u64 session;
	u64 buffer;
	u64 bytes; /* that the caller offers or has room for */
	u64 moved; /* user address where the _ex functions put the number of bytes, or 0 */
	u64 generation;
	u64 socket; /* of a system call within this one; 0 while there was none */
	u64 cookie;
	u64 time; /* of the entry */
};

/* Both forget: a return may be missed (longjmp, a killed process). */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct frame);
	__type(value, struct tls_call);
} tls_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct runner);
	__type(value, struct frame);
} innermost_calls SEC(".maps");

static __always_inline struct runner this_thread(struct task_struct *task)
{
	return (struct runner){ .tgid = task->tgid, .tid = task->pid };
}

static __always_inline struct tls_call *innermost_call(struct runner *runner, u64 generation)
{
	struct frame *frame = bpf_map_lookup_elem(&innermost_calls, runner);
	struct tls_call *call;

	if (!frame)
		return NULL;
	call = bpf_map_lookup_elem(&tls_calls, frame);
	return call && call->generation == generation ? call : NULL;
}

/* So many calls outside of any TLS call make a connection one without a session. */
#define MAX_CALLS_OUTSIDE 64

/* Whether a TLS call is around this system call, which thereby learns its socket. */
static __always_inline bool note_nested(struct connection *connection, struct sock *sk, u64 g)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct runner runner;
	struct tls_call *call;
	u64 generation;

	if (!has_probes || connection->verdict == WANTED || connection->verdict == BOUND ||
	    connection->calls_outside >= MAX_CALLS_OUTSIDE)
		return false;
	generation = generation_of(task);
	runner = this_thread(task);
	call = innermost_call(&runner, generation);
	if (!call) {
		runner = (struct runner){ .goroutine = g, .tgid = task->tgid };
		call = innermost_call(&runner, generation);
	}
	if (!call) {
		if (connection->verdict == OTHER || connection->verdict == IGNORED)
			connection->calls_outside++;
		return false;
	}
	call->socket = (u64)sk;
	return true;
}

/* Ends a call that will not return: its thread has ended. */
static __always_inline void forget_calls(struct task_struct *task)
{
	struct runner runner = this_thread(task);
	struct frame *found = bpf_map_lookup_elem(&innermost_calls, &runner), frame;

	if (!found)
		return;
	frame = *found;
	bpf_map_delete_elem(&tls_calls, &frame);
	bpf_map_delete_elem(&innermost_calls, &runner);
}

#endif

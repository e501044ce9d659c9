/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The functions of TLS libraries, and what their arguments and results mean.
 * Which function a probe is on stands in its cookie, so one program serves
 * them all. No structure of any library is read.
 */
#ifndef QTAP_PROBES_H
#define QTAP_PROBES_H

#include "io.h"
#include "sessions.h"
#include "tls_calls.h"

/* Of internal/kernel, which makes the cookies. */
enum operation {
	OPERATION_READ = 1, /* (session, buffer, bytes) returns the bytes read */
	OPERATION_WRITE = 2,
	OPERATION_READ_EX = 3, /* (session, buffer, bytes, size_t *moved) returns 1 */
	OPERATION_WRITE_EX = 4,
	OPERATION_SENDFILE = 5, /* (session, ...) returns the bytes written, which pass no buffer */
	OPERATION_FREE = 6, /* (session) */
	OPERATION_IMPORT = 7, /* returns a session of a socket that may be older */
	OPERATION_READ_FLAGS = 8, /* like READ, with flags after the bytes */
	OPERATION_HANDSHAKE = 9, /* (session), before any plaintext */
	OPERATION_NEW = 10, /* returns a session that has moved nothing */
};

const enum operation *unused_operation __attribute__((unused));

/* operation in bits 0 to 7, source in 8 to 15, index in `probed` in 16 to 31 */
static __always_inline u8 operation_of(u64 cookie)
{
	return cookie;
}

static __always_inline u8 source_of(u64 cookie)
{
	return cookie >> 8;
}

/* When all probes of a file were in place, ns; 0 until then. Set by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u64);
} probed SEC(".maps");

static __always_inline u64 probed_since(u64 cookie)
{
	u32 index = cookie >> 16 & 0xffff;
	u64 *since = bpf_map_lookup_elem(&probed, &index);

	return since ? *since : 0;
}

/*
 * NSPR's functions serve files and plain sockets too. Those that SSL_ImportFD
 * returned are TLS.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct session_key);
	__type(value, u8);
} nss_descriptors SEC(".maps");

#define PR_MSG_PEEK 2 /* nspr/prio.h */

#if defined(__TARGET_ARCH_x86)
/* The System V ABI passes the fourth argument in rcx, a system call in r10. */
#define USER_ARGUMENT_4(regs) ((u64)(regs)->cx)
#define USER_RESULT(regs) ((u64)(regs)->ax)
#define USER_STACK(regs) ((u64)(regs)->sp)
#define USER_ARGUMENT_1(regs) ((u64)(regs)->di)
#define USER_ARGUMENT_2(regs) ((u64)(regs)->si)
#define USER_ARGUMENT_3(regs) ((u64)(regs)->dx)
/* A return has taken its address off the stack. */
#define RETURN_ADDRESS_BYTES 8
/* Go's ABIInternal: the receiver, then the slice. */
#define GO_ARGUMENT_1(regs) ((u64)(regs)->ax)
#define GO_ARGUMENT_2(regs) ((u64)(regs)->bx)
#define GO_ARGUMENT_3(regs) ((u64)(regs)->cx)
#define GO_RESULT(regs) ((u64)(regs)->ax)
#define GO_GOROUTINE(regs) ((u64)(regs)->r14)
#elif defined(__TARGET_ARCH_arm64)
#define USER_ARGUMENT_1(regs) ((regs)->regs[0])
#define USER_ARGUMENT_2(regs) ((regs)->regs[1])
#define USER_ARGUMENT_3(regs) ((regs)->regs[2])
#define USER_ARGUMENT_4(regs) ((regs)->regs[3])
#define USER_RESULT(regs) ((regs)->regs[0])
#define USER_STACK(regs) ((regs)->sp)
#define RETURN_ADDRESS_BYTES 0
#define GO_ARGUMENT_1(regs) ((regs)->regs[0])
#define GO_ARGUMENT_2(regs) ((regs)->regs[1])
#define GO_ARGUMENT_3(regs) ((regs)->regs[2])
#define GO_RESULT(regs) ((regs)->regs[0])
#define GO_GOROUTINE(regs) ((regs)->regs[28])
#endif

/* Offset of stack.hi in runtime.g: its first field since Go 1.5 is the stack, {lo, hi}. */
#define GO_STACK_HI 8

/* One direction of a session moved bytes: the plaintext twin of on_transfer. */
static __noinline int on_plaintext(struct workspace *work, struct connection *session, u64 generation)
{
	struct connection *socket;
	struct transfer *transfer;
	u64 position, refused;
	u8 direction;

	if (!work || !session)
		return 0;
	transfer = &work->transfer;
	direction = transfer->direction & 1;
	count(CALLS_SEEN, 1);
	if (session->verdict == IGNORED) {
		count(CALLS_FILTERED, 1);
		return 0;
	}
	position = __sync_fetch_and_add(&session->end[direction], transfer->bytes);
	socket = socket_of(session);
	if (socket) {
		socket->end[direction] = position + transfer->bytes;
		socket->is_begun = true;
	}
	if (session->verdict == UNDECIDED || session->verdict == OTHER)
		decide(work, session);
	if ((session->verdict == OTHER && (session->is_announced || !socket || !socket->is_announced)) ||
	    (session->verdict == RECOGNISED && session->is_announced)) {
		session->skipped[direction] = true;
		count(CALLS_FILTERED, 1);
		return 0;
	}
	if (session->generation != generation &&
	    announce_process(transfer->time, generation, work->context))
		session->generation = generation;
	if (!session->is_announced) {
		if (!announce_connection(session, socket ? (struct sock *)session->socket : NULL, transfer->time)) {
			session->lost[direction] = true;
			count(CALLS_REFUSED, 1);
			count(BYTES_REFUSED, transfer->bytes);
			return 0;
		}
		if (socket)
			socket->is_announced = true;
	}
	if (session->verdict == RECOGNISED || session->verdict == OTHER) {
		/* Announced all the same: its connection is read, and is something else. */
		session->skipped[direction] = session->verdict == OTHER;
		count(CALLS_FILTERED, 1);
		return 0;
	}
	refused = capture(work, session, position);
	if (refused) {
		count(CALLS_REFUSED, 1);
		count(BYTES_REFUSED, refused);
	} else {
		count(CALLS_SUBMITTED, 1);
	}
	return 0;
}

/* A finished call of a session: binds it, and takes what it moved. */
static __noinline int on_finished(struct tls_call *call, struct workspace *work, u64 bytes)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct transfer *transfer;
	struct connection *session;
	struct session_key key;
	u64 since;
	u8 operation;

	if (!call || !work)
		return 0;
	operation = operation_of(call->cookie);
	key = session_key_of(task->tgid, call->session);
	session = find_session(&key, source_of(call->cookie), call->generation, work->context);
	if (!session)
		return 0;
	if (session->ended_ns && call->time > session->ended_ns &&
	    (call->socket || operation == OPERATION_HANDSHAKE)) {
		/* The memory of a session that was never freed serves another one. */
		end_session(&key);
		session = find_session(&key, source_of(call->cookie), call->generation, work->context);
		if (!session)
			return 0;
	}
	since = probed_since(call->cookie);
	if (operation == OPERATION_HANDSHAKE && since)
		session->is_begun = true;
	/* Until its socket tells better. */
	if (!session->is_announced && !session->socket)
		session->is_late = !session->is_begun &&
				   (!since || task->group_leader->start_boottime < since);
	if (call->socket)
		bind(session, &key, call->socket, since);
	if (!bytes)
		return 0;
	transfer = &work->transfer;
	__builtin_memset(transfer, 0, sizeof(*transfer));
	transfer->bytes = bytes;
	transfer->buffer = call->buffer;
	transfer->direction = DIRECTION_SEND;
	transfer->time = call->time; /* what is written can be answered before the call returns */
	if (operation == OPERATION_READ || operation == OPERATION_READ_EX || operation == OPERATION_READ_FLAGS) {
		transfer->direction = DIRECTION_RECEIVE;
		transfer->time = bpf_ktime_get_boot_ns();
	}
	if (operation == OPERATION_SENDFILE) {
		transfer->is_length_only = true;
		transfer->reason = REASON_SENDFILE;
	}
	on_plaintext(work, session, call->generation);
	if (!session->socket)
		weigh_session(work, &key, bytes, transfer->direction, since);
	return 0;
}

/* The peer has closed the session: the library returns 0 for a read. */
static __noinline int on_end_of_session(struct tls_call *call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct connection *session, *socket;
	struct session_key key;

	if (!call)
		return 0;
	key = session_key_of(task->tgid, call->session);
	session = bpf_map_lookup_elem(&tls_sessions, &key);
	if (!session || session->is_finished[DIRECTION_RECEIVE])
		return 0;
	session->is_finished[DIRECTION_RECEIVE] = true;
	announce_finish(session, DIRECTION_RECEIVE, session->end[DIRECTION_RECEIVE]);
	socket = socket_of(session);
	if (socket)
		socket->is_finished[DIRECTION_RECEIVE] = true;
	return 0;
}

/*
 * A session from its first moment. Programs that move the bytes themselves may
 * never call the function of the handshake: the first read makes it.
 */
static __noinline int begin_session(struct tls_call *call, u64 pointer)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct workspace *work;
	struct connection *session;
	struct session_key key;

	if (!call || !pointer || !probed_since(call->cookie))
		return 0;
	key = session_key_of(task->tgid, pointer);
	end_session(&key); /* one that was not told to be forgotten */
	work = claim_workspace();
	if (!work)
		return 0; /* it will look as if it were older */
	session = find_session(&key, source_of(call->cookie), call->generation, work->context);
	if (session)
		session->is_begun = true;
	give_back(work);
	return 0;
}

/* What all calls have in common at their end. */
static __noinline int finish_call(struct tls_call *call, u64 result)
{
	u8 operation;
	struct workspace *work;
	s64 bytes = (s32)result; /* of functions that return an int */
	u64 moved = 0;

	if (!call)
		return 0;
	operation = operation_of(call->cookie);
	if (source_of(call->cookie) != SOURCE_OPENSSL || operation == OPERATION_SENDFILE)
		bytes = (s64)result; /* ssize_t, Go's int */
	if (source_of(call->cookie) == SOURCE_NSS)
		bytes = (s32)result;
	if (call->moved) {
		/* Returns 1, and says elsewhere how much. */
		if (bytes != 1 || bpf_probe_read_user(&moved, sizeof(moved), (void *)call->moved))
			moved = 0;
		bytes = moved;
	} else if (!bytes && call->bytes && source_of(call->cookie) != SOURCE_GO &&
		   (operation == OPERATION_READ || operation == OPERATION_READ_FLAGS)) {
		on_end_of_session(call);
	}
	if (operation == OPERATION_HANDSHAKE)
		bytes = 0;
	if (bytes < 0 || (operation != OPERATION_SENDFILE && (u64)bytes > call->bytes))
		bytes = 0;
	if (!bytes && !call->socket && operation != OPERATION_HANDSHAKE)
		return 0;
	work = claim_workspace();
	if (!work) {
		count(CALLS_SEEN, 1);
		count(CALLS_REFUSED, 1);
		count(BYTES_REFUSED, bytes);
		return 0;
	}
	on_finished(call, work, bytes);
	give_back(work);
	return 0;
}

/*
 * Remembers a call, unless it is made by the library itself within another
 * one for the same bytes (gnutls_record_send calls gnutls_record_send2).
 */
static __always_inline void begin_call(struct frame *frame, struct runner *runner, struct tls_call *call)
{
	struct tls_call *outer = innermost_call(runner, call->generation);

	if (outer && outer->session == call->session && outer->buffer == call->buffer)
		return;
	bpf_map_update_elem(&tls_calls, frame, call, BPF_ANY);
	bpf_map_update_elem(&innermost_calls, runner, frame, BPF_ANY);
}

/* Takes the call that returns now out of the maps; false when it is not known. */
static __always_inline bool take_call(struct frame *frame, struct runner *runner, struct tls_call *call)
{
	struct tls_call *found = bpf_map_lookup_elem(&tls_calls, frame);

	if (!found)
		return false;
	*call = *found;
	bpf_map_delete_elem(&tls_calls, frame);
	bpf_map_delete_elem(&innermost_calls, runner);
	return call->generation == generation_of(bpf_get_current_task_btf());
}

static __always_inline int enter_call(struct pt_regs *regs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 cookie = bpf_get_attach_cookie(regs);
	u8 operation = operation_of(cookie);
	struct session_key key = session_key_of(task->tgid, USER_ARGUMENT_1(regs));
	struct frame frame = { .place = USER_STACK(regs), .tgid = task->tgid };
	struct runner runner = this_thread(task);
	struct tls_call call = {
		.session = USER_ARGUMENT_1(regs),
		.buffer = USER_ARGUMENT_2(regs),
		.bytes = USER_ARGUMENT_3(regs),
		.generation = generation_of(task),
		.cookie = cookie,
		.time = bpf_ktime_get_boot_ns(),
	};

	if (task->tgid == own_tgid)
		return 0;
	if (operation == OPERATION_FREE) {
		end_session(&key);
		if (source_of(cookie) == SOURCE_NSS)
			bpf_map_delete_elem(&nss_descriptors, &key);
		return 0;
	}
	if (source_of(cookie) == SOURCE_NSS && operation != OPERATION_IMPORT &&
	    !bpf_map_lookup_elem(&nss_descriptors, &key))
		return 0;
	if (operation == OPERATION_READ_FLAGS && USER_ARGUMENT_4(regs) & PR_MSG_PEEK)
		return 0;
	if (operation == OPERATION_READ_EX || operation == OPERATION_WRITE_EX)
		call.moved = USER_ARGUMENT_4(regs);
	else if (source_of(cookie) == SOURCE_OPENSSL || source_of(cookie) == SOURCE_NSS)
		call.bytes = (u32)call.bytes; /* an int */
	begin_call(&frame, &runner, &call);
	return 0;
}

static __always_inline int leave_call(struct pt_regs *regs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct frame frame = { .place = USER_STACK(regs) - RETURN_ADDRESS_BYTES, .tgid = task->tgid };
	struct runner runner = this_thread(task);
	struct session_key key;
	struct tls_call call;
	u8 is_tls = 1;

	if (task->tgid == own_tgid || !take_call(&frame, &runner, &call))
		return 0;
	if (operation_of(call.cookie) == OPERATION_IMPORT) {
		key = session_key_of(task->tgid, USER_RESULT(regs));
		if (key.pointer)
			bpf_map_update_elem(&nss_descriptors, &key, &is_tls, BPF_ANY);
		return 0;
	}
	if (operation_of(call.cookie) == OPERATION_NEW)
		return begin_session(&call, USER_RESULT(regs));
	return finish_call(&call, USER_RESULT(regs));
}

static __always_inline struct frame go_frame(struct pt_regs *regs, u32 tgid)
{
	u64 g = GO_GOROUTINE(regs), upper_end = 0;

	bpf_probe_read_user(&upper_end, sizeof(upper_end), (void *)(g + GO_STACK_HI));
	return (struct frame){ .place = g, .tgid = tgid, .depth = upper_end - USER_STACK(regs) };
}

static __always_inline int enter_go_call(struct pt_regs *regs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 cookie = bpf_get_attach_cookie(regs);
	struct session_key key = session_key_of(task->tgid, GO_ARGUMENT_1(regs));
	struct frame frame = go_frame(regs, task->tgid);
	struct runner runner = { .goroutine = frame.place, .tgid = task->tgid };
	struct tls_call call = {
		.session = GO_ARGUMENT_1(regs),
		.buffer = GO_ARGUMENT_2(regs),
		.bytes = GO_ARGUMENT_3(regs),
		.generation = generation_of(task),
		.cookie = cookie,
		.time = bpf_ktime_get_boot_ns(),
	};

	if (task->tgid == own_tgid)
		return 0;
	if (operation_of(cookie) == OPERATION_FREE) {
		end_session(&key);
		return 0;
	}
	begin_call(&frame, &runner, &call);
	return 0;
}

static __always_inline int leave_go_call(struct pt_regs *regs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct frame frame = go_frame(regs, task->tgid);
	struct runner runner = { .goroutine = frame.place, .tgid = task->tgid };
	struct tls_call call;

	if (task->tgid == own_tgid || !take_call(&frame, &runner, &call))
		return 0;
	return finish_call(&call, GO_RESULT(regs));
}

#endif

// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * The kernel side: it copies and numbers what applications move on stream
 * sockets. It parses no message. See docs/architecture.md.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "io.h"
#include "probes.h"
#include "sightings.h"
#include "syscalls.h"

/* sendmmsg and recvmmsg take at most UIO_MAXIOV messages. */
#define MAX_MESSAGES 1024

static __always_inline void set_message(struct transfer *transfer, u64 address)
{
	struct user_msg message;

	if (bpf_probe_read_user(&message, sizeof(message), (void *)address)) {
		transfer->is_length_only = true;
		transfer->reason = REASON_UNREADABLE;
		return;
	}
	transfer->vector = message.iov;
	transfer->vector_count = message.iovlen;
}

static __always_inline u32 message_bytes(u64 address)
{
	u32 bytes = 0;

	bpf_probe_read_user(&bytes, sizeof(bytes),
			    (void *)address + __builtin_offsetof(struct user_mmsg, len));
	return bytes;
}

static long sum_message(u32 turn, struct workspace **context)
{
	struct workspace *work = *context;

	work->messages_bytes += message_bytes(work->messages + turn * sizeof(struct user_mmsg));
	return 0;
}

static long take_message(u32 turn, struct workspace **context)
{
	struct workspace *work = *context;
	u64 address = work->messages + turn * sizeof(struct user_mmsg);

	work->transfer.bytes = message_bytes(address);
	if (!work->transfer.bytes)
		return 0;
	work->messages_bytes -= work->transfer.bytes;
	work->transfer.bytes_after = work->messages_bytes;
	set_message(&work->transfer, address);
	on_transfer(work);
	return 0;
}

/* Ends a connection whose positions are counted. */
static __noinline int end_counted(struct connection *connection, u64 key)
{
	if (!connection)
		return 0;
	announce_close(connection, connection->end[DIRECTION_SEND], connection->end[DIRECTION_RECEIVE], 0);
	bpf_map_delete_elem(&counted_connections, &key);
	return 0;
}

static __always_inline void finish_counted(struct connection *connection, u8 direction)
{
	if (connection->is_finished[direction])
		return;
	connection->is_finished[direction] = true;
	announce_finish(connection, direction, connection->end[direction]);
}

/*
 * A Unix socket has no event for its end. A reader that meets the end of file
 * tells: its peer is half closed, or gone, which ends both connections, as
 * nothing that is still sent arrives anywhere.
 */
static __noinline int on_end_of_file(struct socket_view *view)
{
	struct connection *reading, *writing = NULL;
	struct unix_sock *reader;
	struct sock *peer;
	u64 key, peer_key;

	if (!view)
		return 0;
	reader = (struct unix_sock *)view->sk;
	key = (u64)reader;
	reading = bpf_map_lookup_elem(&connections, &key);
	if (reading) {
		end_if_read(reading, view->sk);
		return 0;
	}
	if (!describe_socket(view) || view->is_tcp)
		return 0;
	reading = bpf_map_lookup_elem(&counted_connections, &key);
	if (reading && reading->inode != view->inode)
		reading = NULL;
	if (reading)
		finish_counted(reading, DIRECTION_RECEIVE);
	if (view->family != AF_UNIX)
		return 0;
	peer = BPF_CORE_READ(reader, peer);
	if (!peer)
		return 0;
	peer_key = (u64)peer;
	writing = bpf_map_lookup_elem(&counted_connections, &peer_key);
	if (writing)
		finish_counted(writing, DIRECTION_SEND);
	if (BPF_CORE_READ(peer, __sk_common.skc_flags) & (1UL << SOCK_DEAD_BIT)) {
		end_counted(writing, peer_key);
		end_counted(reading, key);
	}
	return 0;
}

/*
 * A Unix or MPTCP socket is connected: one that is met without this is older
 * than us. TCP sockets have a better event, which also comes for those that
 * connect without waiting, and before the first byte.
 */
static __noinline int on_connected(struct socket_view *view, u8 role)
{
	struct connection *fresh, *old;
	u64 key;

	if (!view || !describe_socket(view) || view->is_tcp)
		return 0;
	key = (u64)view->sk;
	old = bpf_map_lookup_elem(&counted_connections, &key);
	end_counted(old, key);
	fresh = new_connection(CONTEXT_PROCESS);
	if (!fresh)
		return 0;
	fresh->inode = view->inode;
	fresh->role = role;
	fresh->opened_ns = bpf_ktime_get_boot_ns();
	if (is_unwanted(view->sk, view->family, role)) {
		fresh->is_filtered = true;
		fresh->verdict = IGNORED;
	}
	if (bpf_map_update_elem(&counted_connections, &key, fresh, BPF_ANY))
		count(CONNECTIONS_REFUSED, 1);
	return 0;
}

/* A call that made a connection, moved bytes, or met the end of file, on some descriptor. */
static __noinline int on_call(struct call *call, u64 result, u64 g)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct workspace *work = own_workspace();
	struct transfer *transfer;
	struct file *file;

	if (!call || !work)
		return 0;
	transfer = &work->transfer;
	file = file_of(task, call->fd);
	if (!file)
		return 0;
	if (!view_socket(file, &transfer->socket)) {
		if (!call->has_other)
			return 0;
		file = file_of(task, call->other_fd);
		if (!file || !view_socket(file, &transfer->socket))
			return 0;
		call->direction = DIRECTION_SEND;
	}
	if (call->form == FORM_CONNECTED) {
		on_connected(&transfer->socket, call->role);
		file = call->has_other ? file_of(task, call->other_fd) : NULL;
		if (file && view_socket(file, &transfer->socket))
			on_connected(&transfer->socket, call->role);
		return 0;
	}
	if (!result) {
		if (call->direction == DIRECTION_RECEIVE && call->form != FORM_MESSAGES)
			on_end_of_file(&transfer->socket);
		return 0;
	}
	work->context = CONTEXT_PROCESS;
	work->g = g;
	transfer->time = bpf_ktime_get_boot_ns();
	transfer->direction = call->direction;
	transfer->bytes = result;
	transfer->bytes_after = 0;
	transfer->buffer = 0;
	transfer->vector = 0;
	transfer->reason = call->reason;
	transfer->is_length_only = call->form == FORM_LENGTH;
	/* tcp(7): the bytes are discarded and never reach the buffer. */
	if (call->message_flags & MSG_TRUNC && describe_socket(&transfer->socket) &&
	    transfer->socket.is_tcp) {
		transfer->is_length_only = true;
		transfer->reason = REASON_UNREADABLE;
	}
	switch (call->form) {
	case FORM_BUFFER:
		transfer->buffer = call->address;
		break;
	case FORM_VECTOR:
		transfer->vector = call->address;
		transfer->vector_count = call->vector_count;
		break;
	case FORM_MESSAGE:
		set_message(transfer, call->address);
		break;
	case FORM_MESSAGES: {
		u32 number = result > MAX_MESSAGES ? MAX_MESSAGES : result;

		work->messages = call->address;
		work->messages_bytes = 0;
		bpf_loop(number, sum_message, &work, 0);
		bpf_loop(number, take_message, &work, 0);
		return 0;
	}
	}
	on_transfer(work);
	return 0;
}

/*
 * Why this hook: when a call returns, its arguments, its result and the bytes
 * are all there, for sends and receives alike, so nothing has to be remembered
 * from its entry. It needs no kprobe, no fentry and no tracefs.
 * What it misses: io_uring, which moves bytes without a call (the positions
 * show the hole), and 32-bit processes, which are counted.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct call call;

	if (result < 0)
		return 0;
	if (is_32bit(task)) {
		if (result && is_32bit_io(call_number(regs)))
			count_call(CALLS_32BIT, 1);
		return 0;
	}
	if (call_number(regs) == NR_MMAP)
		return on_mapped(regs);
	if (!decode_call(regs, result, &call))
		return 0;
	if (task->tgid == own_tgid)
		return 0;
	if (call.message_flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))
		return 0;
	on_call(&call, result, goroutine_of(regs));
	return 0;
}

static __always_inline void on_established(struct sock *sk, u8 role, u16 family)
{
	struct connection *fresh = new_connection(CONTEXT_STATE_CHANGE), *old;
	u64 key = (u64)sk;

	if (!fresh)
		return;
	fresh->role = role;
	fresh->opened_ns = bpf_ktime_get_boot_ns();
	fresh->base[DIRECTION_SEND] = sent_sequence(sk);
	fresh->base[DIRECTION_RECEIVE] = BPF_CORE_READ((struct tcp_sock *)sk, copied_seq);
	if (is_unwanted(sk, family, role)) {
		fresh->is_filtered = true;
		fresh->verdict = IGNORED;
	}
	old = bpf_map_lookup_elem(&connections, &key);
	if (old)
		announce_close(old, old->end[DIRECTION_SEND], old->end[DIRECTION_RECEIVE], FLAG_RESET);
	if (bpf_map_update_elem(&connections, &key, fresh, BPF_ANY))
		count(CONNECTIONS_REFUSED, 1);
}

/*
 * We send a FIN: called before it takes its number. A close after a shutdown
 * sets the same state a second time, when it has.
 */
static __always_inline void on_sent_fin(struct connection *connection, struct sock *sk)
{
	u64 position;

	if (connection->is_finished[DIRECTION_SEND])
		return;
	position = connection->end[DIRECTION_SEND];
	if (connection->verdict != BOUND)
		position = position_of(connection, DIRECTION_SEND, sent_sequence(sk));
	connection->end[DIRECTION_SEND] = position;
	connection->is_finished[DIRECTION_SEND] = true;
	announce_finish(connection, DIRECTION_SEND, position);
}

/* A FIN arrived: it has taken its number, which is no byte. */
static __always_inline void on_received_fin(struct connection *connection, struct sock *sk)
{
	u32 next;

	if (connection->is_finished[DIRECTION_RECEIVE])
		return;
	if (connection->verdict == BOUND) {
		connection->has_fin = true; /* the library may hold plaintext that is not read yet */
		return;
	}
	next = BPF_CORE_READ((struct tcp_sock *)sk, rcv_nxt);
	connection->is_finished[DIRECTION_RECEIVE] = true;
	announce_finish(connection, DIRECTION_RECEIVE,
			position_of(connection, DIRECTION_RECEIVE, next - 1));
}

/*
 * A client that has shut down its side and waits for the answer can find the
 * connection closed before it has read: the entry then stays until it has. If
 * it never does, the entry goes when another connection takes the address.
 */
static __always_inline void on_closed(struct connection *connection, struct sock *sk, int old_state)
{
	unsigned long flags = BPF_CORE_READ(sk, __sk_common.skc_flags);

	connection->is_aborted = old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT ||
				 BPF_CORE_READ(sk, sk_err);
	if (flags & (1UL << SOCK_DONE_BIT))
		on_received_fin(connection, sk);
	/* Of a session it is the library that may still be read, see outlives_socket. */
	if (connection->verdict != BOUND && unread_bytes(sk) && !(flags & (1UL << SOCK_DEAD_BIT)))
		connection->is_closed = true;
	else
		end_connection(connection, sk);
}

/*
 * Why this hook: it is the one place through which every TCP connection of
 * every network namespace is established and closed, with its struct sock. It
 * runs in whatever context the packet arrives in, so the current process
 * means nothing here.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state_change, const struct sock *traced, const int old_state, const int new_state)
{
	struct sock *sk = (struct sock *)traced;
	u16 protocol = BPF_CORE_READ(sk, sk_protocol);
	u64 key = (u64)sk;
	struct connection *connection;

	if (protocol == IPPROTO_MPTCP && new_state == TCP_CLOSE) {
		connection = bpf_map_lookup_elem(&counted_connections, &key);
		return end_counted(connection, key);
	}
	if (protocol != IPPROTO_TCP)
		return 0;
	if (new_state == TCP_ESTABLISHED) {
		on_established(sk, old_state == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_SERVER,
			       BPF_CORE_READ(sk, __sk_common.skc_family));
		return 0;
	}
	connection = bpf_map_lookup_elem(&connections, &key);
	if (!connection)
		return 0;
	switch (new_state) {
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		on_sent_fin(connection, sk);
		break;
	case TCP_CLOSE_WAIT:
	case TCP_CLOSING:
		on_received_fin(connection, sk);
		break;
	case TCP_CLOSE:
		on_closed(connection, sk, old_state);
		break;
	}
	return 0;
}

/* A process runs another executable: does it contain TLS code? */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *binary)
{
	return sight(BPF_CORE_READ(binary, file), true);
}

/* A thread ends, perhaps within a call of a TLS library. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	if (has_probes)
		forget_calls(task);
	return 0;
}

/* The entry of a function of a TLS library, see probes.h. */
SEC("uprobe.multi")
int on_tls_call(struct pt_regs *regs)
{
	return enter_call(regs);
}

SEC("uretprobe.multi")
int on_tls_return(struct pt_regs *regs)
{
	return leave_call(regs);
}

/* The entry of a method of Go's tls.Conn. */
SEC("uprobe.multi")
int on_go_call(struct pt_regs *regs)
{
	return enter_go_call(regs);
}

/* One of its return instructions: a return probe would crash it when the stack moves. */
SEC("uprobe.multi")
int on_go_return(struct pt_regs *regs)
{
	return leave_go_call(regs);
}

struct learn_arguments {
	u32 socket_fd;
};

/* Run once by user space before anything is attached: see settings.h. */
SEC("syscall")
int learn(struct learn_arguments *arguments)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = file_of(task, arguments->socket_fd);

	if (!file)
		return 1;
	own_tgid = task->tgid;
	socket_file_ops = (u64)BPF_CORE_READ(file, f_op);
	return 0;
}

struct ignore_arguments {
	u64 handle;
	u64 connection;
};

/* Run by user space for a connection whose bytes it can make nothing of. */
SEC("syscall")
int ignore(struct ignore_arguments *arguments)
{
	u64 key = arguments->handle;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);

	if (!connection)
		connection = bpf_map_lookup_elem(&counted_connections, &key);
	if (!connection || connection->id != arguments->connection)
		return 0;
	if (connection->verdict == BOUND)
		connection = session_of(connection, key);
	if (connection)
		connection->verdict = IGNORED;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

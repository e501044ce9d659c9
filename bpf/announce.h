/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/* The records of a connection's life: open, finish, close. */
#ifndef QTAP_ANNOUNCE_H
#define QTAP_ANNOUNCE_H

#include "connections.h"
#include "processes.h"
#include "rings.h"

#define SUN_PATH_BYTES 108

/* The listening socket's address: an accepted socket shares it. */
static __always_inline struct unix_address *unix_address_of(const struct sock *sk)
{
	const struct unix_sock *socket = (const struct unix_sock *)sk;
	struct unix_address *address = BPF_CORE_READ(socket, addr);
	const struct unix_sock *peer;

	if (address)
		return address;
	peer = (const struct unix_sock *)BPF_CORE_READ(socket, peer);
	return peer ? BPF_CORE_READ(peer, addr) : NULL;
}

static __always_inline void read_unix_path(const struct sock *sk, char *path)
{
	struct unix_address *address = unix_address_of(sk);
	int bytes;

	if (!address)
		return;
	/* sun_family comes first; an abstract name begins with NUL and has no end mark. */
	bytes = BPF_CORE_READ(address, len) - (int)sizeof(u16);
	if (bytes <= 0)
		return;
	if (bytes > SUN_PATH_BYTES - 1)
		bytes = SUN_PATH_BYTES - 1;
	if (bpf_probe_read_kernel(path, bytes,
				  (void *)address + bpf_core_field_offset(struct unix_address, name) +
					  sizeof(u16)))
		return;
	if (!path[0])
		path[0] = '@';
}

static __always_inline void describe_peers(struct record_open *record, struct sock *sk)
{
	record->handle = (u64)sk;
	record->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	record->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (record->family == AF_UNIX) {
		read_unix_path(sk, record->path);
	} else {
		record->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
		record->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
		read_addresses(sk, record->family, record->local, record->remote);
	}
}

/*
 * Introduces the connection; false when the ring refused. sk is NULL for a TLS
 * session whose socket is not known.
 */
static __noinline bool announce_connection(struct connection *connection, struct sock *sk, u64 time)
{
	struct task_struct *task = bpf_get_current_task_btf();
	void *ring = own_ring();
	struct record_open *record;

	if (!connection || !ring)
		return false;
	record = reserve(ring, sizeof(*record));
	if (!record)
		return false;
	__builtin_memset(record, 0, sizeof(*record));
	record->header = (struct record_header){
		.length = sizeof(*record),
		.kind = KIND_OPEN,
		.flags = connection->is_late ? FLAG_LATE : 0,
		.cpu = bpf_get_smp_processor_id(),
		.time_ns = time,
		.connection = connection->id,
		.generation = generation_of(task),
		.pid = task->tgid,
		.tid = task->pid,
	};
	record->opened_ns = connection->opened_ns;
	record->uid = BPF_CORE_READ(task, cred, euid.val);
	record->role = connection->role;
	record->protocol = connection->protocol;
	record->source = connection->source;
	if (sk)
		describe_peers(record, sk);
	submit(ring, record, sizeof(*record));
	connection->is_announced = true;
	return true;
}

static __always_inline u8 lost_flag(const struct connection *connection, u8 direction)
{
	return connection->lost[direction & 1] ? FLAG_LOST : 0;
}

/* Not inlined, like announce_close: combined stacks of Linux 6.1 are small. */
static __noinline int announce_finish(struct connection *connection, u8 direction, u64 position)
{
	void *ring = own_ring();
	struct record_finish *record;

	if (!connection || !connection->is_announced || !ring)
		return 0;
	record = reserve(ring, sizeof(*record));
	if (!record)
		return 0;
	*record = (struct record_finish){
		.header = {
			.length = sizeof(*record),
			.kind = KIND_FINISH,
			.flags = lost_flag(connection, direction),
			.cpu = bpf_get_smp_processor_id(),
			.time_ns = bpf_ktime_get_boot_ns(),
			.connection = connection->id,
		},
		.position = position,
		.direction = direction,
	};
	submit(ring, record, sizeof(*record));
	return 0;
}

static __noinline int announce_close(struct connection *connection, u64 sent, u64 received, u8 flags)
{
	void *ring = own_ring();
	struct record_close *record;

	if (!connection || !connection->is_announced || !ring)
		return 0;
	record = reserve(ring, sizeof(*record));
	if (!record)
		return 0;
	*record = (struct record_close){
		.header = {
			.length = sizeof(*record),
			.kind = KIND_CLOSE,
			.flags = flags | lost_flag(connection, DIRECTION_SEND) |
				 lost_flag(connection, DIRECTION_RECEIVE),
			.cpu = bpf_get_smp_processor_id(),
			.time_ns = bpf_ktime_get_boot_ns(),
			.connection = connection->id,
		},
		.sent = sent,
		.received = received,
	};
	submit(ring, record, sizeof(*record));
	return 0;
}

/*
 * The session of a BOUND socket. A library gives the memory of a session to the
 * next one, which can be in use before the socket of the first has closed.
 */
static __always_inline struct connection *session_of(const struct connection *connection, u64 socket)
{
	struct connection *session = bpf_map_lookup_elem(&tls_sessions, &connection->session);

	return session && session->id == connection->id && session->socket == socket ? session : NULL;
}

/*
 * The socket of a session is gone, by a reset for example, while the program
 * has its descriptor still: a call of the library may be in progress, and the
 * library may hold plaintext. The session then ends by itself (end_session).
 */
static __always_inline bool outlives_socket(const struct connection *connection, const struct sock *sk)
{
	struct connection *session = session_of(connection, (u64)sk);

	if (!session || BPF_CORE_READ(sk, __sk_common.skc_flags) & (1UL << SOCK_DEAD_BIT))
		return false;
	session->ended_ns = bpf_ktime_get_boot_ns();
	session->has_fin = connection->has_fin;
	session->is_aborted = connection->is_aborted;
	return true;
}

/* Ends a TCP connection: final positions, and no entry any more. */
static __noinline int end_connection(struct connection *connection, struct sock *sk)
{
	u64 key = (u64)sk, sent, received;

	if (!connection)
		return 0;
	sent = connection->end[DIRECTION_SEND];
	received = connection->end[DIRECTION_RECEIVE];
	if (connection->verdict == BOUND) {
		if (outlives_socket(connection, sk)) {
			bpf_map_delete_elem(&connections, &key);
			return 0;
		}
		/* Positions are those of the plaintext. */
		if (session_of(connection, key))
			bpf_map_delete_elem(&tls_sessions, &connection->session);
		if (connection->has_fin && !connection->is_finished[DIRECTION_RECEIVE])
			announce_finish(connection, DIRECTION_RECEIVE, received);
	} else {
		if (!connection->is_finished[DIRECTION_SEND])
			sent = position_of(connection, DIRECTION_SEND, sent_sequence(sk));
		received = position_of(connection, DIRECTION_RECEIVE, received_sequence(sk));
	}
	announce_close(connection, sent, received, connection->is_aborted ? FLAG_RESET : 0);
	bpf_map_delete_elem(&connections, &key);
	return 0;
}

/* After a read on a connection that has closed meanwhile: was it the last one? */
static __always_inline void end_if_read(struct connection *connection, struct sock *sk)
{
	if (connection->is_closed && !unread_bytes(sk))
		end_connection(connection, sk);
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/* From one call on one socket to records: find, decide, announce, copy. */
#ifndef QTAP_IO_H
#define QTAP_IO_H

#include "announce.h"
#include "capture.h"
#include "connections.h"
#include "evidence.h"
#include "processes.h"
#include "workspace.h"

/* Byte-by-byte senders: so many calls may stay undecided on one connection. */
#define MAX_UNDECIDED_CALLS 128
/* A message may begin with many short or empty buffers of a vector. */
#define MAX_PREFIX_BUFFERS 16
/* Of a ClientHello or ServerHello and what goes with it; those of post-quantum key exchange have about 2000. */
#define HANDSHAKE_BYTES 4096

/* An entry for a connection that is older than us. */
static __always_inline struct connection *adopt(struct transfer *transfer)
{
	struct sock *sk = transfer->socket.sk;
	struct connection *fresh = new_connection(CONTEXT_PROCESS);
	u64 key = (u64)sk;
	long refused;

	if (!fresh)
		return NULL;
	/*
	 * What was written is answered by a reset before the call returns: the
	 * connection has ended, and this is not another one. Its final positions
	 * tell that these bytes are missing.
	 */
	if (transfer->socket.is_tcp && BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE)
		return NULL;
	fresh->is_late = true;
	if (is_unwanted(sk, transfer->socket.family, ROLE_UNKNOWN)) {
		fresh->is_filtered = true;
		fresh->verdict = IGNORED;
	}
	if (transfer->socket.is_tcp) {
		u32 moved = transfer->bytes + transfer->bytes_after;
		bool is_send = transfer->direction == DIRECTION_SEND;

		fresh->base[DIRECTION_SEND] = sent_sequence(sk) - (is_send ? moved : 0);
		fresh->base[DIRECTION_RECEIVE] = received_sequence(sk) - (is_send ? 0 : moved);
		refused = bpf_map_update_elem(&connections, &key, fresh, BPF_NOEXIST);
		if (refused) {
			count(CONNECTIONS_REFUSED, 1);
			return NULL;
		}
		return bpf_map_lookup_elem(&connections, &key);
	}
	fresh->inode = transfer->socket.inode;
	refused = bpf_map_update_elem(&counted_connections, &key, fresh, BPF_ANY);
	if (refused) {
		count(CONNECTIONS_REFUSED, 1);
		return NULL;
	}
	return bpf_map_lookup_elem(&counted_connections, &key);
}

/* NULL when the socket is not followed, which is counted for those that could be. */
static __always_inline struct connection *find_connection(struct transfer *transfer)
{
	u64 key = (u64)transfer->socket.sk;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);

	if (connection) {
		transfer->socket.is_tcp = true;
		count_call(CALLS_SEEN, 1);
		return connection;
	}
	if (!describe_socket(&transfer->socket))
		return NULL;
	count_call(CALLS_SEEN, 1);
	if (!transfer->socket.is_tcp)
		connection = bpf_map_lookup_elem(&counted_connections, &key);
	if (connection && connection->inode != transfer->socket.inode) {
		/* Another socket has taken the address: the old one closed unseen. */
		announce_close(connection, connection->end[DIRECTION_SEND],
			       connection->end[DIRECTION_RECEIVE], FLAG_RESET);
		bpf_map_delete_elem(&counted_connections, &key);
		connection = NULL;
	}
	if (!connection)
		connection = adopt(transfer);
	if (!connection)
		count_call(CALLS_FILTERED, 1);
	return connection;
}

/* Position of the transfer's first byte; moves the connection's end. */
static __always_inline u64 advance(struct connection *connection, struct transfer *transfer)
{
	u8 direction = transfer->direction & 1;
	u64 position;
	u32 sequence;

	if (!transfer->socket.is_tcp)
		return __sync_fetch_and_add(&connection->end[direction], transfer->bytes);
	sequence = direction == DIRECTION_SEND ? sent_sequence(transfer->socket.sk) :
						 received_sequence(transfer->socket.sk);
	position = position_of(connection, direction,
			       sequence - (u32)(transfer->bytes + transfer->bytes_after));
	connection->end[direction] = position + transfer->bytes;
	return position;
}

/* Adds first bytes of one buffer to the prefix; returns how many. */
static __always_inline u64 extend_prefix(struct prefix *prefix, u64 from, u64 available)
{
	u64 used = prefix->used, bytes;

	if (used >= PREFIX_BYTES)
		return 0;
	bytes = PREFIX_BYTES - used;
	if (bytes > available)
		bytes = available;
	/* Hidden: the compiler can derive this bound and drop it, the verifier cannot. */
	asm volatile("" : "+r"(bytes));
	if (bytes > PREFIX_BYTES || bpf_probe_read_user(prefix->bytes + used, bytes, (void *)from))
		return 0;
	prefix->used = used + bytes;
	return bytes;
}

/* Adds first bytes of the transfer to the prefix; returns how many bytes were not looked at. */
static __always_inline u64 read_prefix(struct prefix *prefix, const struct transfer *transfer)
{
	u64 left = transfer->bytes;
	struct user_iovec next;

	if (!transfer->vector)
		return left - extend_prefix(prefix, transfer->buffer, left);
	for (u32 i = 0; i < MAX_PREFIX_BUFFERS; i++) {
		if (i >= transfer->vector_count || !left)
			break;
		if (bpf_probe_read_user(&next, sizeof(next),
					(void *)(transfer->vector + i * sizeof(next))))
			break;
		left -= extend_prefix(prefix, next.base, next.len < left ? next.len : left);
	}
	return left;
}

/* Looks at the transfer's first bytes and moves the connection's verdict. */
__noinline int decide(struct workspace *work, struct connection *connection)
{
	enum likeness like = LIKE_NOTHING;
	struct prefix *prefix;
	u64 unseen = 0;
	u8 direction;

	if (!work || !connection)
		return 0;
	prefix = &work->prefix;
	direction = work->transfer.direction & 1;
	prefix->used = 0;
	if (connection->verdict == UNDECIDED) {
		prefix->used = connection->prefix_bytes[direction];
		__builtin_memcpy(prefix->bytes, connection->prefix[direction], PREFIX_BYTES);
	}
	if (!work->transfer.is_length_only) {
		unseen = read_prefix(prefix, &work->transfer);
		like = classify(prefix);
	}
	switch (like) {
	case LIKE_HTTP1:
		connection->protocol = PROTOCOL_HTTP1;
		connection->verdict = WANTED;
		break;
	case LIKE_HTTP2:
	case LIKE_TLS:
		connection->protocol = like == LIKE_HTTP2 ? PROTOCOL_HTTP2 : PROTOCOL_TLS;
		connection->verdict = RECOGNISED;
		break;
	case LIKE_UNDECIDED:
		if (connection->verdict != UNDECIDED)
			break;
		if (unseen) {
			/* Out of reach, and the next call does not go on from here: fail open. */
			connection->verdict = WANTED;
			break;
		}
		__builtin_memcpy(connection->prefix[direction], prefix->bytes, PREFIX_BYTES);
		connection->prefix_bytes[direction] = prefix->used;
		if (++connection->undecided_calls >= MAX_UNDECIDED_CALLS)
			connection->verdict = OTHER;
		break;
	default:
		connection->verdict = OTHER;
	}
	return 0;
}

static __always_inline void prepare(struct workspace *work, const struct connection *connection,
				    u64 position)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct transfer *transfer = &work->transfer;
	struct copying *copy = &work->copying;
	u8 direction = transfer->direction & 1;

	__builtin_memset(copy, 0, sizeof(*copy));
	copy->connection = connection->id;
	copy->generation = connection->generation;
	copy->position = position;
	copy->remaining = transfer->bytes;
	if (!transfer->is_length_only && connection->copied[direction] < copy_budget_bytes)
		copy->budget = copy_budget_bytes - connection->copied[direction];
	copy->kind = KIND_DATA;
	copy->source = connection->source;
	copy->pid = task->tgid;
	copy->tid = task->pid;
	copy->flags = FLAG_BEGINS | lost_flag(connection, direction);
	if (connection->is_late)
		copy->flags |= FLAG_LATE;
	if (connection->skipped[direction])
		copy->flags |= FLAG_ADOPTED;
	if (transfer->vector) {
		copy->vector = transfer->vector;
		copy->vector_left = transfer->vector_count;
	} else {
		copy->buffer = transfer->buffer;
		copy->buffer_left = transfer->bytes;
	}
}

/* Returns the bytes that the ring refused. */
static __noinline u64 capture(struct workspace *work, struct connection *connection, u64 position)
{
	struct workspace *context = work;
	struct copying *copy;
	bool is_handshake;
	u8 direction;
	u64 budget;

	if (!connection || !work)
		return 0;
	copy = &work->copying;
	direction = work->transfer.direction & 1;
	is_handshake = connection->verdict == RECOGNISED || connection->verdict == BOUND;
	/* The other side has spoken since: a new message begins, and a new budget. */
	if (connection->last_direction != direction && !is_handshake) {
		connection->last_direction = direction;
		connection->copied[direction] = 0;
	}
	prepare(work, connection, position);
	if (is_handshake) {
		copy->kind = KIND_HANDSHAKE;
		copy->source = SOURCE_SOCKET;
		copy->position = connection->copied[direction];
		copy->budget = HANDSHAKE_BYTES - connection->copied[direction];
		if (copy->remaining > copy->budget)
			copy->remaining = copy->budget;
	}
	budget = copy->budget;
	if (!copy->vector && copy->remaining <= MAX_CHUNK_BYTES && copy->remaining <= budget) {
		/* The usual case, without the price of a loop. */
		copy_chunk(work, copy->remaining);
		copy->budget -= copy->remaining;
		copy->remaining = 0;
	} else if (budget) {
		bpf_loop(MAX_STEPS, copy_step, &context, 0);
		flush_gathered(work);
	}
	if (copy->remaining) {
		u8 reason = work->transfer.reason;

		if (!reason)
			reason = copy->budget ? REASON_UNREADABLE : REASON_BODY_LIMIT;
		submit_size(work, reason);
	}
	connection->copied[direction] += budget - copy->budget;
	connection->lost[direction] = !!(copy->flags & FLAG_LOST);
	if (copy->submitted)
		connection->skipped[direction] = false;
	if (copy->is_unreadable)
		count(CALLS_UNREADABLE, 1);
	return copy->refused_bytes;
}

/*
 * Bytes of a protocol that is recognised and not read. The first ones of a TLS
 * connection are the messages that tell the server's name, version and cipher.
 */
static __always_inline void on_recognised(struct workspace *work, struct connection *connection,
					  u64 position, bool is_nested)
{
	count_call(CALLS_FILTERED, 1);
	if (connection->protocol != PROTOCOL_TLS)
		return;
	if (has_probes && !is_nested && work->transfer.socket.is_tcp)
		weigh_socket(work, connection);
	if (connection->verdict != RECOGNISED)
		return; /* bound just now: these bytes are ciphertext of the session */
	if (!connection->is_late && connection->copied[work->transfer.direction & 1] < HANDSHAKE_BYTES)
		capture(work, connection, position);
}

/* Everything about one transfer on one socket. */
static __noinline int on_transfer(struct workspace *work)
{
	struct connection *connection;
	struct transfer *transfer;
	u64 position, generation, refused;
	bool is_nested;
	u8 direction;

	if (!work)
		return 0;
	transfer = &work->transfer;
	direction = transfer->direction & 1;
	connection = find_connection(transfer);
	if (!connection)
		return 0;
	is_nested = note_nested(connection, transfer->socket.sk, work->g);
	if (connection->verdict == IGNORED || connection->verdict == BOUND) {
		/* A session is bound within its handshake. */
		if (connection->verdict == BOUND && !connection->is_begun && !connection->is_late &&
		    connection->copied[direction] < HANDSHAKE_BYTES)
			capture(work, connection, 0);
		count_call(CALLS_FILTERED, 1);
		return 0;
	}
	position = advance(connection, transfer);
	if (connection->verdict == UNDECIDED || connection->verdict == OTHER)
		decide(work, connection);
	if (connection->verdict == OTHER) {
		connection->skipped[direction] = true;
		count_call(CALLS_FILTERED, 1);
		return 0;
	}
	if (connection->verdict == RECOGNISED && connection->is_announced) {
		on_recognised(work, connection, position, is_nested);
		return 0;
	}
	generation = generation_of(bpf_get_current_task_btf());
	if (connection->generation != generation && announce_process(transfer->time, generation, work->context))
		connection->generation = generation;
	if (!connection->is_announced &&
	    !announce_connection(connection, transfer->socket.sk, transfer->time)) {
		connection->lost[direction] = true;
		count_call(CALLS_REFUSED, 1);
		count_call(BYTES_REFUSED, transfer->bytes);
		return 0;
	}
	if (connection->verdict == RECOGNISED) {
		on_recognised(work, connection, position, is_nested);
		return 0;
	}
	refused = capture(work, connection, position);
	if (refused) {
		count_call(CALLS_REFUSED, 1);
		count_call(BYTES_REFUSED, refused);
	} else {
		count_call(CALLS_SUBMITTED, 1);
	}
	if (transfer->socket.is_tcp)
		end_if_read(connection, transfer->socket.sk);
	return 0;
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Which socket a session uses when the library never touches one: Node and
 * asyncio let it write to memory and send that themselves. The record layer
 * tells: n bytes of plaintext become one record whose length is n plus what
 * the cipher adds, on the same thread, right after the session's call for
 * sends and right before it for receives. One match is a suspicion, the
 * second one with the same socket and no contradiction is believed.
 */
#ifndef QTAP_EVIDENCE_H
#define QTAP_EVIDENCE_H

#include "sessions.h"
#include "tls_calls.h"
#include "workspace.h"

#define TLS_HEADER_BYTES 5
#define TLS_APPLICATION_DATA 0x17
#define MAX_PLAINTEXT_BYTES 16384 /* RFC 8446, section 5.1 */
/*
 * What ciphers add to a record: 16 (ChaCha20) or 24 (GCM) in TLS 1.2, 17 in
 * TLS 1.3, up to 80 for CBC with its vector, code and padding.
 */
#define MIN_ADDED_BYTES 16
#define MAX_ADDED_BYTES 80
#define NEEDED_MATCHES 2

struct thread_evidence {
	struct session_key writer; /* session that has written and not been matched */
	u64 probed_ns;
	u64 socket; /* that has received and whose connection it was */
	u64 connection;
	u32 written; /* plaintext bytes of the writer's call; 0 when there is none */
	u32 received[MAX_RECORDS_WEIGHED]; /* lengths of records; 0 when matched */
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct runner);
	__type(value, struct thread_evidence);
} evidence SEC(".maps");

_Static_assert(sizeof(struct thread_evidence) <= sizeof(((struct workspace *)0)->zeros),
	       "workspace.zeros is too small");

static __always_inline bool is_record_of(u32 record_bytes, u32 plaintext_bytes)
{
	if (plaintext_bytes > MAX_PLAINTEXT_BYTES)
		plaintext_bytes = MAX_PLAINTEXT_BYTES;
	return record_bytes >= plaintext_bytes + MIN_ADDED_BYTES &&
	       record_bytes <= plaintext_bytes + MAX_ADDED_BYTES;
}

/* The session seems to use the socket, which was this connection. */
static __always_inline int suspect(struct session_key *key, u64 socket, u64 id, u64 probed_ns)
{
	struct connection *session, *connection;

	if (!key)
		return 0;
	session = bpf_map_lookup_elem(&tls_sessions, key);
	if (!session || session->socket)
		return 0;
	connection = bpf_map_lookup_elem(&connections, &socket);
	if (!connection || connection->id != id || connection->verdict != RECOGNISED)
		return 0;
	if (session->candidate != id) {
		session->candidate = id;
		session->confidence = 0;
	}
	if (++session->confidence >= NEEDED_MATCHES)
		bind(session, key, socket, probed_ns);
	return 0;
}

/* Reads the headers of records that stand one after the other in the buffer. */
static __always_inline void read_records(u64 buffer, u64 bytes, u32 *lengths)
{
	u8 header[TLS_HEADER_BYTES];

	for (u32 i = 0; i < MAX_RECORDS_WEIGHED; i++) {
		u32 length;

		lengths[i] = 0;
		if (bytes < TLS_HEADER_BYTES ||
		    bpf_probe_read_user(header, sizeof(header), (void *)buffer))
			bytes = 0;
		if (!bytes || header[0] < 0x14 || header[0] > TLS_APPLICATION_DATA || header[1] != 3) {
			bytes = 0;
			continue;
		}
		length = header[3] << 8 | header[4];
		if (header[0] == TLS_APPLICATION_DATA)
			lengths[i] = length;
		length += TLS_HEADER_BYTES;
		buffer += length;
		bytes = bytes > length ? bytes - length : 0;
	}
}

/* Ciphertext passed a socket that no session is known to use. */
static __noinline int weigh_socket(struct workspace *work, struct connection *connection)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct runner runner = this_thread(task);
	struct thread_evidence *found;
	struct transfer *transfer;

	if (!work || !connection)
		return 0;
	transfer = &work->transfer;
	work->first.base = transfer->buffer;
	work->first.len = transfer->bytes;
	if (transfer->vector) {
		if (bpf_probe_read_user(&work->first, sizeof(work->first), (void *)transfer->vector))
			return 0;
		if (work->first.len > transfer->bytes)
			work->first.len = transfer->bytes;
	}
	found = bpf_map_lookup_elem(&evidence, &runner);
	if (transfer->direction == DIRECTION_SEND) {
		if (!found || !found->written)
			return 0;
		read_records(work->first.base, work->first.len, work->lengths);
		for (u32 i = 0; i < MAX_RECORDS_WEIGHED; i++) {
			if (!work->lengths[i] || !is_record_of(work->lengths[i], found->written))
				continue;
			found->written = 0;
			work->writer = found->writer;
			suspect(&work->writer, (u64)transfer->socket.sk, connection->id, found->probed_ns);
			break;
		}
		return 0;
	}
	read_records(work->first.base, work->first.len, work->lengths);
	if (!found) {
		bpf_map_update_elem(&evidence, &runner, work->zeros, BPF_ANY);
		found = bpf_map_lookup_elem(&evidence, &runner);
		if (!found)
			return 0;
	}
	/* What goes on with a record that began in an earlier call has no header. */
	if (!work->lengths[0] && found->connection == connection->id)
		return 0;
	found->socket = (u64)transfer->socket.sk;
	found->connection = connection->id;
	__builtin_memcpy(found->received, work->lengths, sizeof(work->lengths));
	return 0;
}

/* A session that is not bound has moved plaintext, without touching a socket. */
static __noinline int weigh_session(struct workspace *work, struct session_key *key, u64 bytes, u8 direction, u64 probed_ns)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct runner runner = this_thread(task);
	struct thread_evidence *found = bpf_map_lookup_elem(&evidence, &runner);

	if (!key || !work)
		return 0;
	if (!found) {
		bpf_map_update_elem(&evidence, &runner, work->zeros, BPF_ANY);
		found = bpf_map_lookup_elem(&evidence, &runner);
		if (!found)
			return 0;
	}
	if (direction == DIRECTION_SEND) {
		found->writer = *key;
		found->written = bytes;
		found->probed_ns = probed_ns;
		return 0;
	}
	for (u32 i = 0; i < MAX_RECORDS_WEIGHED; i++) {
		if (!found->received[i] || !is_record_of(found->received[i], bytes))
			continue;
		found->received[i] = 0;
		suspect(key, found->socket, found->connection, probed_ns);
		break;
	}
	return 0;
}

#endif

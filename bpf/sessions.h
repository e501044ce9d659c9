/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * A TLS session gives plaintext, a socket gives addresses. They are brought
 * together by what happens: a system call on a socket within a call of the
 * session (note_nested), or evidence (evidence.h). A session that is bound at
 * its first bytes takes the identity of the socket's connection; one that is
 * bound later keeps its own and gives it to the socket, and a bind record
 * tells. From then on the socket's own bytes are not looked at any more.
 */
#ifndef QTAP_SESSIONS_H
#define QTAP_SESSIONS_H

#include "announce.h"
#include "connections.h"

static __always_inline struct session_key session_key_of(u32 tgid, u64 pointer)
{
	return (struct session_key){ .pointer = pointer, .tgid = tgid };
}

/* The session; made at its first use. Its socket may have been another one before. */
static __noinline struct connection *find_session(struct session_key *key, u8 source, u64 generation, u32 context)
{
	struct connection *session, *fresh;

	if (!key)
		return NULL;
	session = bpf_map_lookup_elem(&tls_sessions, key);
	if (session && session->owner == generation)
		return session;
	fresh = new_connection(context);
	if (!fresh)
		return NULL;
	fresh->owner = generation;
	fresh->source = source;
	if (bpf_map_update_elem(&tls_sessions, key, fresh, BPF_ANY)) {
		count(CONNECTIONS_REFUSED, 1);
		return NULL;
	}
	return bpf_map_lookup_elem(&tls_sessions, key);
}

static __always_inline void announce_bind(const struct connection *session, u64 socket_id)
{
	void *ring = own_ring();
	struct record_bind *record;

	if (!ring)
		return;
	record = reserve(ring, sizeof(*record));
	if (!record)
		return;
	*record = (struct record_bind){
		.header = {
			.length = sizeof(*record),
			.kind = KIND_BIND,
			.cpu = bpf_get_smp_processor_id(),
			.time_ns = bpf_ktime_get_boot_ns(),
			.connection = session->id,
		},
		.socket = socket_id,
	};
	submit(ring, record, sizeof(*record));
}

/* The socket's entry, if the session is bound and both are still the same. */
static __always_inline struct connection *socket_of(const struct connection *session)
{
	struct connection *connection;
	u64 key = session->socket;

	if (!key)
		return NULL;
	connection = bpf_map_lookup_elem(&connections, &key);
	return connection && connection->verdict == BOUND && connection->id == session->id ? connection : NULL;
}

/* is_new: every byte of a session on a connection opened from now on is seen. */
static __noinline int bind(struct connection *session, struct session_key *key, u64 socket, u64 probed_ns)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &socket);

	if (!session || !key || !connection || session->socket == socket)
		return 0;
	session->socket = socket;
	session->role = connection->role;
	session->opened_ns = connection->opened_ns;
	if (!session->is_announced)
		session->is_late = !session->is_begun &&
				   (connection->is_late || !probed_ns || connection->opened_ns < probed_ns);
	if (connection->is_filtered) {
		session->verdict = IGNORED;
		return 0;
	}
	if (connection->verdict == BOUND || connection->protocol == PROTOCOL_HTTP1) {
		/* What was read of it until now, such as CONNECT, was another conversation. */
		announce_close(connection, connection->end[DIRECTION_SEND],
			       connection->end[DIRECTION_RECEIVE], 0);
		connection->id = session->id;
	} else if (session->is_announced) {
		if (connection->is_announced)
			announce_bind(session, connection->id);
		connection->id = session->id;
	} else {
		session->id = connection->id;
	}
	connection->verdict = BOUND;
	connection->source = session->source;
	connection->session = *key;
	connection->end[DIRECTION_SEND] = session->end[DIRECTION_SEND];
	connection->end[DIRECTION_RECEIVE] = session->end[DIRECTION_RECEIVE];
	connection->has_fin = connection->is_finished[DIRECTION_RECEIVE];
	connection->is_finished[DIRECTION_SEND] = false;
	connection->is_finished[DIRECTION_RECEIVE] = false;
	if (session->is_announced) {
		connection->is_announced = true;
		announce_connection(session, (struct sock *)socket, bpf_ktime_get_boot_ns());
	}
	return 0;
}

/* The library has forgotten the session. */
static __always_inline void end_session(struct session_key *key)
{
	struct connection *session = bpf_map_lookup_elem(&tls_sessions, key);
	struct connection *connection;

	if (!session)
		return;
	connection = socket_of(session);
	if (!connection) {
		if (session->has_fin && !session->is_finished[DIRECTION_RECEIVE])
			announce_finish(session, DIRECTION_RECEIVE, session->end[DIRECTION_RECEIVE]);
		announce_close(session, session->end[DIRECTION_SEND], session->end[DIRECTION_RECEIVE],
			       session->is_aborted ? FLAG_RESET : 0);
	}
	bpf_map_delete_elem(&tls_sessions, key);
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * A connection is its struct sock. An entry is made when a TCP connection is
 * established, or at the first bytes of one that is older than us (FLAG_LATE),
 * and is removed when it has closed and nothing is left to read. Unix sockets have no such event: theirs live
 * in a map of their own that forgets the least recently used, and the inode
 * number tells whether the address still is the same socket.
 *
 *             first bytes               user space says ignore
 *   UNDECIDED ----------> WANTED  ---------------------------> IGNORED
 *       |                   ^                                     ^
 *       |                   | a call begins like a message        | filter
 *       +-------------->  OTHER                              (establishment)
 *       +-------------->  RECOGNISED (HTTP/2, TLS: announced, not copied)
 *                             |
 *                             | a TLS session is found to use it
 *                             +--> BOUND (the session gives the bytes)
 *
 * A TLS session is a connection too, whose bytes are plaintext; see sessions.h.
 */
#ifndef QTAP_CONNECTIONS_H
#define QTAP_CONNECTIONS_H

#include "classify.h"
#include "contexts.h"
#include "counters.h"
#include "event.h"
#include "settings.h"
#include "sockets.h"

enum verdict {
	UNDECIDED = 0,
	WANTED = 1,
	RECOGNISED = 2,
	OTHER = 3,
	IGNORED = 4,
	BOUND = 5,
};

/* A TLS session is what the library's functions take as their first argument. */
struct session_key {
	u64 pointer;
	u32 tgid;
	u32 pad;
};

struct connection {
	u64 id;
	u64 opened_ns; /* 0 when it is older than us */
	u64 inode; /* Unix and MPTCP only */
	u64 generation; /* of the process that was last announced on it */
	u64 end[2]; /* position after the last byte seen, per direction */
	u64 copied[2]; /* bytes copied since the other direction was last seen */
	u64 socket; /* of a session: struct sock, 0 while it is not known */
	u64 owner; /* of a session: generation of the process that made it */
	u64 ended_ns; /* of a session: when its socket closed, which it outlives; 0 before */
	u64 candidate; /* of a session: connection that the evidence speaks for */
	struct session_key session; /* of a BOUND socket */
	u32 base[2]; /* TCP sequence number of position 0, per direction */
	u8 prefix[2][PREFIX_BYTES]; /* first bytes, while undecided */
	u8 prefix_bytes[2];
	u8 lost[2]; /* a record was refused since the last one delivered */
	u8 skipped[2]; /* bytes were not submitted because they were not of interest */
	u8 verdict;
	u8 role;
	u8 protocol;
	u8 last_direction;
	u8 undecided_calls;
	u8 is_late;
	u8 is_announced; /* the open record was submitted */
	u8 is_finished[2]; /* the finish record was submitted */
	u8 is_closed; /* closed with bytes that the application can still read */
	u8 is_aborted; /* the end was not an orderly one */
	u8 is_filtered; /* IGNORED by the settings, not by user space */
	u8 source;
	u8 confidence; /* in the candidate: matches so far */
	u8 has_fin; /* BOUND, or a session whose socket has closed: the peer has finished its direction */
	u8 calls_outside; /* without a TLS call around them */
	u8 is_begun; /* of a session: its handshake was seen; of a BOUND socket: plaintext moved */
	u8 pad[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536); /* set from limits.connections */
	__type(key, u64); /* address of the struct sock */
	__type(value, struct connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct connection);
} counted_connections SEC(".maps");

/* Forgets the least recently used: the end of a session without a socket may be missed. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536); /* set from limits.connections */
	__type(key, struct session_key);
	__type(value, struct connection);
} tls_sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} connection_ids SEC(".maps");

/* A value for map updates: too large for the stack of some callers. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NUM_CONTEXTS);
	__type(key, u32);
	__type(value, struct connection);
} new_connections SEC(".maps");

/* Unique while the programs are loaded: a count per CPU, with the CPU. */
static __always_inline u64 next_connection_id(void)
{
	u32 zero = 0;
	u64 *last = bpf_map_lookup_elem(&connection_ids, &zero);

	if (!last)
		return 0;
	return (__sync_fetch_and_add(last, 1) + 1) << 12 | (bpf_get_smp_processor_id() & 0xfff);
}

static __always_inline bool is_unwanted(const struct sock *sk, u16 family, u8 role)
{
	u8 local[16] = {}, remote[16] = {};

	if (role == ROLE_CLIENT && ignore_clients)
		return true;
	if (role == ROLE_SERVER && ignore_servers)
		return true;
	if (!ignore_loopback || family == AF_UNIX)
		return false;
	read_addresses(sk, family, local, remote);
	return is_loopback(family, local) && is_loopback(family, remote);
}

/* The caller sets base and opened_ns. */
static __always_inline struct connection *new_connection(u32 context)
{
	u32 index = context;
	struct connection *fresh = bpf_map_lookup_elem(&new_connections, &index);

	if (!fresh)
		return NULL;
	__builtin_memset(fresh, 0, sizeof(*fresh));
	fresh->id = next_connection_id();
	/* Neither direction, so that the first bytes begin a budget. */
	fresh->last_direction = 0xff;
	return fresh;
}

/*
 * The position of a sequence number. Positions are 64 bits wide; their low 32
 * are the distance from the base, the rest comes from the nearest position
 * seen before, so a stream may be longer than 4 GiB.
 */
static __always_inline u64 position_of(const struct connection *connection, u8 direction, u32 sequence)
{
	u64 near = connection->end[direction];

	return near + (s64)(s32)(sequence - connection->base[direction] - (u32)near);
}

#endif

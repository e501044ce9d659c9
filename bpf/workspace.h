/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * What one system call is worked on with. It lives in a map because it is too
 * large for the stack, and because the verifier follows every value on the
 * stack through every turn of a loop, and gives up; it knows nothing of values
 * in a map and therefore has nothing to follow.
 *
 * One per context, see contexts.h.
 */
#ifndef QTAP_WORKSPACE_H
#define QTAP_WORKSPACE_H

#include "classify.h"
#include "connections.h"
#include "contexts.h"
#include "event.h"
#include "sockets.h"

#define GATHER_BYTES 4096
#define GATHER_SMALL_BYTES 2048
#define MAX_RECORDS_WEIGHED 6

/* What one call, or one message of sendmmsg and recvmmsg, moved. */
struct transfer {
	struct socket_view socket;
	u64 time;
	u64 bytes;
	u64 bytes_after; /* moved by the same call after these */
	u64 buffer; /* user address, or 0 */
	u64 vector; /* user address, or 0 */
	u64 vector_count;
	u8 direction;
	u8 is_length_only;
	u8 reason;
};

/* A transfer on its way into the ring. */
struct copying {
	u64 connection;
	u64 generation;
	u64 position; /* of the next byte */
	u64 remaining; /* bytes moved that have no record yet */
	u64 budget; /* bytes that may still be copied */
	u64 buffer; /* user address of the next byte in the current buffer */
	u64 buffer_left;
	u64 vector; /* user address of the next struct iovec */
	u64 vector_left;
	u64 refused_bytes;
	u64 submitted;
	u32 gathered;
	u32 pid;
	u32 tid;
	u8 flags; /* of the next record */
	u8 kind;
	u8 source;
	u8 is_unreadable;
};

/* The small buffers of a vector, until they are one record. */
struct gather_buffer {
	struct record_data record;
	/* A piece is placed at or below GATHER_BYTES - GATHER_SMALL_BYTES. */
	u8 payload[GATHER_BYTES];
};

struct workspace {
	u32 context;
	u32 is_claimed; /* by a probe */
	struct transfer transfer;
	struct prefix prefix;
	struct copying copying;
	struct user_iovec first; /* buffer of a call whose records are weighed */
	struct session_key writer; /* of what they may be */
	u32 lengths[MAX_RECORDS_WEIGHED]; /* of those records */
	u8 zeros[96]; /* a value for map updates; the stack has no room for it on Linux 6.1 */
	u64 g; /* what a Go program has in the register of its goroutine */
	u64 messages; /* user address of the next struct mmsghdr */
	u64 messages_bytes; /* what the messages that are left moved */
	struct gather_buffer gather;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NUM_CONTEXTS);
	__type(key, u32);
	__type(value, struct workspace);
} workspaces SEC(".maps");

static __always_inline struct workspace *own_workspace(void)
{
	u32 index = CONTEXT_PROCESS;

	return bpf_map_lookup_elem(&workspaces, &index);
}

/* Of a probe, which gives it back; NULL when too many are at work on this CPU. */
static __noinline struct workspace *claim_workspace(void)
{
	for (u32 index = CONTEXT_PROBE; index < NUM_CONTEXTS; index++) {
		u32 key = index;
		struct workspace *work = bpf_map_lookup_elem(&workspaces, &key);

		if (work && !__sync_val_compare_and_swap(&work->is_claimed, 0, 1)) {
			work->context = index;
			return work;
		}
	}
	return NULL;
}

static __always_inline void give_back(struct workspace *work)
{
	__sync_lock_test_and_set(&work->is_claimed, 0);
}

#endif

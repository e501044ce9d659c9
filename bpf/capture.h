/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Copies what one call moved into the ring, in records that each carry their
 * position. A buffer of the caller is copied straight into a reserved record
 * of the smallest class that holds it, so that a small message does not take
 * a large place; reserved sizes must be constants. The small buffers of a
 * vector (a chunk size, a header line) are gathered into one record first.
 */
#ifndef QTAP_CAPTURE_H
#define QTAP_CAPTURE_H

#include "connections.h"
#include "rings.h"
#include "workspace.h"

#define MAX_CHUNK_BYTES 16384
/* A vector has at most UIO_MAXIOV (1024) buffers. */
#define MAX_STEPS 262144

static __always_inline void fill_record(struct record_data *record, const struct workspace *work,
					u64 position, u32 size, u32 captured, u8 reason)
{
	const struct copying *copy = &work->copying;

	record->header = (struct record_header){
		.length = sizeof(*record) + captured,
		.kind = copy->kind,
		.flags = copy->flags,
		.cpu = bpf_get_smp_processor_id(),
		.time_ns = work->transfer.time,
		.connection = copy->connection,
		.generation = copy->generation,
		.pid = copy->pid,
		.tid = copy->tid,
	};
	record->position = position;
	record->size = size;
	record->captured = captured;
	record->direction = work->transfer.direction;
	record->source = copy->source;
	record->reason = reason;
	__builtin_memset(record->pad, 0, sizeof(record->pad));
}

/* What follows a record that went in, or one that did not. */
static __always_inline void account(struct copying *copy, bool is_submitted, u64 bytes)
{
	if (is_submitted) {
		copy->flags = 0;
		copy->submitted++;
	} else {
		copy->flags |= FLAG_LOST;
		copy->refused_bytes += bytes;
	}
}

#define DEFINE_COPY_CLASS(class_bytes)                                                          \
	static __noinline int copy_##class_bytes(struct workspace *work, u32 bytes)             \
	{                                                                                       \
		struct {                                                                        \
			struct record_data record;                                              \
			u8 payload[class_bytes];                                                \
		} *place;                                                                       \
		struct copying *copy;                                                           \
		void *ring = own_ring();                                                        \
		bool is_read;                                                                   \
                                                                                                \
		if (!ring || !work)                                                             \
			return 0;                                                               \
		copy = &work->copying;                                                          \
		if (bytes > class_bytes)                                                        \
			bytes = class_bytes;                                                    \
		place = reserve(ring, sizeof(*place));                                          \
		if (!place) {                                                                   \
			account(copy, false, bytes);                                            \
			return 0;                                                               \
		}                                                                               \
		is_read = !bpf_probe_read_user(place->payload, bytes, (void *)copy->buffer);    \
		if (!is_read)                                                                   \
			copy->is_unreadable = true;                                             \
		fill_record(&place->record, work, copy->position, bytes, is_read ? bytes : 0,   \
			    is_read ? REASON_NONE : REASON_UNREADABLE);                         \
		submit(ring, place, sizeof(*place));                                            \
		account(copy, true, bytes);                                                     \
		return 0;                                                                       \
	}

DEFINE_COPY_CLASS(256)
DEFINE_COPY_CLASS(1024)
DEFINE_COPY_CLASS(4096)
DEFINE_COPY_CLASS(16384)

/* Copies at most MAX_CHUNK_BYTES from the current buffer. */
static __always_inline void copy_chunk(struct workspace *work, u32 bytes)
{
	if (bytes <= 256)
		copy_256(work, bytes);
	else if (bytes <= 1024)
		copy_1024(work, bytes);
	else if (bytes <= 4096)
		copy_4096(work, bytes);
	else
		copy_16384(work, bytes);
}

static __noinline int flush_gathered(struct workspace *work)
{
	struct copying *copy;
	u32 bytes;

	if (!work)
		return 0;
	copy = &work->copying;
	bytes = copy->gathered;
	if (!bytes || bytes > GATHER_BYTES)
		return 0;
	/* The gathered bytes are the ones just before the current position. */
	fill_record(&work->gather.record, work, copy->position - bytes, bytes, bytes, REASON_NONE);
	account(copy, submit_copy(&work->gather, sizeof(work->gather.record) + bytes), bytes);
	copy->gathered = 0;
	return 0;
}

/* Adds a small buffer of a vector; false when it could not be read. */
static __noinline int gather_piece(struct workspace *work, u32 bytes)
{
	struct copying *copy;
	u32 used;

	if (!work)
		return 0;
	copy = &work->copying;
	if (copy->gathered > GATHER_BYTES - GATHER_SMALL_BYTES)
		flush_gathered(work);
	used = copy->gathered;
	if (used > GATHER_BYTES - GATHER_SMALL_BYTES || bytes > GATHER_SMALL_BYTES)
		return 0;
	if (bpf_probe_read_user(&work->gather.payload[used], bytes, (void *)copy->buffer))
		return 0;
	copy->gathered = used + bytes;
	return 1;
}

/* One turn of the loop: takes the next buffer, or copies the next piece of it. */
static long copy_step(u32 turn, struct workspace **context)
{
	struct workspace *work = *context;
	struct copying *copy = &work->copying;
	struct user_iovec next;
	u64 bytes;

	if (!copy->remaining || !copy->budget)
		return 1;
	if (!copy->buffer_left) {
		if (!copy->vector_left)
			return 1;
		if (bpf_probe_read_user(&next, sizeof(next), (void *)copy->vector))
			return 1;
		copy->vector += sizeof(next);
		copy->vector_left--;
		copy->buffer = next.base;
		copy->buffer_left = next.len;
		return 0;
	}
	bytes = copy->buffer_left;
	if (bytes > copy->remaining)
		bytes = copy->remaining;
	if (bytes > copy->budget)
		bytes = copy->budget;
	if (bytes > MAX_CHUNK_BYTES)
		bytes = MAX_CHUNK_BYTES;
	if (!copy->vector || bytes > GATHER_SMALL_BYTES || !gather_piece(work, bytes)) {
		flush_gathered(work);
		copy_chunk(work, bytes);
	}
	copy->position += bytes;
	copy->remaining -= bytes;
	copy->budget -= bytes;
	copy->buffer += bytes;
	copy->buffer_left -= bytes;
	return 0;
}

/*
 * A record without bytes: what the call moved beyond what was copied. It is
 * made where the gathered bytes were, which have gone by then.
 */
static __always_inline void submit_size(struct workspace *work, u8 reason)
{
	struct copying *copy = &work->copying;
	struct record_data *record = &work->gather.record;

	fill_record(record, work, copy->position, copy->remaining, 0, reason);
	account(copy, submit_copy(record, sizeof(*record)), copy->remaining);
	copy->position += copy->remaining;
	copy->remaining = 0;
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Transport to user space: several ring buffers, a CPU always uses the same
 * one, so that records of one CPU stay in order and CPUs seldom share a lock.
 *
 * A wake-up per record would cost more than everything else here together, so
 * a record only wakes the reader when it carries the ring over a fill level.
 * The reader also looks by itself every few milliseconds.
 */
#ifndef QTAP_RINGS_H
#define QTAP_RINGS_H

#include "counters.h"
#include "event.h"
#include "settings.h"

#define MAX_RINGS 64

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* the real size is set when the rings are made */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_RINGS);
	__type(key, u32);
	__array(values, struct ring);
} rings SEC(".maps");

static __always_inline void *own_ring(void)
{
	u32 index = bpf_get_smp_processor_id() & (ring_count - 1);

	return bpf_map_lookup_elem(&rings, &index);
}

/* A place for a record; NULL when the ring is full. */
static __always_inline void *reserve(void *ring, u64 bytes)
{
	void *place = bpf_ringbuf_reserve(ring, bytes, 0);

	/* First of all: Linux 6.1 loses track of a place that is not tested at once. */
	if (!place) {
		count(RECORDS_REFUSED, 1);
		return NULL;
	}
	count(RECORDS_SUBMITTED, 1);
	return place;
}

/* Of the record that carries a ring which held so much over the fill level. */
static __always_inline u64 wakeup_flags(u64 held, u64 record_bytes)
{
	return held < wakeup_bytes && held + record_bytes >= wakeup_bytes ? BPF_RB_FORCE_WAKEUP :
									    BPF_RB_NO_WAKEUP;
}

/* Submits a record in its place, which the ring holds already. */
static __always_inline void submit(void *ring, void *place, u64 bytes)
{
	u64 held = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);

	bpf_ringbuf_submit(place, wakeup_flags(held - bytes, bytes));
}

/* Copies a finished record into the ring; false when the ring is full. */
static __always_inline bool submit_copy(void *record, u64 bytes)
{
	void *ring = own_ring();
	u64 held;

	if (!ring)
		return false;
	held = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	if (bpf_ringbuf_output(ring, record, bytes, wakeup_flags(held, bytes))) {
		count(RECORDS_REFUSED, 1);
		return false;
	}
	count(RECORDS_SUBMITTED, 1);
	return true;
}

#endif

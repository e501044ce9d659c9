/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Counts per CPU, in the order of event.Counter. Calls reconcile:
 * seen = submitted + filtered + refused.
 */
#ifndef QTAP_COUNTERS_H
#define QTAP_COUNTERS_H

enum counter {
	CALLS_SEEN,
	CALLS_SUBMITTED,
	CALLS_FILTERED,
	CALLS_REFUSED,
	BYTES_REFUSED,
	RECORDS_SUBMITTED,
	RECORDS_REFUSED,
	CONNECTIONS_REFUSED,
	CALLS_32BIT,
	CALLS_UNREADABLE,
	SIGHTINGS_REFUSED,
	NUM_COUNTERS,
};

const enum counter *unused_counter __attribute__((unused));

struct counts {
	u64 values[NUM_COUNTERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counts);
} counters SEC(".maps");

static __always_inline struct counts *own_counts(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

/* For counts that both programs keep: an interrupt may count in between. */
static __always_inline void count(enum counter which, u64 amount)
{
	struct counts *counts = own_counts();

	if (counts)
		__sync_fetch_and_add(&counts->values[which], amount);
}

/*
 * For counts that only the system call program keeps: it is never nested in
 * itself on one CPU, and a locked addition costs as much as a map lookup.
 */
static __always_inline void count_call(enum counter which, u64 amount)
{
	struct counts *counts = own_counts();

	if (counts)
		counts->values[which] += amount;
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Large values live in per-CPU maps with one entry per context that can be
 * active on a CPU at the same time: the system call program and the state
 * change program run with preemption off, the second may interrupt the first.
 * A probe of uprobe.multi only stays on its CPU; others may run there before
 * it ends, so each claims an entry of its own.
 */
#ifndef QTAP_CONTEXTS_H
#define QTAP_CONTEXTS_H

#define MAX_PROBES_PER_CPU 4

enum context {
	CONTEXT_PROCESS = 0,
	CONTEXT_STATE_CHANGE = 1,
	CONTEXT_PROBE = 2, /* and those after it */
	NUM_CONTEXTS = CONTEXT_PROBE + MAX_PROBES_PER_CPU,
};

#endif

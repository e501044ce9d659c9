/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Tells user space of executable files that processes begin to use, once per
 * file: a new libssl is probed before its first handshake is over, and a
 * process that starts from known files costs two map lookups.
 */
#ifndef QTAP_SIGHTINGS_H
#define QTAP_SIGHTINGS_H

#include "counters.h"
#include "sockets.h"
#include "syscalls.h"

#define PROT_EXEC 4 /* include/uapi/asm-generic/mman-common.h */
#define MAP_ANONYMOUS 0x20

struct sighting {
	u64 inode;
	u64 device; /* super_block.s_dev */
	u32 pid;
	u32 is_exec;
};

const struct sighting *unused_sighting __attribute__((unused));

struct file_key {
	u64 inode;
	u64 device;
};

/* The value tells a file from an earlier one with the same inode number. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct file_key);
	__type(value, u64);
} seen_files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
} sightings SEC(".maps");

/* Time of the last change of the inode, ns modulo 2^64. */
static __always_inline u64 changed_ns(struct inode *inode)
{
	struct inode___before_6_13 *old = (void *)inode;
	struct inode___before_6_6 *older = (void *)inode;

	if (bpf_core_field_exists(inode->i_ctime_sec))
		return BPF_CORE_READ(inode, i_ctime_sec) * 1000000000ULL + BPF_CORE_READ(inode, i_ctime_nsec);
	if (bpf_core_field_exists(old->__i_ctime))
		return BPF_CORE_READ(old, __i_ctime.tv_sec) * 1000000000ULL + BPF_CORE_READ(old, __i_ctime.tv_nsec);
	return BPF_CORE_READ(older, i_ctime.tv_sec) * 1000000000ULL + BPF_CORE_READ(older, i_ctime.tv_nsec);
}

static __noinline int sight(struct file *file, bool is_exec)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sighting *sighting;
	struct file_key key = {};
	struct inode *inode;
	u64 changed, *seen;

	if (!file)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	if (!inode)
		return 0;
	key.inode = BPF_CORE_READ(inode, i_ino);
	key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	changed = changed_ns(inode);
	seen = bpf_map_lookup_elem(&seen_files, &key);
	if (seen && *seen == changed)
		return 0;
	sighting = bpf_ringbuf_reserve(&sightings, sizeof(*sighting), 0);
	if (!sighting) {
		count(SIGHTINGS_REFUSED, 1); /* not noted as seen: the next use tells again */
		return 0;
	}
	sighting->inode = key.inode;
	sighting->device = key.device;
	sighting->pid = task->tgid;
	sighting->is_exec = is_exec;
	bpf_ringbuf_submit(sighting, BPF_RB_FORCE_WAKEUP);
	bpf_map_update_elem(&seen_files, &key, &changed, BPF_ANY);
	return 0;
}

static __always_inline int on_mapped(struct pt_regs *regs)
{
	if (!(argument_3(regs) & PROT_EXEC) || argument_4(regs) & MAP_ANONYMOUS)
		return 0;
	return sight(file_of(bpf_get_current_task_btf(), argument_5(regs)), false);
}

#endif

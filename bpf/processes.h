/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Who moves the bytes. A process is described once, in its own context at its
 * first traffic: nothing is lost for processes that live for milliseconds, and
 * processes without traffic cost nothing. exec and PID reuse change the
 * generation, so they are described anew.
 */
#ifndef QTAP_PROCESSES_H
#define QTAP_PROCESSES_H

#include "contexts.h"
#include "event.h"
#include "rings.h"

#define NAME_BYTES 256 /* NAME_MAX and its NUL */
#define NAMES_BYTES 1536
#define MAX_PATH_NAMES 48 /* and mounts that are crossed */
#define MAX_CGROUP_NAMES 8

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32); /* thread group */
	__type(value, u64); /* generation that was announced */
} announced_processes SEC(".maps");

/* The walk's state stands in the map too, for the reason given in workspace.h. */
struct process_buffer {
	struct dentry *dentry;
	struct vfsmount *mount;
	struct kernfs_node *group;
	u64 used; /* bytes of names */
	u64 is_at_root;
	struct record_process record;
	/* A name is placed only below NAMES_BYTES, so the last one always fits. */
	char names[NAMES_BYTES + NAME_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NUM_CONTEXTS);
	__type(key, u32);
	__type(value, struct process_buffer);
} process_buffers SEC(".maps");

/*
 * Differs for processes that had the same PID one after the other, and for the
 * images of one process: start in ns, which cannot be so close for two of the
 * same PID, plus the count of execs.
 */
static __always_inline u64 generation_of(struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;

	return leader->start_boottime + task->self_exec_id;
}

static __always_inline void append_name(struct process_buffer *buffer, const void *name)
{
	u64 used = buffer->used;
	long bytes;

	if (used >= NAMES_BYTES)
		return;
	bytes = bpf_probe_read_kernel_str(&buffer->names[used], NAME_BYTES, name);
	if (bytes > 1)
		buffer->used = used + bytes;
}

/* One step from the executable towards the root of its mount namespace. */
static long climb_path(u32 turn, struct process_buffer **context)
{
	struct process_buffer *buffer = *context;
	struct vfsmount *vfsmount = buffer->mount;
	struct dentry *dentry = buffer->dentry, *parent;
	u64 offset = bpf_core_field_offset(struct mount, mnt);

	if (dentry == BPF_CORE_READ(vfsmount, mnt_root)) {
		struct mount *mount = (void *)vfsmount - offset;
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (above == mount) {
			buffer->is_at_root = true;
			return 1;
		}
		buffer->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		buffer->mount = (void *)above + offset;
		return 0;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	if (dentry == parent) {
		buffer->is_at_root = true; /* of a file system that is not mounted, like memfd */
		return 1;
	}
	append_name(buffer, BPF_CORE_READ(dentry, d_name.name));
	buffer->dentry = parent;
	return 0;
}

static __always_inline void append_executable(struct process_buffer *buffer, struct task_struct *task)
{
	struct process_buffer *context = buffer;
	struct mm_struct *mm = task->mm;
	struct file *exe;

	if (!mm)
		return;
	exe = BPF_CORE_READ(mm, exe_file);
	if (!exe)
		return;
	buffer->dentry = BPF_CORE_READ(exe, f_path.dentry);
	buffer->mount = BPF_CORE_READ(exe, f_path.mnt);
	buffer->is_at_root = false;
	bpf_loop(MAX_PATH_NAMES, climb_path, &context, 0);
	/* A path that lacks its beginning names another file: better none. */
	if (!buffer->is_at_root || buffer->used >= NAMES_BYTES)
		buffer->used = 0;
}

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *node)
{
	struct kernfs_node___before_6_15 *old = (void *)node;

	if (bpf_core_field_exists(old->parent))
		return BPF_CORE_READ(old, parent);
	return BPF_CORE_READ(node, __parent);
}

/* One step from the control group towards the root, which has no name. */
static long climb_groups(u32 turn, struct process_buffer **context)
{
	struct process_buffer *buffer = *context;
	struct kernfs_node *node = buffer->group;
	struct kernfs_node *parent = parent_of(node);

	if (!parent)
		return 1;
	append_name(buffer, BPF_CORE_READ(node, name));
	buffer->group = parent;
	return 0;
}

static __always_inline void append_groups(struct process_buffer *buffer, struct cgroup *cgroup)
{
	struct process_buffer *context = buffer;

	buffer->group = BPF_CORE_READ(cgroup, kn);
	bpf_loop(MAX_CGROUP_NAMES, climb_groups, &context, 0);
}

/*
 * Version 1 hierarchies are one per controller; container runtimes use all of
 * them alike, so one that every kernel with containers has is enough.
 */
static __always_inline struct cgroup *cgroup_v1_of(struct css_set *groups)
{
	u32 index;
	struct cgroup_subsys_state *state = NULL;

	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		index = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	else if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		index = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	else
		return NULL;
	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)groups + bpf_core_field_offset(struct css_set, subsys) +
				      index * sizeof(state));
	if (!state)
		return NULL;
	return BPF_CORE_READ(state, cgroup);
}

/* Makes sure that the current process is described; false when it was refused. */
static __noinline bool announce_process(u64 time, u64 generation, u32 context)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 tgid = task->tgid;
	u64 *known = bpf_map_lookup_elem(&announced_processes, &tgid);
	struct record_process *record;
	struct process_buffer *buffer;
	struct css_set *groups;
	struct cgroup *v1, *v2;
	u64 names;

	if (known && *known == generation)
		return true;
	buffer = bpf_map_lookup_elem(&process_buffers, &context);
	if (!buffer)
		return false;
	record = &buffer->record;
	__builtin_memset(record, 0, sizeof(*record));
	buffer->used = 0;
	append_executable(buffer, task);
	record->exe_bytes = buffer->used;
	groups = task->cgroups;
	if (groups) {
		v2 = BPF_CORE_READ(groups, dfl_cgrp);
		append_groups(buffer, v2);
		record->v2_bytes = buffer->used - record->exe_bytes;
		v1 = cgroup_v1_of(groups);
		/* In a pure version 2 system the controller is on the same tree. */
		if (v1 && v1 != v2)
			append_groups(buffer, v1);
		record->v1_bytes = buffer->used - record->exe_bytes - record->v2_bytes;
	}
	names = buffer->used;
	if (names > sizeof(buffer->names))
		return false;
	record->header = (struct record_header){
		.length = sizeof(*record) + names,
		.kind = KIND_PROCESS,
		.cpu = bpf_get_smp_processor_id(),
		.time_ns = time,
		.generation = generation,
		.pid = tgid,
		.tid = task->pid,
	};
	record->uid = BPF_CORE_READ(task, cred, euid.val);
	record->ppid = BPF_CORE_READ(task, real_parent, tgid);
	BPF_CORE_READ_STR_INTO(&record->comm, task, group_leader, comm);
	if (!submit_copy(record, sizeof(*record) + names))
		return false;
	bpf_map_update_elem(&announced_processes, &tgid, &generation, BPF_ANY);
	return true;
}

#endif

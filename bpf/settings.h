/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/* What user space decides: constants at load, and what it learns at attach. */
#ifndef QTAP_SETTINGS_H
#define QTAP_SETTINGS_H

/* Bytes copied per direction until the other side speaks again. */
volatile const u64 copy_budget_bytes = 64 * 1024;
/* Number of rings in the map `rings`; at least 1, a power of two. */
volatile const u32 ring_count = 1;
/* A ring that holds this much wakes its reader at once. */
volatile const u64 wakeup_bytes = 64 * 1024;
volatile const bool ignore_loopback = false;
/* Roles whose connections are not wanted; role unknown is always wanted. */
volatile const bool ignore_clients = false;
volatile const bool ignore_servers = false;

/*
 * Written once by the program `learn`, before anything is attached: our own
 * process as the initial PID namespace numbers it (a container's getpid() is
 * something else), and the address of the kernel's socket_file_ops. Comparing
 * file->f_op with it is one read instead of two (inode, mode), and needs no
 * kallsyms, which hide addresses from processes without CAP_SYSLOG.
 */
u32 own_tgid;
/* Set while anything is probed: without, no socket has a session. */
bool has_probes;
u64 socket_file_ops;

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The records that user space reads. The Go side is internal/event; a test
 * compares sizes and offsets through the object's BTF.
 */
#ifndef QTAP_EVENT_H
#define QTAP_EVENT_H

enum record_kind {
	KIND_OPEN = 1,
	KIND_DATA = 2,
	KIND_FINISH = 3,
	KIND_CLOSE = 4,
	KIND_PROCESS = 5,
	/* 6 and 7 are made in user space */
	KIND_BIND = 8,
	KIND_HANDSHAKE = 9, /* laid out like KIND_DATA */
};

enum record_flag {
	FLAG_LATE = 1 << 0,
	FLAG_ADOPTED = 1 << 1,
	FLAG_LOST = 1 << 2,
	FLAG_RESET = 1 << 3,
	FLAG_BEGINS = 1 << 4,
};

enum direction {
	DIRECTION_SEND = 0,
	DIRECTION_RECEIVE = 1,
};

enum role {
	ROLE_UNKNOWN = 0,
	ROLE_CLIENT = 1,
	ROLE_SERVER = 2,
};

enum protocol {
	PROTOCOL_UNKNOWN = 0,
	PROTOCOL_HTTP1 = 1,
	PROTOCOL_HTTP2 = 2,
	PROTOCOL_TLS = 3,
};

enum reason {
	REASON_NONE = 0,
	REASON_BODY_LIMIT = 1,
	REASON_SENDFILE = 2,
	REASON_UNREADABLE = 3,
};

enum capture_source {
	SOURCE_SOCKET = 0,
	SOURCE_OPENSSL = 1,
	SOURCE_GO = 2,
	SOURCE_GNUTLS = 3,
	SOURCE_NSS = 4,
};

struct record_header {
	u32 length;
	u8 kind;
	u8 flags;
	u16 cpu;
	u64 time_ns; /* CLOCK_BOOTTIME */
	u64 connection;
	u64 generation;
	u32 pid; /* thread group, initial PID namespace */
	u32 tid;
};

struct record_open {
	struct record_header header;
	u64 handle;
	u64 opened_ns;
	u32 netns;
	u32 uid;
	u16 family;
	u16 local_port;
	u16 remote_port;
	u8 role;
	u8 protocol;
	u8 local[16];
	u8 remote[16];
	char path[108];
	u8 source;
	u8 pad[3];
};

struct record_data {
	struct record_header header;
	u64 position;
	u32 size;
	u32 captured;
	u8 direction;
	u8 source;
	u8 reason;
	u8 pad[5];
};

struct record_finish {
	struct record_header header;
	u64 position;
	u8 direction;
	u8 pad[7];
};

struct record_close {
	struct record_header header;
	u64 sent;
	u64 received;
};

/* The session that this connection stands for uses the socket of another one. */
struct record_bind {
	struct record_header header;
	u64 socket; /* the other connection, which ends without a close record */
};

/* Followed by names_bytes: exe, then cgroup v2, then cgroup v1 names. */
struct record_process {
	struct record_header header;
	u32 uid;
	u32 ppid;
	char comm[16];
	u16 exe_bytes;
	u16 v2_bytes;
	u16 v1_bytes;
	u16 pad;
};

/* Clang keeps only types in BTF that something mentions. */
const struct record_open *unused_open __attribute__((unused));
const struct record_data *unused_data __attribute__((unused));
const struct record_finish *unused_finish __attribute__((unused));
const struct record_close *unused_close __attribute__((unused));
const struct record_bind *unused_bind __attribute__((unused));
const struct record_process *unused_process __attribute__((unused));
const enum record_kind *unused_kind __attribute__((unused));
const enum record_flag *unused_flag __attribute__((unused));
const enum role *unused_role __attribute__((unused));
const enum protocol *unused_protocol __attribute__((unused));
const enum capture_source *unused_source __attribute__((unused));
const enum reason *unused_reason __attribute__((unused));

#endif

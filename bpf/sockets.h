/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/* From a descriptor of the current process to its socket and its positions. */
#ifndef QTAP_SOCKETS_H
#define QTAP_SOCKETS_H

#include "settings.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262

/* include/net/tcp_states.h */
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_FIN_WAIT1 4
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8
#define TCP_LAST_ACK 9
#define TCP_CLOSING 11

#define SOCK_DEAD_BIT 0 /* enum sock_flags, unchanged since Linux 2.6 */
#define SOCK_DONE_BIT 1

/* A socket as one call sees it. */
struct socket_view {
	struct sock *sk;
	struct file *file;
	u64 inode; /* number of the socket's inode: tells a reused address apart */
	u16 family;
	bool is_tcp; /* has sequence numbers; otherwise bytes are counted */
};

static __always_inline struct file *file_of(struct task_struct *task, u32 fd)
{
	struct files_struct *files = task->files;
	struct fdtable *fdt;
	struct file *file = NULL;

	if (!files)
		return NULL;
	fdt = files->fdt;
	if (!fdt || fd >= fdt->max_fds)
		return NULL;
	/* The verifier does not follow a pointer to an array of pointers. */
	bpf_probe_read_kernel(&file, sizeof(file), fdt->fd + fd);
	return file;
}

/* False when the descriptor is not a socket. */
static __always_inline bool view_socket(struct file *file, struct socket_view *view)
{
	struct socket *socket;
	struct sock *sk; /* of its own: CO-RE would relocate view->sk as well */

	if ((u64)BPF_CORE_READ(file, f_op) != socket_file_ops)
		return false;
	socket = BPF_CORE_READ(file, private_data);
	if (!socket)
		return false;
	sk = BPF_CORE_READ(socket, sk);
	if (!sk)
		return false;
	view->sk = sk;
	view->file = file;
	return true;
}

/*
 * What kind of socket it is; false for those that are not followed. Only
 * asked of sockets that are not in the map of TCP connections.
 */
static __always_inline bool describe_socket(struct socket_view *view)
{
	struct file *file = view->file;
	struct sock *sk = view->sk;
	u16 protocol;

	view->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	view->is_tcp = false;
	view->inode = 0;
	if (view->family == AF_INET || view->family == AF_INET6) {
		protocol = BPF_CORE_READ(sk, sk_protocol);
		if (protocol == IPPROTO_TCP) {
			view->is_tcp = true;
			return true;
		}
		if (protocol != IPPROTO_MPTCP)
			return false;
	} else if (view->family != AF_UNIX || BPF_CORE_READ(sk, sk_type) != SOCK_STREAM) {
		return false;
	}
	view->inode = BPF_CORE_READ(file, f_inode, i_ino);
	return true;
}

static __always_inline u32 sent_sequence(const struct sock *sk)
{
	return BPF_CORE_READ((const struct tcp_sock *)sk, write_seq);
}

/*
 * The sequence number after the last byte that the application received. When
 * a call takes the last bytes before a FIN, the kernel steps over the FIN in
 * the same call (tcp_recvmsg, found_fin_ok), which occupies one number and is
 * no byte. SOCK_DONE says that a FIN has arrived.
 */
static __always_inline u32 received_sequence(const struct sock *sk)
{
	const struct tcp_sock *tcp = (const struct tcp_sock *)sk;
	u32 copied = BPF_CORE_READ(tcp, copied_seq);
	unsigned long flags = BPF_CORE_READ(sk, __sk_common.skc_flags);

	if (flags & (1UL << SOCK_DONE_BIT) && copied == BPF_CORE_READ(tcp, rcv_nxt))
		return copied - 1;
	return copied;
}

/* Bytes that have arrived in order and that the application has not taken yet. */
static __always_inline u32 unread_bytes(const struct sock *sk)
{
	u32 next = BPF_CORE_READ((const struct tcp_sock *)sk, rcv_nxt);
	unsigned long flags = BPF_CORE_READ(sk, __sk_common.skc_flags);

	if (flags & (1UL << SOCK_DONE_BIT))
		next--; /* the FIN */
	return next - received_sequence(sk);
}

static __always_inline bool is_loopback(u16 family, const u8 *address)
{
	if (family == AF_INET)
		return address[0] == 127;
	/* ::1, and ::ffff:127.0.0.0/104 */
	for (int i = 0; i < 10; i++)
		if (address[i])
			return false;
	if (address[10] == 0xff && address[11] == 0xff)
		return address[12] == 127;
	return !address[10] && !address[11] && !address[12] && !address[13] && !address[14] &&
	       address[15] == 1;
}

static __always_inline void read_addresses(const struct sock *sk, u16 family, u8 *local, u8 *remote)
{
	if (family == AF_INET) {
		__be32 from = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		__be32 to = BPF_CORE_READ(sk, __sk_common.skc_daddr);

		__builtin_memcpy(local, &from, 4);
		__builtin_memcpy(remote, &to, 4);
	} else if (family == AF_INET6) {
		/* Not BPF_CORE_READ_INTO: it takes the size of what the pointer points to. */
		bpf_core_read(local, 16, &sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		bpf_core_read(remote, 16, &sk->__sk_common.skc_v6_daddr.in6_u.u6_addr8);
	}
}

#endif

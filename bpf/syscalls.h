/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The system calls that move bytes on a socket, and where their arguments
 * stand when they return. At exit the argument registers still hold what the
 * caller passed; only the first one shares its register with the return value
 * on arm64, where the kernel keeps a copy.
 */
#ifndef QTAP_SYSCALLS_H
#define QTAP_SYSCALLS_H

#include "event.h"

enum form {
	FORM_BUFFER, /* buffer in argument 2 */
	FORM_VECTOR, /* struct iovec array in argument 2, its length in argument 3 */
	FORM_MESSAGE, /* struct msghdr in argument 2 */
	FORM_MESSAGES, /* struct mmsghdr array in argument 2; returns a number of messages */
	FORM_LENGTH, /* the bytes do not pass user space */
	FORM_CONNECTED, /* no bytes: a socket is connected */
};

/* include/linux/socket.h */
#define MSG_OOB 0x1
#define MSG_PEEK 0x2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000

#if defined(__TARGET_ARCH_x86)
#define NR_READ 0
#define NR_MMAP 9
#define NR_WRITE 1
#define NR_READV 19
#define NR_WRITEV 20
#define NR_SENDFILE 40
#define NR_SENDTO 44
#define NR_RECVFROM 45
#define NR_SENDMSG 46
#define NR_RECVMSG 47
#define NR_CONNECT 42
#define NR_ACCEPT 43
#define NR_SOCKETPAIR 53
#define NR_SPLICE 275
#define NR_ACCEPT4 288
#define NR_RECVMMSG 299
#define NR_SENDMMSG 307
#elif defined(__TARGET_ARCH_arm64)
#define NR_READ 63
#define NR_MMAP 222
#define NR_WRITE 64
#define NR_READV 65
#define NR_WRITEV 66
#define NR_SENDFILE 71
#define NR_SPLICE 76
#define NR_SOCKETPAIR 199
#define NR_ACCEPT 202
#define NR_CONNECT 203
#define NR_SENDTO 206
#define NR_RECVFROM 207
#define NR_SENDMSG 211
#define NR_RECVMSG 212
#define NR_ACCEPT4 242
#define NR_RECVMMSG 243
#define NR_SENDMMSG 269
#endif

#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 0x2 /* arch/x86/include/asm/thread_info.h */

static __always_inline long call_number(struct pt_regs *regs)
{
	return regs->orig_ax;
}

/* Go's register ABI keeps the current goroutine there, also around a system call. */
static __always_inline u64 goroutine_of(struct pt_regs *regs)
{
	return regs->r14;
}

static __always_inline u64 argument_1(struct pt_regs *regs)
{
	return regs->di;
}

static __always_inline u64 argument_2(struct pt_regs *regs)
{
	return regs->si;
}

static __always_inline u64 argument_3(struct pt_regs *regs)
{
	return regs->dx;
}

static __always_inline u64 argument_4(struct pt_regs *regs)
{
	return regs->r10;
}

static __always_inline u64 argument_5(struct pt_regs *regs)
{
	return regs->r8;
}

static __always_inline bool is_32bit(struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT;
}

/* read, write, socketcall, readv, writev, sendto to recvmsg of the i386 table. */
static __always_inline bool is_32bit_io(long number)
{
	return number == 3 || number == 4 || number == 102 || number == 145 || number == 146 ||
	       (number >= 369 && number <= 372);
}
#elif defined(__TARGET_ARCH_arm64)
#define TIF_32BIT 22 /* arch/arm64/include/asm/thread_info.h */

static __always_inline long call_number(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline u64 goroutine_of(struct pt_regs *regs)
{
	return regs->regs[28];
}

static __always_inline u64 argument_1(struct pt_regs *regs)
{
	return regs->orig_x0;
}

static __always_inline u64 argument_2(struct pt_regs *regs)
{
	return regs->regs[1];
}

static __always_inline u64 argument_3(struct pt_regs *regs)
{
	return regs->regs[2];
}

static __always_inline u64 argument_4(struct pt_regs *regs)
{
	return regs->regs[3];
}

static __always_inline u64 argument_5(struct pt_regs *regs)
{
	return regs->regs[4];
}

static __always_inline bool is_32bit(struct task_struct *task)
{
	return task->thread_info.flags & (1UL << TIF_32BIT);
}

/* read, write, readv, writev, send to recvmsg of the EABI table. */
static __always_inline bool is_32bit_io(long number)
{
	return number == 3 || number == 4 || number == 145 || number == 146 ||
	       (number >= 289 && number <= 292) || number == 296 || number == 297;
}
#endif

struct call {
	u64 address; /* of the buffer, vector or message */
	u64 vector_count; /* FORM_VECTOR */
	u32 fd;
	u32 other_fd; /* splice and socketpair: the other end; behind fd, as socketpair has it */
	u32 message_flags; /* receives only */
	u8 direction;
	u8 form;
	u8 has_other;
	u8 reason; /* FORM_LENGTH */
	u8 role; /* FORM_CONNECTED */
};

/* False for calls that neither move bytes nor make a connection. */
static __always_inline bool decode_call(struct pt_regs *regs, long result, struct call *call)
{
	__builtin_memset(call, 0, sizeof(*call));
	switch (call_number(regs)) {
	case NR_READ:
		call->direction = DIRECTION_RECEIVE;
		call->form = FORM_BUFFER;
		break;
	case NR_WRITE:
	case NR_SENDTO:
		call->direction = DIRECTION_SEND;
		call->form = FORM_BUFFER;
		break;
	case NR_RECVFROM:
		call->direction = DIRECTION_RECEIVE;
		call->form = FORM_BUFFER;
		call->message_flags = argument_4(regs);
		break;
	case NR_READV:
		call->direction = DIRECTION_RECEIVE;
		call->form = FORM_VECTOR;
		call->vector_count = argument_3(regs);
		break;
	case NR_WRITEV:
		call->direction = DIRECTION_SEND;
		call->form = FORM_VECTOR;
		call->vector_count = argument_3(regs);
		break;
	case NR_RECVMSG:
		call->direction = DIRECTION_RECEIVE;
		call->form = FORM_MESSAGE;
		call->message_flags = argument_3(regs);
		break;
	case NR_SENDMSG:
		call->direction = DIRECTION_SEND;
		call->form = FORM_MESSAGE;
		break;
	case NR_RECVMMSG:
		call->direction = DIRECTION_RECEIVE;
		call->form = FORM_MESSAGES;
		call->message_flags = argument_4(regs);
		break;
	case NR_SENDMMSG:
		call->direction = DIRECTION_SEND;
		call->form = FORM_MESSAGES;
		break;
	case NR_SENDFILE:
		call->direction = DIRECTION_SEND;
		call->form = FORM_LENGTH;
		call->reason = REASON_SENDFILE;
		break;
	case NR_SPLICE:
		/* From argument 1 to argument 3; either can be the socket. */
		call->direction = DIRECTION_RECEIVE;
		call->form = FORM_LENGTH;
		call->reason = REASON_SENDFILE;
		call->other_fd = argument_3(regs);
		call->has_other = true;
		break;
	case NR_SOCKETPAIR:
		call->form = FORM_CONNECTED;
		call->has_other = true;
		return !bpf_probe_read_user(&call->fd, 2 * sizeof(call->fd), (void *)argument_4(regs));
	case NR_CONNECT:
		call->role = ROLE_CLIENT;
		call->form = FORM_CONNECTED;
		break;
	case NR_ACCEPT:
	case NR_ACCEPT4:
		call->role = ROLE_SERVER;
		call->form = FORM_CONNECTED;
		call->fd = result;
		return true;
	default:
		return false;
	}
	call->fd = argument_1(regs);
	call->address = argument_2(regs);
	return true;
}

#endif

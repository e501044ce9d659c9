/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * What the first bytes of a message look like. This is only a filter: it
 * decides what is worth copying, user space decides what it is. So it may say
 * yes to a stranger, and it must not say no to a protocol that we support.
 */
#ifndef QTAP_CLASSIFY_H
#define QTAP_CLASSIFY_H

/*
 * Long enough for the longest registered method and the space and first byte
 * of the target after it (UPDATEREDIRECTREF, 17). A longer method is taken for
 * something else; docs/limits.md says so.
 */
#define PREFIX_BYTES 24
/* RFC 9112, section 2.2: empty lines before a request line are ignored. */
#define MAX_LINE_ENDS 4

enum likeness {
	LIKE_NOTHING = 0,
	LIKE_UNDECIDED = 1, /* consistent so far, too short to tell */
	LIKE_HTTP1 = 2,
	LIKE_HTTP2 = 3,
	LIKE_TLS = 4,
};

struct prefix {
	u8 bytes[2 * PREFIX_BYTES]; /* the second half only gives the verifier room */
	u64 used; /* at most PREFIX_BYTES */
};

/*
 * RFC 9110, section 5.6.2: tchar, one bit per byte value. A chain of
 * comparisons would give the verifier a branch for each.
 */
#define TOKEN_BYTES_LOW 0x03ff6cfa00000000ULL /* ! # $ % & ' * + - . 0-9 */
#define TOKEN_BYTES_HIGH 0x57ffffffc7fffffeULL /* A-Z ^ _ ` a-z | ~ */

static __always_inline bool is_token_byte(u8 c)
{
	u64 half = c < 64 ? TOKEN_BYTES_LOW : TOKEN_BYTES_HIGH;

	return c < 128 && half >> (c & 63) & 1;
}

/* Whether the first n bytes are the text, or its beginning. */
static __always_inline enum likeness match_text(const u8 *bytes, u32 n, const char *text,
						u32 text_bytes, enum likeness what)
{
	for (u32 i = 0; i < text_bytes; i++) {
		if (i >= n)
			return LIKE_UNDECIDED;
		if (bytes[i] != (u8)text[i])
			return LIKE_NOTHING;
	}
	return what;
}

/*
 * A TLS record header (RFC 8446, section 5.1): type change_cipher_spec to
 * application_data, legacy version 3.x, length at most 2^14 + 256.
 */
static __always_inline enum likeness match_tls(const u8 *bytes, u32 n)
{
	if (bytes[0] < 0x14 || bytes[0] > 0x17)
		return LIKE_NOTHING;
	if (n < 2)
		return LIKE_UNDECIDED;
	if (bytes[1] != 3)
		return LIKE_NOTHING;
	if (n < 4)
		return LIKE_UNDECIDED;
	return bytes[2] <= 4 && bytes[3] <= 0x41 ? LIKE_TLS : LIKE_NOTHING;
}

/* A request line up to the first byte of its target (RFC 9112, section 3). */
static __always_inline enum likeness match_request(const u8 *bytes, u32 n)
{
	u32 method_bytes = 0;
	u8 target;

	for (u32 i = 0; i < PREFIX_BYTES; i++) {
		if (i >= n)
			return LIKE_UNDECIDED;
		if (!is_token_byte(bytes[i])) {
			method_bytes = i;
			break;
		}
	}
	if (!method_bytes || method_bytes > PREFIX_BYTES - 2)
		return LIKE_NOTHING;
	if (bytes[method_bytes] != ' ')
		return LIKE_NOTHING;
	if (method_bytes + 1 >= n)
		return LIKE_UNDECIDED;
	target = bytes[method_bytes + 1];
	if (target == '/' || target == '*' || target == 'h' || target == 'H')
		return LIKE_HTTP1;
	/* Only CONNECT has an authority as its target. */
	return match_text(bytes, n, "CONNECT ", 8, LIKE_HTTP1);
}

/*
 * What the bytes look like. Not static: the verifier then checks it once by
 * itself, instead of once for every way that leads here.
 */
__noinline int classify(struct prefix *prefix)
{
	enum likeness like;
	const u8 *bytes;
	u32 start = 0, n;

	if (!prefix)
		return LIKE_NOTHING;
	while (start < MAX_LINE_ENDS &&
	       (prefix->bytes[start] == '\r' || prefix->bytes[start] == '\n'))
		start++;
	if (start >= prefix->used)
		return LIKE_UNDECIDED;
	bytes = prefix->bytes + start;
	n = prefix->used - start;
	like = match_tls(bytes, n);
	if (like)
		return like;
	/* RFC 9113, section 3.4. Before HTTP/1: the preface is a legal request line. */
	like = match_text(bytes, n, "PRI * HTTP/2.0", 14, LIKE_HTTP2);
	if (like)
		return like;
	like = match_text(bytes, n, "HTTP/1.", 7, LIKE_HTTP1);
	if (like)
		return like;
	return match_request(bytes, n);
}

#endif

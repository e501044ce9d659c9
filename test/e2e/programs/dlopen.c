/*
 * A TLS client whose library is opened while it runs: dlopen LIBRARY HOST PORT.
 * It obeys lines on stdin and answers each with one line:
 *   open       opens the library
 *   /PATH      GET over the connection, which is made when there is none
 *   close      ends the connection
 *   leave      forgets the session, and keeps the socket open until
 *   drop       closes it; answers whether the next session got the same memory
 * The prototypes stand here because no header is needed for them: OpenSSL 1.1
 * and 3 have the same. Certificates are not checked.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *library;
static void *context, *session;
static int descriptor;
static void *left_session;
static int left_descriptor;

static void *function(const char *name)
{
	void *found = dlsym(library, name);

	if (!found) {
		fprintf(stderr, "%s: %s\n", name, dlerror());
		exit(1);
	}
	return found;
}

static void open_library(const char *path)
{
	void *(*new_context)(void *), *(*method)(void);

	library = dlopen(path, RTLD_NOW);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	method = function("TLS_client_method");
	new_context = function("SSL_CTX_new");
	context = new_context(method());
}

static void open_connection(const char *host, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	void *(*new_session)(void *) = function("SSL_new");
	int (*set_fd)(void *, int) = function("SSL_set_fd");
	int (*handshake)(void *) = function("SSL_connect");

	inet_pton(AF_INET, host, &address.sin_addr);
	descriptor = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(descriptor, (struct sockaddr *)&address, sizeof(address))) {
		perror("connect");
		exit(1);
	}
	session = new_session(context);
	set_fd(session, descriptor);
	if (handshake(session) != 1) {
		fprintf(stderr, "no handshake\n");
		exit(1);
	}
}

static void close_connection(void)
{
	int (*shut)(void *) = function("SSL_shutdown");
	void (*release)(void *) = function("SSL_free");

	shut(session);
	release(session);
	session = NULL;
	close(descriptor);
}

static void leave_connection(void)
{
	void (*release)(void *) = function("SSL_free");

	left_session = session;
	left_descriptor = descriptor;
	release(session);
	session = NULL;
}

/* Reads a response with Content-Length and returns how many bytes it had. */
static size_t get(const char *path, const char *host, const char *port)
{
	int (*read_some)(void *, void *, int) = function("SSL_read");
	int (*write_some)(void *, const void *, int) = function("SSL_write");
	static char buffer[1 << 20];
	size_t got = 0, want = 0;
	int length = snprintf(buffer, sizeof(buffer), "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", path, host, port);

	if (write_some(session, buffer, length) != length)
		exit(1);
	while (!want || got < want) {
		int n = read_some(session, buffer + got, sizeof(buffer) - 1 - got);
		char *end, *field;

		if (n <= 0)
			exit(1);
		got += n;
		buffer[got] = 0;
		end = strstr(buffer, "\r\n\r\n");
		field = strstr(buffer, "Content-Length: ");
		if (end && field)
			want = end + 4 - buffer + strtoul(field + 16, NULL, 10);
	}
	return got;
}

int main(int argc, char **argv)
{
	char line[1000];

	if (argc != 4)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] == '/') {
			if (!session)
				open_connection(argv[2], argv[3]);
			printf("%zu\n", get(line, argv[2], argv[3]));
		} else if (!strcmp(line, "open")) {
			open_library(argv[1]);
			printf("opened\n");
		} else if (!strcmp(line, "leave")) {
			leave_connection();
			printf("left\n");
		} else if (!strcmp(line, "drop")) {
			close(left_descriptor);
			printf("%s\n", session == left_session ? "same" : "other");
		} else {
			close_connection();
			printf("closed\n");
		}
		fflush(stdout);
	}
	return 0;
}

/*
 * Speaks HTTP through the 32-bit system call interface (int 0x80), as a
 * program for i386 would, five times: the kernel takes it for one.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define NR_WRITE_I386 4

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	char answer[100];
	/* An address that fits into 32 bits. */
	char *text = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (text == MAP_FAILED || bind(listener, (void *)&address, size) || listen(listener, 1) ||
	    getsockname(listener, (void *)&address, &size) || connect(client, (void *)&address, size))
		return 1;
	int server = accept(listener, 0, 0);

	strcpy(text, "GET /32-bit HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 5; i++) {
		long moved;

		__asm__ volatile("int $0x80"
				 : "=a"(moved)
				 : "a"(NR_WRITE_I386), "b"(client), "c"(text), "d"(strlen(text))
				 : "memory");
		if (moved != (long)strlen(text) || read(server, answer, sizeof(answer)) != moved)
			return 2;
	}
	return 0;
}

/*
 * Fetches the URL of its argument with NSS, through the curl library of
 * Debian's libcurl3-nss, and prints the body. The prototypes and numbers stand
 * here because the package with the header cannot be installed beside those
 * for the other TLS libraries: curl/curl.h of 7.88.
 */
#include <stdio.h>

#define CURLOPT_URL 10002
#define CURLOPT_SSL_VERIFYPEER 64
#define CURLOPT_SSL_VERIFYHOST 81
#define CURLOPT_HTTP_VERSION 84
#define CURL_HTTP_VERSION_1_1 2L
#define CURL_GLOBAL_ALL 3

int curl_global_init(long flags);
void *curl_easy_init(void);
int curl_easy_setopt(void *handle, int option, ...);
int curl_easy_perform(void *handle);
void curl_easy_cleanup(void *handle);
const char *curl_easy_strerror(int code);

int main(int argc, char **argv)
{
	void *handle;
	int code;

	if (argc != 2 || curl_global_init(CURL_GLOBAL_ALL))
		return 2;
	handle = curl_easy_init();
	if (!handle)
		return 2;
	curl_easy_setopt(handle, CURLOPT_URL, argv[1]);
	curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	/* NSS takes authorities from its own database only, which has none. */
	curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
	code = curl_easy_perform(handle);
	if (code)
		fprintf(stderr, "%s: %s\n", argv[1], curl_easy_strerror(code));
	curl_easy_cleanup(handle);
	return code != 0;
}

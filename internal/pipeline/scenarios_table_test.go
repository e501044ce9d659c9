package pipeline

// scenarios says what the records of each recording have to tell: method, path,
// status, body sizes of request and response ("-" when unknown), completeness
// and reasons, sorted. A line for one end alone says which. test/record/record.py
// --list says what the scenarios are.
var scenarios = map[string][]string{
	"bodies_beyond_the_budget": {
		`GET /after 200 0/2 complete`,
		`POST /large 200 150000/150000 truncated ["body_limit"]`,
	},
	"byte_by_byte": {
		`GET /slow 200 0/2 complete`,
	},
	"chunked_with_trailers": {
		`POST /upload 200 13/12 complete`,
	},
	"chunks_beyond_the_budget": {
		`GET /e2e-000000000000000d?chunked=1&size=150000 200 0/- incomplete ["body_limit"]`,
		`GET /e2e-000000000000000e?size=100 200 0/100 incomplete ["body_limit"]`,
		`GET /e2e-000000000000000f?size=100 200 0/100 complete`,
	},
	"connect_tunnel": {
		`CONNECT - 200 0/0 complete`,
		`GET /e2e-000000000000000a?size=100 200 0/100 complete`,
	},
	"curl_chunked_upload": {
		`POST /e2e-0000000000000003?chunked=1 200 18/18 complete`,
		`POST /e2e-0000000000000004?chunked=1 200 18/18 complete`,
	},
	"curl_expect_continue": {
		`POST /e2e-0000000000000002 200 2000/2000 complete`,
	},
	"curl_get": {
		`GET /e2e-0000000000000001?size=300&q=a%20b 200 0/300 complete`,
	},
	"curl_head": {
		`GET /page.html 200 0/1024 complete`,
		`HEAD /page.html 200 0/0 complete`,
	},
	"cut_before_the_end_of_chunks": {
		`GET /no-last-chunk 200 0/- incomplete ["connection_closed"]`,
	},
	"discarding_reader": {
		`GET /after 200 0/2 complete`,
		`client: GET /discarded 200 0/1500 truncated ["unreadable"]`,
		`server: GET /discarded 200 0/1500 complete`,
	},
	"early_hints": {
		`GET /page 200 0/41 complete`,
	},
	"fork_after_accept": {
		`GET /child 200 0/2 complete`,
	},
	"go_client_and_server": {
		`DELETE /e2e-0000000000000009?status=404 404 0/0 complete`,
		`GET /e2e-0000000000000005?size=500 200 0/500 complete`,
		`GET /e2e-0000000000000008?size=1900&gzip=1 200 0/88 complete`,
		`POST /e2e-0000000000000006 200 1000/1000 complete`,
		`PUT /e2e-0000000000000007?chunked=1&status=201 201 700/700 complete`,
	},
	"gzip_of_known_length": {
		`GET /compressed 200 0/64 complete`,
	},
	"half_close": {
		`POST /count 200 5/17 complete`,
	},
	"http10_until_close": {
		`GET /index.html 200 0/31 complete`,
	},
	"ipv6": {
		`GET /e2e-000000000000000c?size=100 200 0/100 complete`,
	},
	"joined_before_the_response": {
		`- - 200 -/2 incomplete ["joined_late","no_request"]`,
	},
	"joined_between_requests": {
		`GET /seen 200 0/2 incomplete ["joined_late"]`,
		`GET /seen-too 200 0/2 complete`,
	},
	"joined_inside_a_body": {
		`GET /after 200 0/2 incomplete ["joined_late"]`,
		`GET /after-that 200 0/2 complete`,
	},
	"keep_alive": {
		`GET /first 200 0/2 complete`,
		`GET /second?q=1&r=%20 200 0/2 complete`,
		`GET /third 200 0/2 complete`,
	},
	"nginx_gzip": {
		`GET /page.html 200 0/61 complete`,
	},
	"nginx_pipelined": {
		`GET /none 404 0/146 complete`,
		`GET /page.html 200 0/1024 complete`,
		`GET /page.html?third 200 0/1024 complete`,
	},
	"nginx_plain": {
		`GET /none 404 0/146 complete`,
		`GET /page.html 200 0/1024 complete`,
	},
	"nginx_sendfile": {
		`GET /none 404 0/146 complete`,
		`client: GET /page.html 200 0/1024 complete`,
		`server: GET /page.html 200 0/1024 truncated ["sendfile"]`,
	},
	"no_response": {
		`GET /silence - 0/- incomplete ["connection_closed","no_response"]`,
	},
	"node_client_and_server": {
		`DELETE /e2e-0000000000000009?status=404 404 0/0 complete`,
		`GET /e2e-0000000000000005?size=500 200 0/500 complete`,
		`GET /e2e-0000000000000008?size=1900&gzip=1 200 0/84 complete`,
		`POST /e2e-0000000000000006 200 1000/1000 complete`,
		`PUT /e2e-0000000000000007?chunked=1&status=201 201 700/700 complete`,
	},
	"not_http": {},
	"peeking_reader": {
		`GET /peek 200 0/2 complete`,
	},
	"pipelined_answers_together": {
		`GET /1 200 0/2 complete`,
		`GET /2 200 0/2 complete`,
		`GET /3 200 0/2 complete`,
	},
	"python_client_and_server": {
		`DELETE /e2e-0000000000000009?status=404 404 0/0 complete`,
		`GET /e2e-0000000000000005?size=500 200 0/500 complete`,
		`GET /e2e-0000000000000008?size=1900&gzip=1 200 0/84 complete`,
		`POST /e2e-0000000000000006 200 1000/1000 complete`,
		`PUT /e2e-0000000000000007?chunked=1&status=201 201 700/700 complete`,
	},
	"reset_in_a_response": {
		`GET /unlucky 200 0/- incomplete ["connection_closed"]`,
	},
	"responses_without_body": {
		`DELETE /b 204 0/0 complete`,
		`GET /c 304 0/0 complete`,
		`HEAD /a 200 0/0 complete`,
	},
	"secrets": {
		`GET /absolute?Signature=REDACTED 302 0/0 complete`,
		`GET /k?sig=REDACTED&se=2026&AWSAccessKeyId=REDACTED 302 0/0 complete`,
	},
	"still_waiting_at_the_end": {
		`GET /waiting - 0/- incomplete ["no_response","shutdown"]`,
	},
	"tls_is_recognised": {},
	"two_lengths": {
		`POST /smuggle 400 0/0 incomplete ["ambiguous_length"]`,
	},
	"unix_socket": {
		`GET /e2e-000000000000000b?size=100 200 0/100 complete`,
	},
	"upgrade_to_websocket": {
		`GET /chat 101 0/0 complete`,
	},
	"vectors": {
		`GET /vector 200 0/1900 complete`,
	},
}

//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// systemCalls exchanges bodies through every call that moves bytes. Calls that
// bypass user space, or throw bytes away, are named as the reason.
func systemCalls(t *testing.T, c *Collector) {
	type call struct {
		Send    string `json:"send"`
		Receive string `json:"receive"`
		Path    string `json:"path"`
		Size    int    `json:"size"`
		missing string
	}
	var calls []call
	add := func(send, receive, missing string) {
		for _, size := range []int{1, 3000, 100_000} {
			calls = append(calls, call{send, receive, "/" + newToken(), size, missing})
		}
	}
	for _, send := range []string{"write", "writev", "send", "send more", "sendto", "sendmsg", "sendmmsg"} {
		add(send, "recv", "")
	}
	for _, receive := range []string{"read", "readv", "recv_into", "recvfrom", "recvmsg", "recvmsg_into", "recvmmsg", "peek", "peek message", "wait for all"} {
		add("send", receive, "")
	}
	add("writev", "readv", "")
	add("sendmmsg", "recvmmsg", "")
	add("sendfile", "recv", "sendfile")
	add("splice", "recv", "sendfile")
	add("send", "splice", "sendfile")
	add("send", "discard", "unreadable")
	input, err := json.Marshal(calls)
	require.NoError(t, err)
	require.Equal(t, "done\n", execute(t, string(input), installation.python, script("syscalls.py")))
	for _, call := range calls {
		t.Run(fmt.Sprintf("%s and %s of %d bytes", call.Send, call.Receive, call.Size), func(t *testing.T) {
			token := tokenForm.FindString(call.Path)
			body := text(token, call.Size)
			x := Exchange{Method: "POST", Path: call.Path, RequestBody: body, ResponseBody: body}
			x.Client = filepath.Base(installation.python)
			x.Server = x.Client
			if call.missing == "" {
				c.expect(t, x)
				return
			}
			e := split(t, c.await(t, token, 2, true))
			for _, s := range []Seen{e.client, e.server} {
				assert.Equal(t, "truncated", s.completeness(), describe(s))
				assert.Equal(t, []string{call.missing}, s.missing())
				assert.EqualValues(t, len(body), s.Request.number("http.request.body.size"))
				assert.EqualValues(t, len(body), s.Request.number("http.response.body.size"))
			}
		})
	}
}

// sharedSockets: a connection is a socket, not a process and a number.
func sharedSockets(t *testing.T, c *Collector) {
	for _, mode := range []string{"fork", "split", "dup", "pass", "threads", "reuse", "inetd"} {
		t.Run(mode, func(t *testing.T) {
			server := startServer(t, installation.python, script("sharing.py"), mode)
			for range 5 { // connections
				client := http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 20 * time.Second}
				for range 3 { // requests on each
					token := newToken()
					response, err := client.Get("http://" + server.Address + "/" + token)
					require.NoError(t, err)
					body, err := io.ReadAll(response.Body)
					require.NoError(t, err)
					require.NoError(t, response.Body.Close())
					require.Equal(t, string(text(token, 300)), string(body))
					e := c.expect(t, Exchange{Path: "/" + token, ResponseBody: text(token, 300), Client: "e2e.test"})
					if mode == "inetd" {
						shell, err := filepath.EvalSymlinks("/bin/sh")
						require.NoError(t, err)
						assert.Equal(t, filepath.Base(shell), e.server.Request.Resource["process.executable.name"])
					}
				}
				client.CloseIdleConnections()
			}
		})
	}
}

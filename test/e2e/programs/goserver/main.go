// Command goserver answers requests with Go's net/http; see ../README.md.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	network, address := "tcp", os.Args[1]
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready", listener.Addr())
	if len(os.Args) > 2 {
		log.Fatal(http.ServeTLS(listener, http.HandlerFunc(answer), os.Args[2], os.Args[3]))
	}
	log.Fatal(http.Serve(listener, http.HandlerFunc(answer)))
}

func answer(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if len(body) == 0 {
		size, _ := strconv.Atoi(query.Get("size"))
		body = text(r.URL.Path, size)
	}
	if query.Get("gzip") != "" {
		var packed bytes.Buffer
		writer := gzip.NewWriter(&packed)
		_, _ = writer.Write(body)
		_ = writer.Close()
		body = packed.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Type", "text/plain")
	if query.Get("chunked") == "" {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	if status, err := strconv.Atoi(query.Get("status")); err == nil {
		w.WriteHeader(status)
	}
	half := len(body) / 2
	_, _ = w.Write(body[:half])
	if query.Get("chunked") != "" {
		_ = http.NewResponseController(w).Flush() // more than one chunk
	}
	_, _ = w.Write(body[half:])
}

var token = regexp.MustCompile(`e2e-[0-9a-f]{16}`)

func text(path string, size int) []byte {
	line := token.FindString(path) + " 0123456789 abcdefghijklmnopqrstuvwxyz\n"
	return []byte(strings.Repeat(line, size/len(line)+1)[:size])
}

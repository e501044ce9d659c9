// Command goclient sends requests with Go's net/http; see ../README.md.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"regexp"
	"strings"
)

type request struct {
	Method, Path string
	Size         int
	Chunked      bool
}

type result struct {
	Status int    `json:"status"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

func main() {
	var plan []request
	if err := json.NewDecoder(os.Stdin).Decode(&plan); err != nil {
		log.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true}}
	results := make([]result, 0, len(plan))
	for _, r := range plan {
		got, err := send(&client, os.Args[1], r)
		if err != nil {
			log.Fatal(err)
		}
		results = append(results, got)
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		log.Fatal(err)
	}
}

func send(client *http.Client, base string, r request) (result, error) {
	var body io.Reader
	if r.Size > 0 {
		body = bytes.NewReader(text(r.Path, r.Size))
	}
	if r.Chunked {
		body = io.MultiReader(body) // a type whose length net/http does not know
	}
	outgoing, err := http.NewRequest(r.Method, base+r.Path, body)
	if err != nil {
		return result{}, err
	}
	response, err := client.Do(outgoing)
	if err != nil {
		return result{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return result{}, err
	}
	sum := sha256.Sum256(content)
	return result{Status: response.StatusCode, Size: len(content), SHA256: hex.EncodeToString(sum[:])}, nil
}

var token = regexp.MustCompile(`e2e-[0-9a-f]{16}`)

func text(path string, size int) []byte {
	line := token.FindString(path) + " 0123456789 abcdefghijklmnopqrstuvwxyz\n"
	return []byte(strings.Repeat(line, size/len(line)+1)[:size])
}

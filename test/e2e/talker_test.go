//go:build linux

package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

// talker makes connections whose peers exchange random messages in random
// pieces, and logs what they exchanged.
type talker struct {
	random *rand.Rand
	bytes  *rand.ChaCha8
	ledger *ledger
	pause  time.Duration // between two batches
	secure *tls.Config   // of both ends; nil: no TLS
}

func newTalker(seed int64, worker int, l *ledger) *talker {
	var key [32]byte
	copy(key[:], fmt.Sprint(seed, " ", worker))
	source := rand.NewChaCha8(key)
	return &talker{random: rand.New(source), bytes: source, ledger: l}
}

// talk opens one connection after the other until the time or the ledger says
// that it is enough.
func (k *talker) talk(until time.Time) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	for time.Now().Before(until) && !k.ledger.full() {
		if err := k.connection(listener); err != nil {
			return err
		}
	}
	return nil
}

// exchangeBytes is one exchange as it goes over the wire.
type exchangeBytes struct {
	token         string
	up, down      []byte
	entry         truth
	downCompletes int // bytes of down that are sent
}

// connection runs up to 30 exchanges, sometimes several requests ahead.
func (k *talker) connection(listener net.Listener) error {
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		return err
	}
	defer server.Close()
	if k.secure != nil {
		client, server = tls.Client(client, k.secure), tls.Server(server, k.secure)
		defer client.Close()
		defer server.Close()
	}
	deadline := time.Now().Add(time.Minute)
	_, _ = client.SetDeadline(deadline), server.SetDeadline(deadline)
	for range 1 + k.random.IntN(10) {
		time.Sleep(k.pause)
		batch := make([]exchangeBytes, 1)
		if k.random.IntN(4) == 0 {
			batch = make([]exchangeBytes, 1+k.random.IntN(4))
		}
		for i := range batch {
			batch[i] = k.exchange()
		}
		last := &batch[len(batch)-1]
		if k.random.IntN(25) == 0 && len(last.down) > 1 {
			last.downCompletes = 1 + k.random.IntN(len(last.down)-1)
			last.entry.cut = true
		}
		if err := k.run(client, server, batch); err != nil {
			return err
		}
		for _, x := range batch {
			k.ledger.add(x.token, x.entry)
		}
		if last.entry.cut {
			return nil // the deferred closes cut it
		}
	}
	return nil
}

// run moves the requests up and then the responses down. Each direction is
// written and read at the same time: both ends share this process.
func (k *talker) run(client, server net.Conn, batch []exchangeBytes) error {
	var up, down bytes.Buffer
	for _, x := range batch {
		up.Write(x.up)
		down.Write(x.down[:x.downCompletes])
	}
	if err := k.move(client, server, up.Bytes()); err != nil {
		return fmt.Errorf("requests: %w", err)
	}
	if err := k.move(server, client, down.Bytes()); err != nil {
		return fmt.Errorf("responses: %w", err)
	}
	return nil
}

func (k *talker) move(from, to net.Conn, content []byte) error {
	writes, reads := k.pieces(len(content)), k.pieces(len(content))
	vectored := k.random.IntN(3) == 0
	sent := make(chan error, 1)
	go func() { sent <- write(from, content, writes, vectored) }()
	got := make([]byte, len(content))
	for at, i := 0, 0; at < len(got); i++ {
		n, err := to.Read(got[at:min(len(got), at+reads[i%len(reads)])])
		if err != nil {
			return errors.Join(err, <-sent)
		}
		at += n
	}
	if err := <-sent; err != nil {
		return err
	}
	if !bytes.Equal(content, got) {
		return errors.New("the connection changed bytes")
	}
	return nil
}

func write(to net.Conn, content []byte, sizes []int, vectored bool) error {
	var vector net.Buffers
	for i := 0; len(content) > 0; i++ {
		size := min(len(content), sizes[i%len(sizes)])
		if vectored {
			vector = append(vector, content[:size])
		} else if _, err := to.Write(content[:size]); err != nil {
			return err
		}
		content = content[size:]
	}
	if vectored {
		_, err := vector.WriteTo(to)
		return err
	}
	return nil
}

// edges are where the capture side changes what it does.
var edges = []int{0, 1, 2, 16, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536}

func (k *talker) size() int {
	reach := len(edges)
	if k.random.IntN(4) > 0 {
		reach = 9 // mostly small ones, so that there are many
	}
	size := edges[k.random.IntN(reach)]*(1+k.random.IntN(2)) + k.random.IntN(3) - 1
	return max(0, size)
}

// pieces returns sizes for calls that together move total bytes in not too
// many calls.
func (k *talker) pieces(total int) []int {
	sizes := make([]int, 1+k.random.IntN(4))
	for i := range sizes {
		sizes[i] = max(1, k.size(), total/200)
	}
	if k.random.IntN(3) == 0 {
		return []int{max(1, total)}
	}
	return sizes
}

// exchange makes up a request and its response.
func (k *talker) exchange() exchangeBytes {
	x := exchangeBytes{token: newToken()}
	method, status := "GET", 200
	var request, response []byte
	switch k.random.IntN(8) {
	case 0:
		method = "HEAD"
	case 1, 2, 3, 4:
		method, request = "POST", k.body()
	case 5:
		method, status = "DELETE", 204
	}
	if status != 204 {
		response = k.body()
	}
	x.up = k.encode(fmt.Sprintf("%s /%s HTTP/1.1\r\nHost: oracle.test\r\n", method, x.token), request, len(request) > 0)
	start := fmt.Sprintf("HTTP/1.1 %d Any\r\n", status)
	switch {
	case method == "HEAD":
		x.down = fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n", start, len(response))
		response = nil
	case status == 204:
		x.down = []byte(start + "\r\n")
	default:
		x.down = k.encode(start, response, true)
	}
	x.downCompletes = len(x.down)
	x.entry = truth{
		method: method, status: int64(status),
		requestSize: int64(len(request)), requestDigest: sha256.Sum256(request),
		responseSize: int64(len(response)), responseHash: sha256.Sum256(response),
	}
	return x
}

// body returns random bytes; some hold what looks like another message.
func (k *talker) body() []byte {
	body := make([]byte, k.size())
	_, _ = io.ReadFull(k.bytes, body)
	if k.random.IntN(3) > 0 {
		return body
	}
	decoys := []string{"\r\n0\r\n\r\n", get("/" + k.ledger.decoy()), ok([]byte("decoy")), post("/"+k.ledger.decoy(), []byte("decoy")), "\r\n\r\n"}
	decoy := decoys[k.random.IntN(len(decoys))]
	if k.random.IntN(2) == 0 || len(body) < len(decoy) {
		return slices.Concat(body, []byte(decoy))
	}
	copy(body, decoy)
	return body
}

// encode writes the body with a length or in chunks.
func (k *talker) encode(start string, body []byte, framed bool) []byte {
	out := []byte(start)
	if !framed {
		return append(out, "\r\n"...)
	}
	if k.random.IntN(2) == 0 {
		out = fmt.Appendf(out, "Content-Length: %d\r\n\r\n", len(body))
		return append(out, body...)
	}
	out = append(out, "Transfer-Encoding: chunked\r\n\r\n"...)
	for len(body) > 0 {
		size := min(len(body), max(1, k.size(), len(body)/20))
		out = fmt.Appendf(out, "%X;n=%d\r\n", size, len(body))
		out = append(append(out, body[:size]...), "\r\n"...)
		body = body[size:]
	}
	return append(out, "0\r\n\r\n"...)
}

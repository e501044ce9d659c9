//go:build linux

package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestKafka lets a node write to a broker while no gateway runs, and a gateway
// deliver after the node has gone: the broker is a buffer between them.
func TestKafka(t *testing.T) {
	need(t)
	events, site, storage := victoria(t), newSite(t), versity(t)
	bucket := storage.newBucket(t, true)
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	broker := launch(t, server("kafka", port, "qtap", `dlv-[0-9a-f]{16}|"metadata":|is in the object store`))
	eventually(t, readyWithin, func() error {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			_ = connection.Close()
		}
		return err
	})
	env := storage.environment(bucket)
	env["KAFKA_BROKERS"] = "[" + address + "]"
	env["QTAP_OTLP_ENDPOINT"] = "http://" + events.address + "/insert/opentelemetry"

	node := startExample(t, installation.full, "kafka-node.yaml", env)
	small, large := site.get(t, smallBody), site.get(t, largeBody)
	eventually(t, arrivesWithin, func() error {
		for _, sign := range []string{
			// Attributes with URL and link, then the body: an object, a reference.
			fmt.Sprintf(`%q %q "\"metadata\":"`, small[1:], bucket),
			fmt.Sprintf(`%q %q "is in the object store"`, large[1:], bucket),
		} {
			if !strings.Contains(broker.output(), sign) {
				return errors.New("the topic does not have " + sign)
			}
		}
		for _, key := range storage.keys(t, bucket) {
			if bytes.Contains(open(t, "http://"+storage.address+"/"+bucket+"/"+key), []byte(large)) {
				return nil
			}
		}
		return errors.New("the bucket does not have the large object")
	})
	node.stop(t)
	node.checkNothingRefused(t)
	for _, path := range []string{small, large} {
		assert.Empty(t, events.find(t, fmt.Sprintf("url.full:%q", path)), "nothing passes the broker without a gateway")
	}

	gateway := startExample(t, installation.full, "kafka-gateway.yaml", env)
	for _, path := range []string{small, large} {
		record := events.await(t, fmt.Sprintf("event.type:artifact_record url.full:%q", path))
		assert.Equal(t, "http://"+storage.address+"/"+bucket+"/"+record["artifact.digest"], record["artifact.url"])
		checkObject(t, awaitLink(t, record["artifact.url"]), record["artifact.digest"], record["artifact.size_bytes"], path)
	}
	gateway.stop(t)
	gateway.checkNothingRefused(t)
	assert.NotContains(t, broker.output(), "panic")
	events.checkSecrets(t)
	storage.checkSecrets(t, bucket)
}

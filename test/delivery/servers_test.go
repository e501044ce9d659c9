//go:build linux

package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// shared are the servers that all tests use: they take seconds to start.
var shared struct {
	sync.Mutex
	folder  string
	started map[string]*Process
	address map[string]string
}

// startShared starts a server once and returns its address. Its folder stays
// until the end of all tests.
func startShared(t testing.TB, name, health string, command func(address, folder string) *exec.Cmd) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if address, ok := shared.address[name]; ok {
		return address
	}
	if shared.folder == "" {
		folder, err := os.MkdirTemp("", "qtap-delivery-") //nolint:usetesting // outlives the test that starts it
		require.NoError(t, err)
		shared.folder = folder
		shared.started, shared.address = make(map[string]*Process), make(map[string]string)
	}
	address, folder := freeAddress(t), filepath.Join(shared.folder, name)
	require.NoError(t, os.Mkdir(folder, 0o755))
	process := spawn(t, filepath.Join(shared.folder, name+".log"), command(address, folder))
	shared.started[name], shared.address[name] = process, address
	answers(t, process, "http://"+address+health)
	return address
}

// stopShared ends the servers and removes what they stored.
func stopShared() {
	for _, process := range shared.started {
		process.kill()
	}
	_ = os.RemoveAll(shared.folder)
}

// server returns the command of a program that servers/Makefile built.
func server(name string, arguments ...string) *exec.Cmd {
	return exec.Command(filepath.Join(installation.servers, name), arguments...)
}

// row is a record as a back end gives it back: names and values.
type row = map[string]string

// Victoria is VictoriaLogs, which takes what Elasticsearch, Datadog, Splunk and
// OTLP receivers take.
type Victoria struct{ address string }

func victoria(t testing.TB) Victoria {
	return Victoria{startShared(t, "victorialogs", "/health", func(address, folder string) *exec.Cmd {
		return server("victorialogs", "-httpListenAddr="+address, "-storageDataPath="+folder,
			"-insert.maxLineSizeBytes=2097152", "-inmemoryDataFlushInterval=100ms")
	})}
}

// find returns the records that a LogsQL query finds.
func (v Victoria) find(t testing.TB, query string) (rows []row) {
	t.Helper()
	response, err := client.PostForm("http://"+v.address+"/select/logsql/query", url.Values{"query": {query}})
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(content))
	for line := range bytes.Lines(content) {
		var r row
		require.NoError(t, json.Unmarshal(line, &r), string(line))
		rows = append(rows, r)
	}
	return rows
}

// await returns the one record that a query finds, once it does.
func (v Victoria) await(t testing.TB, query string) (found row) {
	t.Helper()
	eventually(t, arrivesWithin, func() error {
		rows := v.find(t, query)
		if len(rows) != 1 {
			return fmt.Errorf("%d records are found by %s", len(rows), query)
		}
		found = rows[0]
		return nil
	})
	return found
}

// checkSecrets looks for the canary in everything that ever arrived.
func (v Victoria) checkSecrets(t testing.TB) {
	t.Helper()
	rows := v.find(t, "*")
	require.NotEmpty(t, rows)
	for _, r := range rows {
		for name, value := range r {
			require.NotContains(t, value, canary, "in %s of %v", name, r)
		}
	}
}

// Loki is Grafana Loki with its default limits.
type Loki struct{ address string }

func loki(t testing.TB) Loki {
	return Loki{startShared(t, "loki", "/ready", func(address, folder string) *exec.Cmd {
		_, port, _ := splitAddress(address)
		grpc := freeAddress(t)
		_, grpcPort, _ := splitAddress(grpc)
		config := fmt.Sprintf(lokiConfig, port, grpcPort, folder)
		path := filepath.Join(folder, "loki.yaml")
		require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
		return server("loki", "-config.file="+path)
	})}
}

// lokiConfig is one process with its defaults: what it refuses is what Loki
// refuses.
const lokiConfig = `
auth_enabled: false
server: {http_listen_address: 127.0.0.1, http_listen_port: %s, grpc_listen_address: 127.0.0.1, grpc_listen_port: %s, log_level: warn}
common:
  path_prefix: %[3]s
  instance_addr: 127.0.0.1
  replication_factor: 1
  ring: {instance_addr: 127.0.0.1, kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: %[3]s/chunks, rules_directory: %[3]s/rules}}
ingester: {lifecycler: {min_ready_duration: 0s, final_sleep: 0s}}
schema_config:
  configs:
    - {from: "2024-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}
analytics: {reporting_enabled: false}
`

// find returns what a LogQL query finds of the last hour: labels and structured
// metadata, and the line under "line".
func (l Loki) find(t testing.TB, query string) (rows []row) {
	t.Helper()
	content := open(t, "http://"+l.address+"/loki/api/v1/query_range?"+
		url.Values{"query": {query}, "limit": {"5000"}, "since": {"1h"}}.Encode())
	var answer struct {
		Data struct {
			Result []struct {
				Stream row
				Values [][2]string
			}
		}
	}
	require.NoError(t, json.Unmarshal(content, &answer), string(content))
	for _, stream := range answer.Data.Result {
		for _, value := range stream.Values {
			r := row{"line": value[1]}
			maps.Copy(r, stream.Stream)
			rows = append(rows, r)
		}
	}
	return rows
}

//go:build linux

package dropin

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// needCollector ends a test with the reason why nothing can be tested.
func needCollector(t *testing.T) {
	t.Helper()
	if installation.missing != "" {
		t.Skip(installation.missing)
	}
}

// TestConfigurationOfAnotherDistribution takes every configuration through
// what its user does: validate, start, reload, look at the health check, send
// one record of each signal, stop.
func TestConfigurationOfAnotherDistribution(t *testing.T) {
	needCollector(t)
	for _, c := range cases {
		t.Run(strings.TrimSuffix(c.file, ".yaml"), func(t *testing.T) {
			s := c.open(t)
			execute(t, s.command("validate"))
			collector := start(t, s.command())
			collector.reload(t)
			if s.serves("health_check") || s.serves("healthcheckv2") {
				assert.Equal(t, http.StatusOK, request(t, http.MethodGet, "http://127.0.0.1:13133/", ""), "health check")
			}
			if len(c.arrives) > 0 && s.serves("otlp") {
				for signal, body := range records {
					assert.Equal(t, http.StatusOK, request(t, http.MethodPost, "http://127.0.0.1:4318/v1/"+signal, body), signal)
				}
			}
			// Stopping sends what still waits in batches and queues.
			collector.stop(t)
			for _, a := range c.arrives {
				assert.True(t, s.sink.received(a.path, a.header, a.value), "%s with %s: %s in\n%s\n%s", a.path, a.header, a.value, s.sink, collector.output)
			}
		})
	}
}

// TestSettingsAreRead compares what a configuration says with what the
// collector made of it: a component built with a core that it was not made for
// can validate, start and use its defaults.
func TestSettingsAreRead(t *testing.T) {
	needCollector(t)
	for _, c := range cases {
		t.Run(strings.TrimSuffix(c.file, ".yaml"), func(t *testing.T) {
			s := c.open(t)
			printed := execute(t, s.command("print-config"))
			assert.Empty(t, lost(s.config, parse(t, printed), ""))
		})
	}
}

// TestEveryComponentIsUsed fails when the distribution has a component or a
// provider that no configuration starts, and when a configuration is not run.
func TestEveryComponentIsUsed(t *testing.T) {
	needCollector(t)
	used := map[string]bool{}
	texts := strings.Builder{}
	for _, c := range cases {
		text, config := c.read(t)
		for _, name := range usedComponents(config) {
			used[name] = true
		}
		texts.Write(text)
		texts.WriteString(strings.Join(append(c.arguments, "--config=file:"), "\n"))
	}
	built := parse(t, execute(t, cases[0].open(t).command("components")))
	for _, class := range []string{"receivers", "processors", "exporters", "connectors", "extensions"} {
		for _, component := range list(built[class]) {
			name := class + " " + component["name"].(string)
			assert.True(t, used[name], "no configuration uses %s", name)
		}
	}
	for _, provider := range list(built["providers"]) {
		assert.Regexp(t, `(\$\{|--config=)`+provider["scheme"].(string)+":", texts.String())
	}
	files, err := filepath.Glob(filepath.Join(installation.configs, "*.yaml"))
	require.NoError(t, err)
	assert.Len(t, cases, len(files), "configurations in %s", installation.configs)
}

// Setup is a case with the servers and the file system that it needs.
type Setup struct {
	Case
	sink        *Sink
	root        string
	config      map[string]any // not expanded
	environment map[string]string
}

// read gives the text of the configuration and what it says, not expanded.
func (c Case) read(t *testing.T) (text []byte, config map[string]any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(installation.configs, c.file))
	require.NoError(t, err)
	return text, parse(t, text)
}

func (c Case) open(t *testing.T) *Setup {
	t.Helper()
	s := &Setup{Case: c, sink: newSink(t), root: newRoot(t, c.programs)}
	var text []byte
	text, s.config = c.read(t)
	addFile(t, s.root, c.path, text)
	for path, content := range c.files {
		addFile(t, s.root, path, []byte(content))
	}
	if c.file == "qtap.yaml" {
		base, err := os.ReadFile(filepath.Join(installation.configs, "grafana-cloud.yaml"))
		require.NoError(t, err)
		addFile(t, s.root, contribPath, base)
		recording, err := os.ReadFile(installation.recording)
		require.NoError(t, err)
		addFile(t, s.root, "/etc/qtap/recording.qtap", recording)
	}
	s.surround(t)
	return s
}

// surround starts what the machine of a configuration has: a Kubernetes API, a
// Docker daemon, servers of configuration, and trust in their certificates.
func (s *Setup) surround(t *testing.T) {
	t.Helper()
	cluster := startCluster(t)
	const account = "/var/run/secrets/kubernetes.io/serviceaccount/"
	addFile(t, s.root, account+"token", []byte("token-of-a-service-account"))
	addFile(t, s.root, account+"namespace", []byte("observability"))
	addFile(t, s.root, account+"ca.crt", certificate(cluster))
	t.Chdir(s.root)
	startDocker(t, "var/run/docker.sock")
	serveFiles(t, "127.0.0.1:8081", false, remoteFiles["http"])
	trusted := serveFiles(t, "127.0.0.1:8443", true, remoteFiles["https"])
	addFile(t, s.root, "/etc/ssl/certs/ca-certificates.crt", trusted)
	addFile(t, s.root, "/etc/hosts", []byte("127.0.0.1 localhost\n"))

	address := strings.TrimPrefix(s.sink.URL, "http://")
	host := strings.Split(strings.TrimPrefix(cluster.URL, "https://"), ":")
	s.environment = map[string]string{"KUBERNETES_SERVICE_HOST": host[0], "KUBERNETES_SERVICE_PORT": host[1]}
	for name, value := range s.Case.environment {
		s.environment[name] = strings.NewReplacer("$SINK", s.sink.URL, "$ADDRESS", address).Replace(value)
	}
}

// command is the collector with the case's configuration.
func (s *Setup) command(arguments ...string) *exec.Cmd {
	if len(arguments) > 0 && arguments[0] == "components" {
		return command(s.root, s.environment, arguments...)
	}
	// The first of several configurations is the one that another adds to.
	arguments = append(arguments, s.arguments...)
	return command(s.root, s.environment, append(arguments, "--config="+s.path)...)
}

// records are one of each signal, as OTLP in JSON.
var records = map[string]string{
	"logs": `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1700000000000000000","severityNumber":17,"body":{"stringValue":"broken"}}]}]}]}`,
	"metrics": `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"queue.length","gauge":{"dataPoints":[` +
		`{"timeUnixNano":"1700000000000000000","asDouble":7}]}}]}]}]}`,
	"traces": `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},` +
		`"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"pay","kind":2,` +
		`"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000001000000000","status":{"code":2}}]}]}]}`,
}

// request sends body as JSON and gives the status of the answer.
func request(t *testing.T, method, url, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewBufferString(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	response.Body.Close()
	return response.StatusCode
}

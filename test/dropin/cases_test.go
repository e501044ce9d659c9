//go:build linux

package dropin

import "maps"

// Case is one configuration and what its user gives the collector with it.
type Case struct {
	file        string            // below distribution/dropin
	path        string            // where it stands in the image that is replaced
	arguments   []string          // after --config=path
	environment map[string]string // $SINK and $ADDRESS are the sink's URL and host:port
	files       map[string]string // others that its user mounts, by path
	programs    bool              // runs on a host with its programs, not in an image
	arrives     []arrival         // what one record of each signal leads to
}

// arrival is a request that the sink gets: its path, and the beginning of the
// header that the configuration's settings put there.
type arrival struct{ path, header, value string }

const (
	contribPath = "/etc/otelcol-contrib/config.yaml"
	chartPath   = "/conf/relay.yaml"
)

// pod is what the chart sets for every pod.
var pod = map[string]string{
	"MY_POD_IP": "127.0.0.1", "K8S_NODE_NAME": "node-1", "K8S_NODE_IP": "127.0.0.1", "GOMEMLIMIT": "400MiB",
	"GATEWAY_ENDPOINT": "$ADDRESS", "OTEL_EXPORTER_OTLP_ENDPOINT": "$SINK",
}

var cases = []Case{
	{file: "contrib-default.yaml", path: contribPath},
	{file: "helm-daemonset.yaml", path: chartPath, environment: pod},
	{file: "helm-cluster.yaml", path: chartPath, environment: pod},
	{
		file: "gateway-loadbalancing.yaml", path: chartPath,
		environment: map[string]string{"SAMPLER_1": "127.0.0.1:1", "SAMPLER_2": "127.0.0.1:2", "SAMPLER_NAME": "localhost"},
	},
	{
		file: "gateway-tail-sampling.yaml", path: chartPath,
		environment: map[string]string{"TEMPO_ENDPOINT": "127.0.0.1:1"},
	},
	{
		file: "grafana-cloud.yaml", path: contribPath,
		environment: grafanaCloud,
		arrives:     otlpArrivals("/otlp", "Authorization", "Basic MTIzNDU2OmdsY19rZXk="),
	},
	{
		file: "grafana-stack.yaml", path: contribPath,
		environment: map[string]string{"LOKI_URL": "$SINK", "TEMPO_ENDPOINT": "127.0.0.1:1", "MIMIR_URL": "$SINK"},
		arrives: []arrival{
			{"/otlp/v1/logs", "X-Scope-OrgID", "team-a"},
			{"/api/v1/push", "X-Scope-OrgID", "team-a"},
		},
	},
	{
		file: "datadog.yaml", path: contribPath,
		environment: map[string]string{"DD_API_KEY": "0123456789abcdef0123456789abcdef", "DD_HOSTNAME": "node-1", "DD_URL": "$SINK"},
		arrives: []arrival{
			{"/api/v2/logs", "Dd-Api-Key", "0123456789abcdef"},
			{"/api/v2/series", "Dd-Api-Key", "0123456789abcdef"},
			{"/api/v0.2/traces", "Dd-Api-Key", "0123456789abcdef"},
		},
	},
	{
		file: "elastic.yaml", path: "/etc/otelcol-config.yml",
		environment: map[string]string{"ELASTIC_ENDPOINT": "$SINK", "ELASTIC_API_KEY": "a2V5", "OPAMP_ENDPOINT": "ws://$ADDRESS/v1/opamp"},
		arrives:     []arrival{{"/_bulk", "Authorization", "APIKey a2V5"}},
	},
	{
		file: "splunk.yaml", path: "/etc/otel/collector/agent_config.yaml",
		environment: map[string]string{
			"SPLUNK_HEC_TOKEN": "00000000-0000-0000-0000-000000000000", "SPLUNK_HEC_URL": "$SINK/services/collector",
			"SPLUNK_ACCESS_TOKEN": "access", "SPLUNK_API_URL": "$SINK", "SPLUNK_INGEST_URL": "$SINK", "SPLUNK_MEMORY_LIMIT_MIB": "460",
		},
		arrives: []arrival{
			{"/services/collector", "Authorization", "Splunk 00000000-"},
			{"/v2/datapoint", "X-Sf-Token", "access"},
			{"/v2/trace/otlp", "X-Sf-Token", "access"},
		},
	},
	{
		file: "aws.yaml", path: "/etc/ecs/config.yaml",
		environment: map[string]string{
			"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
			"AWS_EC2_METADATA_DISABLED": "true", "ECS_CONTAINER_METADATA_URI_V4": "$SINK/v4/id",
			"S3_BUCKET": "telemetry", "S3_ENDPOINT": "$SINK",
			"AMP_REMOTE_WRITE_ENDPOINT": "$SINK/workspaces/ws-1/api/v1/remote_write", "XRAY_OTLP_ENDPOINT": "$SINK/v1/traces",
		},
		arrives: []arrival{
			{"/workspaces/ws-1/api/v1/remote_write", "Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"},
			{"/v1/traces", "Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"},
		},
	},
	{
		file: "honeycomb.yaml", path: contribPath,
		environment: map[string]string{"HONEYCOMB_API_KEY": "hny", "HONEYCOMB_API_ENDPOINT": "127.0.0.1:1", "HONEYCOMB_HTTP_ENDPOINT": "$SINK"},
		arrives:     []arrival{{"/v1/logs", "X-Honeycomb-Team", "hny"}},
	},
	{
		file: "clickhouse.yaml", path: contribPath,
		environment: map[string]string{"CLICKHOUSE_ENDPOINT": "tcp://127.0.0.1:1?dial_timeout=1s", "CLICKHOUSE_PASSWORD": "secret"},
	},
	{
		file: "newrelic.yaml", path: contribPath,
		environment: map[string]string{"NEW_RELIC_LICENSE_KEY": "licence", "NEW_RELIC_OTLP_ENDPOINT": "$SINK"},
		arrives:     otlpArrivals("", "Api-Key", "licence"),
	},
	{
		file: "prometheus-remote-write.yaml", path: chartPath,
		environment: map[string]string{"REMOTE_WRITE_URL": "$SINK/push", "HOSTNAME": "collector-0", "K8S_NODE_NAME": "node-1"},
		files:       map[string]string{"/var/run/secrets/remote-write/token": "token-of-a-file"},
	},
	{
		file: "kafka-buffer.yaml", path: contribPath,
		environment: map[string]string{
			"KAFKA_BROKER": "127.0.0.1:1", "KAFKA_USER": "otel", "KAFKA_PASSWORD": "secret", "OTEL_EXPORTER_OTLP_ENDPOINT": "$SINK",
		},
	},
	{
		file: "node-agent.yaml", path: "/etc/otelcol-contrib/config.yaml", programs: true,
		environment: map[string]string{
			"OAUTH_CLIENT_ID": "id", "OAUTH_CLIENT_SECRET": "secret", "OAUTH_TOKEN_URL": "$SINK/token",
			"OTEL_EXPORTER_OTLP_ENDPOINT": "$SINK", "REDIS_PASSWORD": "secret",
		},
		files:   map[string]string{"/var/log/syslog": "", "/var/log/auth.log": ""},
		arrives: []arrival{{"/v1/metrics", "Authorization", "Bearer token-of-the-test"}},
	},
	{
		file: "routing.yaml", path: contribPath,
		environment: map[string]string{"GATEWAY_USER": "gateway", "GATEWAY_PASSWORD": "secret", "ACME_ENDPOINT": "$SINK"},
		files: map[string]string{
			"/var/lib/otelcol/replay/old.jsonl": `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":17,"body":{"stringValue":"old"}}]}]}]}` + "\n",
		},
	},
	{
		file: "providers.yaml", path: "/etc/otel/config.yaml",
		arguments: []string{"--config=yaml:service::telemetry::logs::level: debug", "--config=env:MORE_CONFIG"},
		environment: map[string]string{
			"OTLP_ENDPOINT": "$SINK", "OTLP_HEADERS": "{api-key: key-of-a-variable}", "BATCH_TIMEOUT": "1s",
			"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
			"MORE_CONFIG": "{service: {pipelines: {logs: {receivers: [otlp], exporters: [otlphttp]}, metrics: {receivers: [otlp], exporters: [otlphttp]}}}}",
		},
		files: map[string]string{
			"/etc/otel/receivers.yaml": "{otlp: {protocols: {http: {endpoint: 0.0.0.0:4318}}}}",
		},
		arrives: otlpArrivals("", "Api-Key", "key-of-a-variable"),
	},
	{
		file: "qtap.yaml", path: "/etc/qtap/qtap.yaml",
		arguments:   []string{"--config=" + contribPath},
		environment: merge(grafanaCloud, map[string]string{"QTAP_REPLAY_FILE": "/etc/qtap/recording.qtap"}),
		arrives:     otlpArrivals("/otlp", "Authorization", "Basic MTIzNDU2OmdsY19rZXk="),
	},
}

// remoteFiles are the parts of providers.yaml that stand on servers: by scheme
// and path.
var remoteFiles = map[string]map[string]string{
	"http":  {"/debug.yaml": "{verbosity: basic}"},
	"https": {"/memory-limiter.yaml": "{check_interval: 1s, limit_mib: 512}", "/config/health-check.yaml": "{endpoint: 127.0.0.1:13133}"},
}

var grafanaCloud = map[string]string{
	"GRAFANA_CLOUD_INSTANCE_ID": "123456", "GRAFANA_CLOUD_API_KEY": "glc_key", "GRAFANA_CLOUD_OTLP_ENDPOINT": "$SINK/otlp",
}

// otlpArrivals are the three signals of an OTLP back end with one header.
func otlpArrivals(prefix, header, value string) []arrival {
	var all []arrival
	for _, signal := range []string{"logs", "metrics", "traces"} {
		all = append(all, arrival{prefix + "/v1/" + signal, header, value})
	}
	return all
}

func merge(all ...map[string]string) map[string]string {
	merged := map[string]string{}
	for _, one := range all {
		maps.Copy(merged, one)
	}
	return merged
}

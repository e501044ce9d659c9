//go:build linux

package dropin

import (
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

// parse reads YAML that is a map.
func parse(t *testing.T, text []byte) map[string]any {
	t.Helper()
	retrieved, err := confmap.NewRetrievedFromYAML(text)
	require.NoError(t, err)
	raw, err := retrieved.AsRaw()
	require.NoError(t, err)
	parsed, is := raw.(map[string]any)
	require.True(t, is, "%T is not a map", raw)
	return parsed
}

// list gives a YAML list of maps.
func list(value any) []map[string]any {
	var all []map[string]any
	values, _ := value.([]any)
	for _, v := range values {
		if m, is := v.(map[string]any); is {
			all = append(all, m)
		}
	}
	return all
}

// kind is a component's type by its identifier: the part before the name.
func kind(id string) string {
	before, _, _ := strings.Cut(id, "/")
	return before
}

// usedComponents lists what a configuration starts, as "class type" with the
// types that are not aliases.
func usedComponents(config map[string]any) []string {
	service, _ := config["service"].(map[string]any)
	found := map[string]bool{}
	add := func(class string, ids any) {
		for _, id := range ids.([]any) {
			name := kind(id.(string))
			if canonical, is := aliases[class+" "+name]; is {
				name = canonical
			}
			found[class+" "+name] = true
		}
	}
	if ids, there := service["extensions"]; there {
		add("extensions", ids)
	}
	connectors, _ := config["connectors"].(map[string]any)
	pipelines, _ := service["pipelines"].(map[string]any)
	for _, p := range pipelines {
		for class, ids := range p.(map[string]any) {
			add(class, ids)
		}
	}
	for id := range connectors {
		for _, class := range []string{"receivers", "exporters"} {
			if found[class+" "+kind(id)] {
				add("connectors", []any{id})
			}
		}
	}
	var names []string
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// serves says whether the service has a component of this type. Two of the
// configurations have theirs in other files.
func (s *Setup) serves(name string) bool {
	for _, used := range usedComponents(s.config) {
		if strings.HasSuffix(used, " "+name) {
			return true
		}
	}
	return s.file == "providers.yaml" || s.file == "qtap.yaml"
}

// aliases are the types that components had before they were renamed, and what
// they are called now. The configurations use the old ones wherever there is
// one.
var aliases = map[string]string{
	"receivers filelog":               "file_log",
	"receivers fluentforward":         "fluent_forward",
	"receivers hostmetrics":           "host_metrics",
	"receivers kubeletstats":          "kubelet_stats",
	"receivers otlpjsonfile":          "otlp_json_file",
	"receivers tcplog":                "tcp_log",
	"receivers udplog":                "udp_log",
	"processors cumulativetodelta":    "cumulative_to_delta",
	"processors deltatocumulative":    "delta_to_cumulative",
	"processors deltatorate":          "delta_to_rate",
	"processors k8sattributes":        "k8s_attributes",
	"processors metricstransform":     "metrics_transform",
	"processors resourcedetection":    "resource_detection",
	"connectors servicegraph":         "service_graph",
	"connectors signaltometrics":      "signal_to_metrics",
	"connectors spanmetrics":          "span_metrics",
	"exporters otlp":                  "otlp_grpc",
	"exporters otlphttp":              "otlp_http",
	"exporters loadbalancing":         "load_balancing",
	"exporters prometheusremotewrite": "prometheus_remote_write",
}

// unprinted are settings, by name or path, that are not printed as they were
// given. Components read them in code of their own, which refuses what it does
// not know; that the last one is read is seen at its address.
var unprinted = map[string]bool{
	"scrapers": true, "operators": true, "policies": true,
	"::exporters::datadog::traces::endpoint": true,
}

// lost lists the settings that a component was given and does not have. What
// comes from a variable and what is secret cannot be compared.
func lost(given, has any, path string) []string {
	switch given := given.(type) {
	case nil:
		return nil
	case map[string]any:
		values, is := asMap(has)
		if !is {
			return compare(given, has, path)
		}
		var all []string
		for name, value := range given {
			inner, there := values[name]
			switch {
			case unprinted[name] || unprinted[path+"::"+name]:
			case there:
				all = append(all, lost(value, inner, path+"::"+name)...)
			case !isEmpty(value, name):
				all = append(all, fmt.Sprintf("%s::%s is not there", path, name))
			}
		}
		return all
	case []any:
		values, is := has.([]any)
		if !is || len(values) != len(given) {
			return compare(given, has, path)
		}
		var all []string
		for i := range given {
			all = append(all, lost(given[i], values[i], fmt.Sprintf("%s[%d]", path, i))...)
		}
		return all
	default:
		return compare(given, has, path)
	}
}

// isEmpty says whether what is not printed can have been read: false, nothing,
// or an enabled that is shown by the rest being there.
func isEmpty(value any, name string) bool {
	inner, is := value.(map[string]any)
	for name, v := range inner {
		if !isEmpty(v, name) {
			return false
		}
	}
	return is || value == nil || value == false || name == "enabled" && value == true
}

// asMap gives a map, also where headers are printed as a list of their names
// and values.
func asMap(has any) (map[string]any, bool) {
	if values, is := has.(map[string]any); is {
		return values, true
	}
	pairs := list(has)
	values := map[string]any{}
	for _, pair := range pairs {
		name, _ := pair["name"].(string)
		values[name] = pair["value"]
	}
	return values, len(pairs) > 0
}

func compare(given, has any, path string) []string {
	if values, is := has.([]any); is && len(values) == 1 {
		if _, is := given.([]any); !is { // one value where several may stand
			has = values[0]
		}
	}
	want, got := strings.ReplaceAll(fmt.Sprint(given), "$$", "$"), fmt.Sprint(has)
	if strings.EqualFold(want, got) || strings.Contains(want, "${") || got == "[REDACTED]" {
		return nil
	}
	wanted, err1 := time.ParseDuration(want)
	gotten, err2 := time.ParseDuration(got)
	if err1 == nil && err2 == nil && wanted == gotten {
		return nil
	}
	return []string{fmt.Sprintf("%s is %s, not %s", path, got, want)}
}

// TestLostSettings shows that a setting that did not reach its component is
// told, and what is only written differently is not.
func TestLostSettings(t *testing.T) {
	given := `{timeout: 60s, queue: {size: 10, items: [a, b]}, token: secret, url: "${env:URL}", empty: }`
	for name, c := range map[string]struct{ has, want string }{
		"all that was given":            {`{timeout: 1m0s, queue: {size: 10, items: [a, b], more: 1}, token: "[REDACTED]", url: http://x}`, ""},
		"another value":                 {`{timeout: 5s, queue: {size: 10, items: [a, b]}, token: secret, url: x}`, "::timeout is 5s, not 60s"},
		"a default inside":              {`{timeout: 60s, queue: {items: [a, b]}, token: secret, url: x}`, "::queue::size is not there"},
		"a list of another length":      {`{timeout: 60s, queue: {size: 10, items: [a]}, token: secret, url: x}`, "::queue::items is [a], not [a b]"},
		"nothing where there was a map": {`{timeout: 60s, queue: , token: secret, url: x}`, "::queue is <nil>, not map[items:[a b] size:10]"},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			require.Equal(t, want, lost(parse(t, []byte(given)), parse(t, []byte(c.has)), ""))
		})
	}
}

//go:build linux

package dropin

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// clusterKinds are the resources of the test's Kubernetes cluster by API group
// and version. It has none of any kind: the receivers have to be able to start,
// not to find something.
var clusterKinds = map[string]map[string]string{
	"v1": {
		"pods": "Pod", "nodes": "Node", "namespaces": "Namespace", "services": "Service",
		"replicationcontrollers": "ReplicationController", "resourcequotas": "ResourceQuota",
	},
	"apps/v1": {
		"deployments": "Deployment", "replicasets": "ReplicaSet", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet",
	},
	"batch/v1":             {"jobs": "Job", "cronjobs": "CronJob"},
	"autoscaling/v2":       {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
	"discovery.k8s.io/v1":  {"endpointslices": "EndpointSlice"},
	"networking.k8s.io/v1": {"ingresses": "Ingress"},
}

// startCluster serves the part of the Kubernetes API that receivers start with,
// and gives the server.
func startCluster(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(answerCluster))
	t.Cleanup(func() { closeServer(server) })
	return server
}

func answerCluster(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	version := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")
	if kinds, there := clusterKinds[version]; there {
		var resources []string
		for name, kind := range kinds {
			resources = append(resources, fmt.Sprintf(`{"name":%q,"kind":%q,"namespaced":true,"verbs":["list","watch"]}`, name, kind))
		}
		fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":%q,"resources":[%s]}`, version, strings.Join(resources, ","))
		return
	}
	for version, kinds := range clusterKinds {
		kind, there := kinds[path.Base(r.URL.Path)]
		if !there || !strings.HasPrefix(r.URL.Path, "/api/"+version+"/") && !strings.HasPrefix(r.URL.Path, "/apis/"+version+"/") {
			continue
		}
		if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
			version, kind = "meta.k8s.io/v1", "PartialObjectMetadata"
		}
		if r.URL.Query().Has("watch") {
			watchCluster(w, r, version, kind)
			return
		}
		fmt.Fprintf(w, `{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"1"},"items":[]}`, kind+"List", version)
		return
	}
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
}

// watchCluster says that everything has been listed, and then nothing more
// until the client leaves.
func watchCluster(w http.ResponseWriter, r *http.Request, version, kind string) {
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"1",`+
			`"annotations":{"k8s.io/initial-events-end":"true"}}}}`+"\n", kind, version)
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// startDocker serves a Docker daemon without containers on the socket path,
// which may be relative: an absolute one can be too long for a socket.
func startDocker(t *testing.T, socket string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.44")
		w.Header().Set("Content-Type", "application/json")
		switch path.Base(r.URL.Path) {
		case "json":
			fmt.Fprint(w, `[]`)
		case "events":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			fmt.Fprint(w, `{"Name":"docker-host","OSType":"linux"}`)
		}
	}))
	server.Listener.Close()
	var err error
	server.Listener, err = net.Listen("unix", socket)
	require.NoError(t, err)
	server.Start()
	t.Cleanup(func() { closeServer(server) })
}

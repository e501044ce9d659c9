//go:build linux

package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// objects are those of daemonset.yaml, in their types.
type objects struct {
	namespace corev1.Namespace
	account   corev1.ServiceAccount
	role      rbacv1.ClusterRole
	binding   rbacv1.ClusterRoleBinding
	config    corev1.ConfigMap
	daemonSet appsv1.DaemonSet
}

// decode is as strict as an API server that is asked to be: a key that a type
// does not have is an error.
func decode(t *testing.T) *objects {
	t.Helper()
	var all objects
	types := map[metav1.TypeMeta]any{
		{APIVersion: "v1", Kind: "Namespace"}:                                    &all.namespace,
		{APIVersion: "v1", Kind: "ServiceAccount"}:                               &all.account,
		{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"}:        &all.role,
		{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRoleBinding"}: &all.binding,
		{APIVersion: "v1", Kind: "ConfigMap"}:                                    &all.config,
		{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "DaemonSet"}:      &all.daemonSet,
	}
	for document := range bytes.SplitSeq(read(t, "distribution/kubernetes/daemonset.yaml"), []byte("\n---\n")) {
		var kind metav1.TypeMeta
		require.NoError(t, yaml.Unmarshal(document, &kind))
		into, known := types[kind]
		require.Truef(t, known, "%v: unknown, or there twice", kind)
		decodeStrictly(t, document, into)
		delete(types, kind)
	}
	require.Empty(t, types, "all are there")
	return &all
}

// decodeStrictly minds the case of keys too, as the API server does; the
// decoder of the yaml package alone would not.
func decodeStrictly(t *testing.T, document []byte, into any) {
	t.Helper()
	content, err := yaml.YAMLToJSONStrict(document)
	require.NoError(t, err)
	refused, err := json.UnmarshalStrict(content, into)
	require.NoError(t, err)
	require.Empty(t, refused)
}

// TestKubernetesObjectsBelongTogether: each name leads to what it names.
func TestKubernetesObjectsBelongTogether(t *testing.T) {
	all := decode(t)
	namespace := all.namespace.Name
	assert.Equal(t, "privileged", all.namespace.Labels["pod-security.kubernetes.io/enforce"])
	for _, meta := range []metav1.ObjectMeta{all.account.ObjectMeta, all.config.ObjectMeta, all.daemonSet.ObjectMeta} {
		assert.Equal(t, namespace, meta.Namespace)
	}
	assert.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: all.role.Name}, all.binding.RoleRef)
	assert.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: all.account.Name, Namespace: namespace}}, all.binding.Subjects)
	for _, rule := range all.role.Rules {
		assert.Equal(t, []string{"get", "list", "watch"}, rule.Verbs, "it changes nothing")
	}
	pod := all.daemonSet.Spec.Template
	assert.Equal(t, all.account.Name, pod.Spec.ServiceAccountName)
	assert.Equal(t, all.daemonSet.Spec.Selector.MatchLabels, pod.Labels)
	assert.True(t, pod.Spec.HostPID)
	assert.False(t, pod.Spec.HostNetwork)

	container := pod.Spec.Containers[0]
	volumes := map[string]corev1.Volume{}
	for _, volume := range pod.Spec.Volumes {
		volumes[volume.Name] = volume
	}
	for _, mount := range container.VolumeMounts {
		assert.Contains(t, volumes, mount.Name)
	}
	assert.Equal(t, all.config.Name, volumes["config"].ConfigMap.Name)
	ports := map[string]int32{}
	for _, port := range container.Ports {
		ports[port.Name] = port.ContainerPort
		assert.Zero(t, port.HostPort)
	}
	assert.Equal(t, int32(13133), ports["health"])
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		assert.Contains(t, ports, probe.HTTPGet.Port.String())
	}
	assert.Negative(t, container.Resources.Requests.Memory().Cmp(*container.Resources.Limits.Memory()))
	assertLeastPrivilege(t, pod.Spec.SecurityContext, container.SecurityContext)
}

// assertLeastPrivilege is the user of the image with what the image can use.
func assertLeastPrivilege(t *testing.T, pod *corev1.PodSecurityContext, container *corev1.SecurityContext) {
	t.Helper()
	assert.True(t, *pod.RunAsNonRoot)
	for _, id := range []*int64{pod.RunAsUser, pod.RunAsGroup, pod.FSGroup} {
		assert.Equal(t, int64(containerUser), *id)
	}
	assert.False(t, *container.Privileged)
	assert.True(t, *container.ReadOnlyRootFilesystem)
	assert.True(t, *container.AllowPrivilegeEscalation, "otherwise file capabilities have no effect")
	assert.Equal(t, []corev1.Capability{"ALL"}, container.Capabilities.Drop)
	var added []string
	for _, capability := range container.Capabilities.Add {
		added = append(added, "CAP_"+string(capability))
	}
	assert.ElementsMatch(t, allCapabilities, added)
}

// TestConfigurationInTheConfigMap is taken by the real collector, with the
// variables that the DaemonSet sets and no others.
func TestConfigurationInTheConfigMap(t *testing.T) {
	all := decode(t)
	container := all.daemonSet.Spec.Template.Spec.Containers[0]
	require.Equal(t, []string{"--config", "/etc/otelcol-qtap/config.yaml"}, container.Args)
	validate(t, all.config.Data["config.yaml"], container.Env)
}

// helmValues are the values whose types are those of Kubernetes, and others
// that matter. What the chart makes of them only Helm could show.
type helmValues struct {
	Mode    string `json:"mode"`
	HostPID bool   `json:"hostPID"`
	Image   struct {
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
	} `json:"image"`
	Command struct {
		Name string `json:"name"`
	} `json:"command"`
	PodSecurityContext *corev1.PodSecurityContext  `json:"podSecurityContext"`
	SecurityContext    *corev1.SecurityContext     `json:"securityContext"`
	Tolerations        []corev1.Toleration         `json:"tolerations"`
	Resources          corev1.ResourceRequirements `json:"resources"`
	Presets            struct {
		KubernetesAttributes struct {
			Enabled bool `json:"enabled"`
		} `json:"kubernetesAttributes"`
	} `json:"presets"`
	ExtraEnvs         []corev1.EnvVar      `json:"extraEnvs"`
	ExtraVolumes      []corev1.Volume      `json:"extraVolumes"`
	ExtraVolumeMounts []corev1.VolumeMount `json:"extraVolumeMounts"`
	Ports             map[string]struct {
		Enabled bool `json:"enabled"`
	} `json:"ports"`
	AlternateConfig map[string]any `json:"alternateConfig"`
}

// TestHelmValues are the DaemonSet in the words of the chart.
func TestHelmValues(t *testing.T) {
	var values helmValues
	decodeStrictly(t, read(t, "distribution/kubernetes/helm-values.yaml"), &values)
	pod := decode(t).daemonSet.Spec.Template.Spec
	container := pod.Containers[0]
	assert.Equal(t, "daemonset", values.Mode)
	assert.True(t, values.HostPID)
	assert.Equal(t, container.Image, values.Image.Repository+":"+values.Image.Tag)
	assert.Equal(t, "otelcol-qtap", values.Command.Name)
	assert.Equal(t, pod.SecurityContext, values.PodSecurityContext)
	assert.Equal(t, container.SecurityContext, values.SecurityContext)
	assertLeastPrivilege(t, values.PodSecurityContext, values.SecurityContext)
	assert.Equal(t, pod.Tolerations, values.Tolerations)
	assert.Equal(t, container.Resources, values.Resources)
	// The chart mounts the configuration itself.
	assert.Equal(t, pod.Volumes[1:], values.ExtraVolumes)
	assert.Equal(t, container.VolumeMounts[1:], values.ExtraVolumeMounts)

	config, err := yaml.Marshal(values.AlternateConfig)
	require.NoError(t, err)
	// MY_POD_IP is set by the chart.
	validate(t, string(config), append(values.ExtraEnvs, corev1.EnvVar{Name: "MY_POD_IP"}))
}

var variable = regexp.MustCompile(`\$\{env:(\w+)`)

// validate lets the collector check a configuration, in an environment that
// has nothing else. Values that only a cluster knows are an address.
func validate(t *testing.T, config string, environment []corev1.EnvVar) {
	t.Helper()
	needBinary(t)
	var set []string
	names := map[string]bool{}
	for _, entry := range environment {
		value := entry.Value
		if value == "" {
			value = "192.0.2.1"
		}
		names[entry.Name] = true
		set = append(set, entry.Name+"="+value)
	}
	for _, reference := range variable.FindAllStringSubmatch(config, -1) {
		assert.Truef(t, names[reference[1]], "%s is not set", reference[1])
	}
	name := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(name, []byte(config), 0o600))
	command := exec.Command(collector, "validate", "--config", name)
	command.Env = set
	out, err := command.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	assert.NotContains(t, strings.ToLower(string(out)), "warn")
}

package target

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

const (
	id64    = "4e5c4a3f9b0d2e6a7c8b1f0e9d8c7b6a5f4e3d2c1b0a99887766554433221100"
	other64 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	pod     = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
	podUnit = "0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9"
)

// names splits a control group's path as the kernel side reports it.
func names(path string) []string {
	n := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	slices.Reverse(n)
	return n
}

func TestMembership(t *testing.T) {
	for _, c := range []struct{ name, path, container, pod string }{
		{"docker with the systemd driver", "/system.slice/docker-" + id64 + ".scope", id64, ""},
		{"docker with the cgroupfs driver", "/docker/" + id64, id64, ""},
		{"a subgroup made inside of the container", "/docker/" + id64 + "/init.scope", id64, ""},
		{"podman", "/machine.slice/libpod-" + id64 + ".scope/container", id64, ""},
		{"podman with split groups", "/user.slice/app.service/libpod-payload-" + id64, id64, ""},
		{"containerd in Kubernetes, systemd driver", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podUnit + ".slice/cri-containerd-" + id64 + ".scope", id64, pod},
		{"CRI-O with a guaranteed pod", "/kubepods.slice/kubepods-pod" + podUnit + ".slice/crio-" + id64 + ".scope", id64, pod},
		{"Kubernetes with the cgroupfs driver", "/kubepods/burstable/pod" + pod + "/" + id64, id64, pod},
		{"a guaranteed pod with the cgroupfs driver", "/kubepods/pod" + pod + "/" + id64, id64, pod},
		{"kind: a node that is a container itself", "/docker/" + other64 + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + podUnit + ".slice/cri-containerd-" + id64 + ".scope", id64, pod},
		{"a static pod, whose UID is a hash", "/kubepods/besteffort/pod0123456789abcdef0123456789abcdef/" + id64, id64, "0123456789abcdef0123456789abcdef"},
		{"mismatched drivers of kubelet and containerd", "/system.slice/containerd.service/kubepods-besteffort-pod" + podUnit + ".slice:cri-containerd:" + id64, id64, pod},
		{"a pod without a container", "/docker/" + id64 + "/kubepods/burstable/pod" + pod, "", pod},
		{"ECS on EC2", "/ecs/0123456789abcdef0123456789abcdef/" + id64, id64, ""},
		{"ECS on Fargate", "/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-3057940393", "0123456789abcdef0123456789abcdef-3057940393", ""},
		{"Garden", "/system.slice/garden.service/garden/0a1b2c3d-4e5f-6071-8293-a4b5", "0a1b2c3d-4e5f-6071-8293-a4b5", ""},
		{"Garden with a UUID", "/garden/" + pod, pod, ""},
		{"LXC of version 1", "/lxc/web", "web", ""},
		{"LXC of version 2", "/lxc.payload.web/system.slice/nginx.service", "web", ""},
		{"systemd-nspawn with an escaped name", `/machine.slice/systemd-nspawn@web\x2d1.service/payload`, "web-1", ""},
		{"docker in docker: the inner one", "/docker/" + other64 + "/docker/" + id64, id64, ""},
		{"docker in LXC", "/lxc.payload.web/docker/" + id64, id64, ""},

		{"the root", "/", "", ""},
		{"a service", "/system.slice/nginx.service", "", ""},
		{"a user session", "/user.slice/user-1000.slice/session-3.scope", "", ""},
		{"the monitor of a podman container", "/machine.slice/libpod-conmon-" + id64 + ".scope", "", ""},
		{"the monitor of a CRI-O container", "/system.slice/crio-conmon-" + id64 + ".scope", "", ""},
		{"the monitor of an LXC container", "/lxc.monitor.web", "", ""},
		{"a virtual machine", `/machine.slice/machine-qemu\x2d1\x2dweb.scope`, "", ""},
		{"63 digits", "/docker/" + id64[1:], "", ""},
		{"65 digits", "/docker/0" + id64, "", ""},
		{"upper case digits", "/docker/" + strings.ToUpper(id64), "", ""},
		{"a folder that begins with pod", "/services/pod" + pod, "", ""},
		{"a UUID that is no container", "/process_api/" + pod, "", ""},
		{"32 digits that are no container", "/process_api/0123456789abcdef0123456789abcdef", "", ""},
		{"a slice that is no pod's", "/kubepods.slice/kubepods-burstable.slice", "", ""},
		{"a broken pod UID", "/kubepods.slice/kubepods-pod0a1b2c3d_4e5f.slice", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			container, podUID := membership(names(c.path))
			assert.Equal(t, c.container, container, "container")
			assert.Equal(t, c.pod, podUID, "pod")
		})
	}
}

// FuzzMembership: whatever a control group is named, the result is a part of a
// name and of a sane form.
func FuzzMembership(f *testing.F) {
	f.Add("/kubepods.slice/kubepods-burstable-pod" + podUnit + ".slice/cri-containerd-" + id64 + ".scope")
	f.Add("/docker/" + id64)
	f.Add("/ecs/x/0123456789abcdef0123456789abcdef-3057940393")
	f.Add(`/machine.slice/systemd-nspawn@\x2d\x2.service/:`)
	f.Add("/lxc.payload./-.scope/pod.slice")
	f.Fuzz(func(t *testing.T, path string) {
		container, podUID := membership(names(path))
		if len(container) > len(path) || (utf8.ValidString(path) && !strings.Contains(path, `\x`) && !strings.Contains(path, container)) {
			t.Fatalf("container %q is not in %q", container, path)
		}
		if podUID != "" && !isHex(podUID, 32) && !isUUID(podUID, '-') {
			t.Fatalf("pod %q", podUID)
		}
		if podUID != "" && !strings.Contains(path, "kubepods") {
			t.Fatalf("pod %q outside of the kubelet's tree: %q", podUID, path)
		}
	})
}

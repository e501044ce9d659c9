//go:build linux

package e2e

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// processIdentity: who it was, also when it has long ended.
func processIdentity(t *testing.T, c *Collector) {
	server := startServer(t, program("goserver"), "127.0.0.1:0")
	t.Run("processes that live for milliseconds", func(t *testing.T) {
		pids := make(map[string]int)
		for range 30 {
			token := newToken()
			command := exec.Command("curl", "-sS", "http://"+server.Address+"/"+token)
			require.NoError(t, command.Run())
			pids["/"+token] = command.Process.Pid
		}
		for path, pid := range pids {
			e := c.expect(t, Exchange{Path: path, Client: "curl", Server: "goserver"})
			assert.EqualValues(t, pid, e.client.Request.Resource["process.pid"])
			assert.Equal(t, "/usr/bin/curl", e.client.Request.Resource["process.executable.path"])
			assert.Equal(t, "root", e.client.Request.Resource["process.owner"])
		}
	})
	t.Run("an executable that is removed while it runs", func(t *testing.T) {
		exe := openCopy(t, program("goclient"))
		path := "/" + newToken() + "?size=10"
		command := exec.Command(exe, "http://"+server.Address)
		input, err := command.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		require.NoError(t, os.Remove(exe))
		_, _ = fmt.Fprintf(input, `[{"method":"GET","path":%q}]`, path)
		require.NoError(t, input.Close())
		require.NoError(t, command.Wait())
		e := c.expect(t, Exchange{Path: path, ResponseBody: text(tokenForm.FindString(path), 10)})
		assert.Equal(t, exe, e.client.Request.Resource["process.executable.path"])
	})
	t.Run("the same process as another program", func(t *testing.T) {
		// One PID, two images, one request each.
		first, second := "/"+newToken(), "/"+newToken()
		execute(t, "", installation.python, "-c", fmt.Sprintf(
			"import http.client,os\nc=http.client.HTTPConnection(%q)\nc.request('GET',%q)\nc.getresponse().read()\nos.execvp('curl',['curl','-sS','http://%s%s'])",
			server.Address, first, server.Address, second))
		before := c.expect(t, Exchange{Path: first, Client: filepath.Base(installation.python)})
		after := c.expect(t, Exchange{Path: second, Client: "curl"})
		assert.Equal(t, before.client.Request.Resource["process.pid"], after.client.Request.Resource["process.pid"])
	})
	t.Run("another user", func(t *testing.T) {
		for _, user := range []struct{ uid, name string }{{"65534", "nobody"}, {"54321", "54321"}} {
			path := "/" + newToken()
			execute(t, "", "setpriv", "--reuid", user.uid, "--clear-groups", "curl", "-sS", "http://"+server.Address+path)
			e := c.expect(t, Exchange{Path: path, Client: "curl"})
			assert.Equal(t, user.name, e.client.Request.Resource["process.owner"])
			assert.Equal(t, "root", e.server.Request.Resource["process.owner"])
		}
	})
	for _, version := range []int{2, 1} {
		t.Run(fmt.Sprintf("a container in control groups of version %d", version), func(t *testing.T) {
			inContainer(t, c, server, version)
		})
	}
}

// inContainer runs curl in control groups named as a container runtime does.
func inContainer(t *testing.T, c *Collector, server *Server, version int) {
	roots := cgroupRoots(t, version)
	if len(roots) == 0 {
		t.Skipf("this machine has no control groups of version %d", version)
	}
	sum := sha256.Sum256([]byte(newToken()))
	id := hex.EncodeToString(sum[:])
	const pod = "5f7a1c3e-9b2d-4e6f-8a1b-2c3d4e5f6a7b"
	outer, inner := "docker-"+id+".scope", ""
	if version == 1 {
		outer, inner = "kubepods-pod"+strings.ReplaceAll(pod, "-", "_")+".slice", "cri-containerd-"+id+".scope"
	}
	var join strings.Builder
	for _, root := range roots {
		dir := filepath.Join(root, outer)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, inner), 0o755))
		t.Cleanup(func() {
			for _, d := range []string{filepath.Join(dir, inner), dir} {
				_ = os.Remove(d)
			}
		})
		fmt.Fprintf(&join, "echo $$ > %s && ", filepath.Join(dir, inner, "cgroup.procs"))
	}
	path := "/" + newToken()
	execute(t, "", "sh", "-c", join.String()+"exec curl -sS http://"+server.Address+path)
	e := c.expect(t, Exchange{Path: path, Client: "curl"})
	assert.Equal(t, id, e.client.Request.Resource["container.id"])
	assert.Equal(t, id, objectOf(t, e.client).Metadata.ContainerID)
	assert.NotContains(t, e.server.Request.Resource, "container.id")
	if version == 1 {
		assert.Equal(t, pod, e.client.Request.Resource["k8s.pod.uid"])
	} else {
		assert.NotContains(t, e.client.Request.Resource, "k8s.pod.uid")
	}
}

// cgroupRoots returns where hierarchies of the version are mounted. Of version
// 1 these are the ones that container runtimes use and that need no settings.
func cgroupRoots(t *testing.T, version int) (roots []string) {
	t.Helper()
	file, err := os.Open("/proc/self/mounts")
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case version == 2 && fields[2] == "cgroup2":
			return []string{fields[1]}
		case version == 1 && fields[2] == "cgroup" && (strings.Contains(fields[3], "memory") || strings.Contains(fields[3], "pids")):
			roots = append(roots, fields[1])
		}
	}
	return roots
}

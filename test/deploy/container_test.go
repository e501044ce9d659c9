//go:build linux

package deploy

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type object = map[string]any

// capabilityNumber is that of capabilities(7).
var capabilityNumber = map[string]uint{
	"CAP_DAC_READ_SEARCH": 2, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39,
}

var allCapabilities = []string{"CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE", "CAP_PERFMON", "CAP_BPF"}

// mask is how /proc/PID/status writes a set of capabilities.
func mask(names []string) (set uint64) {
	for _, name := range names {
		set |= 1 << capabilityNumber[name]
	}
	return set
}

// running is how a container runs: as Docker and Kubernetes do it, with the
// host's processes in sight, an own network, a root that cannot be written,
// the volume and /tmp.
type running struct {
	root            bool // instead of the user of the image
	capabilities    []string
	permitted       bool // before the entrypoint is executed, as containerd grants them; Docker does so for root only
	ambient         bool // as systemd grants them
	noNewPrivileges bool
	ownProcesses    bool              // a namespace without the host's processes
	systemCalls     []string          // all others are refused; nil refuses none
	arguments       []string          // of the entrypoint; nil are those of the image
	entrypoint      string            // "" is that of the image
	files           map[string]string // mounted files: path in the container to path here
}

// container is a running one.
type container struct {
	t       *testing.T
	folder  string
	volume  string
	command *exec.Cmd
	exited  chan struct{} // closed when it has ended
	err     error         // of the entrypoint, once exited is closed
}

const containerUser = 10001

// run starts a container of the image with runc. It ends with the test.
func run(t *testing.T, how running) *container {
	t.Helper()
	need(t, "runc")
	image := unpackedImage(t, thisArchitecture(t))
	c := &container{t: t, folder: t.TempDir(), exited: make(chan struct{})}
	c.volume = filepath.Join(c.folder, "volume")
	require.NoError(t, os.Mkdir(c.volume, 0o755))
	require.NoError(t, os.Chown(c.volume, containerUser, containerUser))
	spec, err := json.Marshal(c.spec(image, how))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(c.folder, "config.json"), spec, 0o600))

	var random [4]byte
	_, err = rand.Read(random[:])
	require.NoError(t, err)
	id := "qtap-deploy-" + hex.EncodeToString(random[:])
	state := filepath.Join(c.folder, "state")
	c.command = exec.Command("runc", "--root", state, "run", "--bundle", c.folder,
		"--pid-file", filepath.Join(c.folder, "pid"), id)
	stdout, err := os.Create(filepath.Join(c.folder, "stdout"))
	require.NoError(t, err)
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(c.folder, "stderr"))
	require.NoError(t, err)
	defer stderr.Close()
	c.command.Stdout, c.command.Stderr = stdout, stderr
	require.NoError(t, c.command.Start())
	go func() {
		c.err = c.command.Wait()
		close(c.exited)
	}()
	t.Cleanup(func() {
		_ = exec.Command("runc", "--root", state, "delete", "--force", id).Run()
		<-c.exited
		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%s", c.read("stdout"), c.read("stderr"))
		}
	})
	return c
}

func thisArchitecture(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOHOSTARCH").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// spec is the configuration of the OCI runtime specification, version 1.0.2,
// that a container engine makes of an image and its options.
func (c *container) spec(image *rootFS, how running) object {
	user := containerUser
	if how.root {
		user = 0
	}
	entrypoint, arguments := image.Config.Entrypoint, how.arguments
	if how.entrypoint != "" {
		entrypoint = []string{how.entrypoint}
	}
	if arguments == nil {
		arguments = image.Config.Cmd
	}
	mounts := []object{
		{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755"}},
		{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": []string{"nosuid", "noexec", "nodev", "ro"}},
		{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "nodev", "mode=1777"}},
		{"destination": "/var/lib/otelcol-qtap", "type": "bind", "source": c.volume, "options": []string{"bind", "rw"}},
	}
	for inside, here := range how.files {
		mounts = append(mounts, object{"destination": inside, "type": "bind", "source": here, "options": []string{"bind", "ro"}})
	}
	granted := append([]string{}, how.capabilities...)
	// The least that an engine does, for a user that is not root.
	capabilities := object{"bounding": granted}
	if how.permitted || how.ambient {
		capabilities["permitted"], capabilities["effective"] = granted, granted
	}
	if how.ambient {
		capabilities["inheritable"], capabilities["ambient"] = granted, granted
	}
	namespaces := []object{{"type": "mount"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "cgroup"}}
	if how.ownProcesses {
		namespaces = append(namespaces, object{"type": "pid"})
	}
	spec := object{
		"ociVersion": "1.0.2",
		"process": object{
			"user":            object{"uid": user, "gid": user},
			"args":            append(append([]string{}, entrypoint...), arguments...),
			"env":             image.Config.Env,
			"cwd":             "/",
			"capabilities":    capabilities,
			"noNewPrivileges": how.noNewPrivileges,
		},
		"root":   object{"path": image.folder, "readonly": true},
		"mounts": mounts,
		"linux": object{
			"namespaces":    namespaces,
			"maskedPaths":   []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
			"readonlyPaths": []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if how.systemCalls != nil {
		spec["linux"].(object)["seccomp"] = object{
			"defaultAction": "SCMP_ACT_ERRNO",
			"syscalls":      []object{{"names": how.systemCalls, "action": "SCMP_ACT_ALLOW"}},
		}
	}
	return spec
}

func (c *container) read(file string) string {
	content, err := os.ReadFile(filepath.Join(c.folder, file))
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// await waits until a stream has a text, and fails when the container ends
// without it.
func (c *container) await(stream, text string) {
	c.t.Helper()
	eventually(c.t, func() bool {
		select {
		case <-c.exited:
			require.Containsf(c.t, c.read(stream), text, "it ended: %v", c.err)
		default:
		}
		return strings.Contains(c.read(stream), text)
	}, func() string { return "no " + strconv.Quote(text) + " in " + stream })
}

// awaitReady waits until the Collector says that everything runs.
func (c *container) awaitReady() {
	c.t.Helper()
	c.await("stderr", "Everything is ready")
}

// awaitExit waits for the end and returns the exit status.
func (c *container) awaitExit() int {
	c.t.Helper()
	select {
	case <-c.exited:
	case <-time.After(60 * time.Second):
		c.t.Fatal("the container does not end")
	}
	if status, is := errors.AsType[*exec.ExitError](c.err); is {
		return status.ExitCode()
	}
	require.NoError(c.t, c.err)
	return 0
}

// pid is that of the collector on this host.
func (c *container) pid() int {
	c.t.Helper()
	pid, err := strconv.Atoi(c.read("pid"))
	require.NoError(c.t, err)
	return pid
}

func (c *container) signal(signal syscall.Signal) {
	c.t.Helper()
	require.NoError(c.t, syscall.Kill(c.pid(), signal))
}

// status returns a line of /proc/PID/status.
func (c *container) status(key string) string {
	c.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid()))
	require.NoError(c.t, err)
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, key+":"); found {
			return strings.TrimSpace(value)
		}
	}
	c.t.Fatalf("no %s in the status", key)
	return ""
}

// capabilities returns one of its sets: CapEff and the like.
func (c *container) capabilities(set string) uint64 {
	c.t.Helper()
	value, err := strconv.ParseUint(c.status(set), 16, 64)
	require.NoError(c.t, err)
	return value
}

package target

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const statOfCommand = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 10 18446744073709551615\n"

// procOf writes a process 7, started at tick 4242, to a folder like /proc.
func procOf(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "7")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return root
}

func whole() map[string]string {
	return map[string]string{
		"stat":   statOfCommand,
		"status": "Name:\tx\nUid:\t1000\t33\t33\t33\nGid:\t0\n",
		"cgroup": "4:memory:/docker/" + id64 + "\n1:cpu:/\n0::/system.slice/docker.service\n",
	}
}

func TestProcIsBelievedOnlyForTheSameProcess(t *testing.T) {
	for _, c := range []struct {
		name       string
		generation uint64
		want       bool
	}{
		{"started in that tick", 42_420_000_000, true},
		{"at the end of that tick", 42_429_999_999, true},
		{"at the end of that tick, after many executions", 42_429_999_999 + 5000, true},
		{"one tick earlier", 42_419_999_999, false},
		{"one tick later", 42_431_000_000, false},
		{"long ago", 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, ok := probeProc(procOf(t, whole()), key(7, c.generation))
			assert.Equal(t, c.want, ok)
			if ok {
				assert.Equal(t, uint32(33), f.uid)
				assert.Equal(t, []string{"docker.service", "system.slice"}, f.cgroupV2)
				assert.Equal(t, []string{id64, "docker"}, f.cgroupV1)
			}
		})
	}
}

func TestBrokenProcIsNotBelieved(t *testing.T) {
	for _, c := range []struct{ name, file, content string }{
		{"stat without a command", "stat", "7 x S 1 7"},
		{"stat cut short", "stat", "7 (x) S 1 7 7"},
		{"stat with a word for the start", "stat", strings.Replace(statOfCommand, "4242", "soon", 1)},
		{"empty stat", "stat", ""},
		{"status without users", "status", "Name:\tx\n"},
		{"status with one user", "status", "Name:\tx\nUid:\t5\n"},
		{"status with a word for the user", "status", "Name:\tx\nUid:\t0\troot\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := whole()
			files[c.file] = c.content
			_, ok := probeProc(procOf(t, files), key(7, 42_420_000_000))
			assert.False(t, ok)
		})
	}
}

// TestOwnProcessIsFoundInProc asks the real system, which a folder of files
// cannot stand for: the meaning of a start time, and of the link exe.
func TestOwnProcessIsFoundInProc(t *testing.T) {
	pid := uint32(os.Getpid())
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(os.Getpid()), "stat"))
	require.NoError(t, err)
	ticks, err := startTicks(stat)
	require.NoError(t, err)
	table := NewTable(4)
	got := table.Lookup(key(pid, ticks*tick+3))
	require.NotNil(t, got)
	exe, err := os.Executable()
	require.NoError(t, err)
	me, err := user.Current()
	require.NoError(t, err)
	assert.Equal(t, exe, got.ExecutablePath)
	assert.Equal(t, filepath.Base(exe), got.ExecutableName)
	assert.Equal(t, me.Username, got.Owner)
	assert.Nil(t, table.Lookup(key(pid, (ticks-500)*tick)), "an earlier process with this PID")
}

func TestRemovedExecutableKeepsItsName(t *testing.T) {
	content, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Skip("no /bin/sleep to copy: ", err)
	}
	exe := filepath.Join(t.TempDir(), "sleep (deleted)") // a name that lies
	require.NoError(t, os.WriteFile(exe, content, 0o700))
	sleeping := exec.Command(exe, "60")
	require.NoError(t, sleeping.Start())
	t.Cleanup(func() { _ = sleeping.Process.Kill(); _ = sleeping.Wait() })
	dir := filepath.Join("/proc", strconv.Itoa(sleeping.Process.Pid))
	assert.Equal(t, exe, executableOf(dir))
	require.NoError(t, os.Remove(exe))
	assert.Equal(t, exe, executableOf(dir))
}

func FuzzProcFiles(f *testing.F) {
	f.Add(statOfCommand, "0::/a/b\n4:memory:/c\n")
	f.Add(")", ":::\n0::\n")
	f.Fuzz(func(t *testing.T, stat, cgroup string) {
		_, _ = startTicks([]byte(stat))
		v2, v1 := parseCgroupFile(cgroup)
		for _, name := range append(v2, v1...) {
			if name == "" || strings.Contains(name, "/") {
				t.Fatalf("name %q from %q", name, cgroup)
			}
		}
	})
}

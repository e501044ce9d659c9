package target

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// isolated returns a table that cannot ask the system, with a clock to turn.
func isolated(capacity int) (table *Table, clock *time.Time) {
	at := time.Unix(1000, 0)
	table = NewTable(capacity)
	table.now = func() time.Time { return at }
	table.owners.now = table.now
	table.owners.lookup = func(uid string) (*user.User, error) {
		if uid == "33" {
			return &user.User{Username: "www-data"}, nil
		}
		return nil, errors.New("unknown user")
	}
	table.probe = func(transaction.ProcessKey) (facts, bool) { return facts{}, false }
	return table, &at
}

func image(pid uint32, generation uint64, exe ...string) *event.Process {
	return &event.Process{Header: event.Header{PID: pid, Generation: generation}, UID: 33, Exe: exe}
}

func key(pid uint32, generation uint64) transaction.ProcessKey {
	return transaction.ProcessKey{PID: pid, Generation: generation}
}

func TestObservedProcessIsDescribed(t *testing.T) {
	for _, c := range []struct {
		name    string
		process event.Process
		want    transaction.Process
	}{
		{
			"everything known",
			event.Process{UID: 33, Exe: []string{"nginx", "sbin", "usr"}, CgroupV2: []string{"docker-" + id64 + ".scope", "system.slice"}},
			transaction.Process{ExecutableName: "nginx", ExecutablePath: "/usr/sbin/nginx", Owner: "www-data", ContainerID: id64},
		},
		{
			"a user without a name keeps the number",
			event.Process{UID: 100_000, Exe: []string{"a"}},
			transaction.Process{ExecutableName: "a", ExecutablePath: "/a", Owner: "100000"},
		},
		{
			"an unreadable executable is not replaced by the command",
			event.Process{UID: 33, Comm: "worker"},
			transaction.Process{Owner: "www-data"},
		},
		{
			"version 1 groups where version 2 is at its root",
			event.Process{UID: 33, CgroupV1: []string{id64, "pod" + pod, "burstable", "kubepods"}},
			transaction.Process{Owner: "www-data", ContainerID: id64, PodUID: pod},
		},
		{
			"version 1 groups where version 2 tells only a service",
			event.Process{UID: 33, CgroupV2: []string{"containerd.service", "system.slice"}, CgroupV1: []string{id64, "docker"}},
			transaction.Process{Owner: "www-data", ContainerID: id64},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, _ := isolated(8)
			c.process.PID, c.process.Generation, c.want.PID = 7, 70, 7
			table.Observe(&c.process)
			require.NotNil(t, table.Lookup(key(7, 70)))
			assert.Equal(t, c.want, *table.Lookup(key(7, 70)))
		})
	}
}

func TestImagesOfOnePIDAreToldApart(t *testing.T) {
	table, _ := isolated(8)
	table.Observe(image(7, 100, "sh", "bin"))
	table.Observe(image(7, 101, "curl", "bin")) // exec
	table.Observe(image(7, 900, "nginx", "bin"))
	assert.Equal(t, "sh", table.Lookup(key(7, 100)).ExecutableName)
	assert.Equal(t, "curl", table.Lookup(key(7, 101)).ExecutableName)
	assert.Equal(t, "nginx", table.Lookup(key(7, 900)).ExecutableName)
	assert.Nil(t, table.Lookup(key(7, 102)))
}

func TestUnknownKeysAreNil(t *testing.T) {
	table, _ := isolated(8)
	table.probe = func(transaction.ProcessKey) (facts, bool) { return facts{exe: "/bin/a"}, true }
	assert.Nil(t, table.Lookup(key(0, 5)), "no PID")
	assert.Nil(t, table.Lookup(key(5, 0)), "no generation: nothing can be verified")
}

func TestLostRecordIsReplacedByTheSystem(t *testing.T) {
	table, _ := isolated(8)
	asked := 0
	table.probe = func(transaction.ProcessKey) (facts, bool) {
		asked++
		return facts{exe: "/usr/bin/python3", uid: 33}, true
	}
	for range 3 {
		got := table.Lookup(key(7, 100))
		require.NotNil(t, got)
		assert.Equal(t, transaction.Process{PID: 7, ExecutableName: "python3", ExecutablePath: "/usr/bin/python3", Owner: "www-data"}, *got)
	}
	assert.Equal(t, 1, asked)
	table.Observe(image(7, 100, "other"))
	assert.Equal(t, "other", table.Lookup(key(7, 100)).ExecutableName, "the kernel's record wins")
}

func TestEarlierImageIsNotTakenFromTheSystem(t *testing.T) {
	table, _ := isolated(8)
	table.probe = func(transaction.ProcessKey) (facts, bool) {
		t.Error("asked for an image that has been replaced")
		return facts{exe: "/bin/curl"}, true
	}
	table.Observe(image(7, 101, "curl", "bin"))
	assert.Nil(t, table.Lookup(key(7, 100)))
}

func TestUnidentifiedProcessIsLookedForAgainAfterAWhile(t *testing.T) {
	table, clock := isolated(8)
	asked := 0
	table.probe = func(transaction.ProcessKey) (facts, bool) { asked++; return facts{}, false }
	assert.Nil(t, table.Lookup(key(7, 100)))
	assert.Nil(t, table.Lookup(key(7, 100)))
	assert.Equal(t, 1, asked)
	*clock = clock.Add(unknownFor)
	assert.Nil(t, table.Lookup(key(7, 100)))
	assert.Equal(t, 2, asked)
}

func TestLeastRecentlyUsedImageIsLetGo(t *testing.T) {
	table, _ := isolated(2)
	table.Observe(image(1, 10, "a"))
	table.Observe(image(2, 20, "b"))
	require.NotNil(t, table.Lookup(key(1, 10)))
	table.Observe(image(3, 30, "c"))
	assert.NotNil(t, table.Lookup(key(1, 10)))
	assert.NotNil(t, table.Lookup(key(3, 30)))
	assert.Nil(t, table.Lookup(key(2, 20)))
	assert.Len(t, table.byKey, 2)
	for pid := range uint32(1000) {
		table.Observe(image(pid+10, 1, "x"))
		table.Lookup(key(pid+5000, 1))
	}
	assert.Len(t, table.byKey, 2)
	assert.Equal(t, 2, table.recent.Len())
	assert.LessOrEqual(t, len(table.newest), 2)
}

func TestOwnerIsAskedForAgainAfterItExpires(t *testing.T) {
	table, clock := isolated(2)
	asked, answer := 0, "old"
	table.owners.lookup = func(string) (*user.User, error) { asked++; return &user.User{Username: answer}, nil }
	assert.Equal(t, "old", table.owners.name(5))
	answer = "new"
	assert.Equal(t, "old", table.owners.name(5))
	*clock = clock.Add(ownersKeptFor)
	assert.Equal(t, "new", table.owners.name(5))
	assert.Equal(t, 2, asked)
	for uid := range uint32(3 * ownersKept) {
		table.owners.name(uid)
	}
	assert.LessOrEqual(t, len(table.owners.names), ownersKept)
}

func TestTableIsSafeForConcurrentUse(t *testing.T) {
	table, _ := isolated(64)
	table.probe = func(k transaction.ProcessKey) (facts, bool) { return facts{exe: "/probed"}, k.PID%3 == 0 }
	var wait sync.WaitGroup
	for worker := range uint32(4) {
		wait.Go(func() {
			for i := range uint32(5000) {
				pid := (i*7+worker)%200 + 1
				want := fmt.Sprintf("exe-%d", pid)
				if i%2 == 0 {
					table.Observe(image(pid, 5, want))
				}
				if p := table.Lookup(key(pid, 5)); p != nil && p.ExecutableName != want && p.ExecutableName != "probed" {
					t.Errorf("%d is %q", pid, p.ExecutableName)
				}
			}
		})
	}
	wait.Wait()
}

func BenchmarkLookup(b *testing.B) {
	table := NewTable(4096)
	for pid := range uint32(1000) {
		table.Observe(image(pid+1, 5, "nginx", "sbin", "usr"))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if table.Lookup(key(uint32(i%1000)+1, 5)) == nil {
			b.Fatal("not found")
		}
	}
}

func TestARecordedProcessIsNeverLookedUpOnThisMachine(t *testing.T) {
	table := NewRecordedTable(4)
	key := transaction.ProcessKey{PID: uint32(os.Getpid()), Generation: 1}
	require.Nil(t, table.Lookup(key))

	table.Observe(&event.Process{Header: event.Header{PID: key.PID, Generation: key.Generation}, UID: 0, Exe: []string{"sh", "bin"}})
	require.Equal(t, "0", table.Lookup(key).Owner, "root is called root here, which says nothing of the recorded machine")
}

package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/qtapreceiver/qtapreceiver/"

// mayImport is the direction of docs/architecture.md: what each package of
// this module may import of the others. Tests of a package may import more.
var mayImport = map[string][]string{
	"internal/event":       nil,
	"internal/executable":  nil,
	"internal/handshake":   {"internal/event"},
	"internal/message":     {"internal/event"},
	"internal/transaction": {"internal/event", "internal/message"},
	"internal/kernel":      {"internal/event", "internal/executable"},
	"internal/replay":      {"internal/event"},
	"internal/stream":      {"internal/event"},
	"internal/http1":       {"internal/event", "internal/message"},
	"internal/target":      {"internal/event", "internal/executable", "internal/transaction"},
	"internal/policy":      {"internal/event", "internal/message", "internal/transaction"},
	"internal/record":      {"internal/event", "internal/message", "internal/transaction"},
	"internal/pipeline": {
		"internal/event", "internal/message", "internal/transaction",
		"internal/stream", "internal/handshake", "internal/http1", "internal/policy", "internal/record",
	},
}

// onlyIn says which packages may import a foreign one, by their prefixes.
var onlyIn = map[string][]string{
	"github.com/cilium/ebpf":         {"internal/kernel"},
	"go.opentelemetry.io/collector/": {"internal/record", "receiver/"}, // record: pdata, see below
	"golang.org/x/sys":               {"internal/kernel", "internal/target"},
	"golang.org/x/arch":              {"internal/executable"},
}

// listed is a package as go list describes it.
type listed struct {
	ImportPath    string
	Imports, Deps []string
}

func listPackages(t *testing.T) (packages []listed) {
	t.Helper()
	command := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Deps",
		module+"internal/...", module+"receiver/...")
	command.Env = append(command.Environ(), "GOOS=linux")
	out, err := command.Output()
	require.NoError(t, err)
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

func TestImportsFollowTheData(t *testing.T) {
	packages := listPackages(t)
	require.Greater(t, len(packages), len(mayImport)-1)
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, isStage := mayImport[name]
		if !isStage && strings.HasPrefix(name, "internal/") {
			t.Errorf("%s: a new package needs a line in mayImport", name)
		}
		for _, imported := range p.Imports {
			own, isOwn := strings.CutPrefix(imported, module)
			switch {
			case isOwn && isStage && !slices.Contains(allowed, own):
				t.Errorf("%s must not import %s", name, own)
			case !isOwn:
				checkForeign(t, name, imported)
			}
		}
	}
}

func checkForeign(t *testing.T, name, imported string) {
	t.Helper()
	if name == "internal/record" && strings.HasPrefix(imported, "go.opentelemetry.io/collector/") &&
		!strings.HasPrefix(imported, "go.opentelemetry.io/collector/pdata/") {
		t.Errorf("%s must not import %s: of the Collector it knows pdata alone", name, imported)
	}
	for prefix, owners := range onlyIn {
		if !strings.HasPrefix(imported, prefix) {
			continue
		}
		if !slices.ContainsFunc(owners, func(owner string) bool { return strings.HasPrefix(name, owner) }) {
			t.Errorf("%s must not import %s", name, imported)
		}
	}
}

// Everything behind internal/event runs without Linux: no package that the
// pipeline is made of may depend on what only the kernel side needs.
func TestThePipelineDependsOnNoKernel(t *testing.T) {
	for _, p := range listPackages(t) {
		if strings.TrimPrefix(p.ImportPath, module) != "internal/pipeline" {
			continue
		}
		for _, dependency := range p.Deps {
			for _, banned := range []string{"github.com/cilium/ebpf", "golang.org/x/sys", module + "internal/kernel", module + "internal/target"} {
				if strings.HasPrefix(dependency, banned) {
					t.Errorf("the pipeline depends on %s", dependency)
				}
			}
		}
		return
	}
	t.Error("go list does not know the pipeline")
}

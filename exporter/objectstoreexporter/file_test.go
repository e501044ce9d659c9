package objectstoreexporter

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
)

// files lists what is below a folder, with the contents.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		found[name] = string(content)
		return err
	}))
	return found
}

func inFolder(folder string) func(*Config) {
	return func(c *Config) { c.URL = "file://" + folder }
}

func TestFilesAreNamedExactlyByTheKeyAndAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	e := start(t, nil, inFolder(folder))
	require.NoError(t, e.push(t.Context(), records("2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", "one\n", "x y%#?ä", "\x00\xff")))
	assert.Equal(t, map[string]string{
		"objects/2fd4e1c67a2d28fced849ee1bb76e7391b93eb12": "one\n",
		"objects/x y%#?ä": "\x00\xff",
	}, files(t, folder), "no sidecar and no temporary file stays")
	for _, path := range []string{filepath.Dir(folder), folder, filepath.Join(folder, "objects")} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), path)
	}
}

func TestTheModeOfFoldersCanBeSet(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a")
	e := start(t, nil, func(c *Config) { c.URL = "file://" + folder + "?dir_file_mode=0710" })
	require.NoError(t, e.push(t.Context(), records("a", "1")))
	info, err := os.Stat(filepath.Join(folder, "objects"))
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o710), info.Mode().Perm())
}

func TestARelativeFolderIsBelowTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	e := start(t, nil, func(c *Config) { c.URL = "file://./data/objects"; c.Key = "{name}" })
	require.NoError(t, e.push(t.Context(), records("a", "1")))
	assert.Equal(t, map[string]string{"data/objects/a": "1"}, files(t, "."))
}

func TestAFileThatExistsIsNotWrittenAgain(t *testing.T) {
	folder := t.TempDir()
	e := start(t, nil, inFolder(folder))
	require.NoError(t, e.push(t.Context(), records("a", "first")))
	before, err := os.Stat(filepath.Join(folder, "objects", "a"))
	require.NoError(t, err)
	require.NoError(t, e.push(t.Context(), records("a", "second")))
	after, err := os.Stat(filepath.Join(folder, "objects", "a"))
	require.NoError(t, err)
	assert.True(t, os.SameFile(before, after))
	assert.Equal(t, map[string]string{"objects/a": "first"}, files(t, folder))

	e.ifAbsent = false
	require.NoError(t, e.push(t.Context(), records("a", "third")))
	assert.Equal(t, map[string]string{"objects/a": "third"}, files(t, folder))
}

func TestNoValueLeadsOutOfTheFolder(t *testing.T) {
	above := t.TempDir()
	folder := filepath.Join(above, "in")
	e := start(t, nil, inFolder(folder))
	for _, value := range []string{
		"../out", "..", "../../out", "/etc/out", "a/../../../out", `..\out`, "..%2fout", "....//out", "\x00", "a/b", "./out", ".", "out/", "~/out",
	} {
		err := e.push(t.Context(), records(value, "x", "good", "x"))
		require.NoError(t, err, value)
	}
	// A value that is only odd is a name like any other.
	assert.Equal(t, map[string]string{"in/objects/good": "x", "in/objects/..%2fout": "x"}, files(t, above))
}

func TestWhatTheFileSystemCannotNameIsRefused(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "objects", "folder"), 0o700))
	e := start(t, nil, inFolder(folder))
	require.NoError(t, e.push(t.Context(), records("folder", "x", strings.Repeat("x", 300), "x", "good", "x")))
	assert.Equal(t, map[string]string{"objects/good": "x"}, files(t, folder))
	assert.Equal(t, map[string]int64{"store_refused": 2}, e.refusedByCause(t))
}

func TestAFolderThatCannotBeMadeNowIsMadeLater(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "place", "objects")
	require.NoError(t, os.WriteFile(filepath.Dir(folder), nil, 0o600))
	e := start(t, nil, inFolder(folder))
	err := e.push(t.Context(), records("a", "1"))
	require.ErrorContains(t, err, "the bucket or folder does not exist: opening the bucket")
	assert.False(t, consumererror.IsPermanent(err))

	require.NoError(t, os.Remove(filepath.Dir(folder)))
	require.NoError(t, e.push(t.Context(), records("a", "1")))
	assert.Equal(t, map[string]string{"objects/a": "1"}, files(t, folder))
	assert.Equal(t, "StatusOK", e.host.reported()[len(e.host.reported())-1])
}

func TestAFolderThatHasToBeThereIsNotMade(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "mount")
	e := start(t, nil, func(c *Config) { c.URL = "file://" + folder + "?create_dir=false" })
	require.ErrorContains(t, e.push(t.Context(), records("a", "1")), "the bucket or folder does not exist")
	require.NoFileExists(t, folder)
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, e.push(t.Context(), records("a", "1")))
	require.NoError(t, os.RemoveAll(folder))
	require.ErrorContains(t, e.push(t.Context(), records("b", "1")), "the bucket or folder does not exist")
	require.NoFileExists(t, folder)
}

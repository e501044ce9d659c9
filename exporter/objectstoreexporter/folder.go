package objectstoreexporter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
)

// defaultFolderMode keeps objects from other users: who may enter the folder
// may read what is in it.
const defaultFolderMode = 0o700

// folder is a folder of the file system. It writes itself: gocloud.dev's driver
// makes twice as many system calls for a file, two of them to delete a
// temporary file that it has just renamed, which on ext4 took four to six times
// the time; and its conditional write takes a folder for an existing object.
type folder struct {
	root   string
	mode   os.FileMode
	create bool
	// Names of temporary files are those of this store alone, also where
	// several Collectors write to one folder.
	nonce string
	count atomic.Uint64
}

// openFolder makes the folder, unless the target says that it has to be there.
func openFolder(t target) (store, error) {
	f := &folder{mode: defaultFolderMode, create: t.flag("create_dir", true)}
	if text := t.query.Get("dir_file_mode"); text != "" {
		mode, err := parseMode(text)
		if err != nil {
			return nil, configurationError{err}
		}
		f.mode = os.FileMode(mode)
	}
	var err error
	if f.root, err = filepath.Abs(filepath.FromSlash(t.bucket)); err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	var nonce [4]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, fmt.Errorf("making a name for temporary files: %w", err)
	}
	f.nonce = hex.EncodeToString(nonce[:])
	return f, f.makeFolder(f.root)
}

// makeFolder makes a folder at or below the root. The root itself may be
// missing because nothing is mounted there: then it is made only if it may be.
func (f *folder) makeFolder(path string) error {
	if f.create {
		return os.MkdirAll(path, f.mode)
	}
	info, err := os.Stat(f.root)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return &os.PathError{Op: "open", Path: f.root, Err: syscall.ENOTDIR}
	}
	return os.MkdirAll(path, f.mode)
}

// put writes a temporary file beside the object's place and renames it. Of two
// writers of one key at the same time the later one stays, whole.
func (f *folder) put(_ context.Context, o *object, ifAbsent bool) (existing bool, err error) {
	path := filepath.Join(f.root, filepath.FromSlash(o.key))
	if ifAbsent {
		switch info, err := os.Stat(path); {
		case err == nil && info.IsDir():
			return false, &os.PathError{Op: "write", Path: path, Err: syscall.EISDIR}
		case err == nil:
			return true, nil
		case !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
	}
	temporary := path + "." + f.nonce + strconv.FormatUint(f.count.Add(1), 36) + ".tmp"
	file, err := f.createFile(temporary)
	if err != nil {
		return false, err
	}
	_, err = io.WriteString(file, o.body)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return false, errors.Join(err, os.Remove(temporary))
	}
	return false, nil
}

// createFile makes a file, and its folder when that is missing.
func (f *folder) createFile(path string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	// Its readers are limited by the mode of the folder and by umask.
	file, err := os.OpenFile(path, flags, 0o666) //nolint:gosec // see above
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if err := f.makeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return os.OpenFile(path, flags, 0o666) //nolint:gosec // see above
}

func (f *folder) close() error { return nil }

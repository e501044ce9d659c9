package executable

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func examine(t testing.TB, path string) (Report, error) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	return Examine(file, info.Size())
}

// names returns library and function of everything that was found.
func names(r Report) (all []string) {
	for _, f := range r.Findings {
		for _, function := range f.Functions {
			all = append(all, string(f.Library)+" "+function.Name)
		}
	}
	return all
}

func TestLibrariesOfTheSystem(t *testing.T) {
	for pattern, want := range map[string][]string{
		"/usr/lib/*-linux-gnu/libssl.so.3": {
			"openssl SSL_read", "openssl SSL_write", "openssl SSL_read_ex", "openssl SSL_write_ex", "openssl SSL_sendfile", "openssl SSL_do_handshake", "openssl SSL_new", "openssl SSL_free",
		},
		"/usr/lib/*-linux-gnu/libgnutls.so.30": {
			"gnutls gnutls_record_recv", "gnutls gnutls_record_recv_seq", "gnutls gnutls_record_send", "gnutls gnutls_record_send2",
			"gnutls gnutls_record_send_range", "gnutls gnutls_record_send_file", "gnutls gnutls_handshake", "gnutls gnutls_deinit",
		},
		"/usr/lib/*-linux-gnu/libssl3.so":     {"nss SSL_ImportFD"},
		"/usr/lib/*-linux-gnu/libnspr4.so":    {"nss PR_Read", "nss PR_Write", "nss PR_Recv", "nss PR_Send", "nss PR_Close"},
		"/usr/lib/*-linux-gnu/libcrypto.so.3": nil,
		"/usr/lib/*-linux-gnu/libc.so.6":      nil,
		"/usr/bin/curl":                       nil, // it uses a library
	} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		if len(paths) == 0 {
			t.Logf("%s is not installed", pattern)
			continue
		}
		report, err := examine(t, paths[0])
		require.NoError(t, err, pattern)
		assert.Equal(t, want, names(report), pattern)
		assert.Empty(t, report.Why, pattern)
		assert.NotEmpty(t, report.BuildID, pattern)
	}
}

const goProgram = `package main

import (
	"crypto/tls"
	"os"
)

func main() {
	c, err := tls.Dial("tcp", os.Args[1], nil)
	if err == nil {
		defer c.Close()
		c.Write([]byte("x"))
		c.Read(make([]byte, 1))
	}
}
`

// symbolOffset is where the symbol table has the function, in the file.
func symbolOffset(t *testing.T, path, name string) uint64 {
	t.Helper()
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	symbols, err := f.Symbols()
	require.NoError(t, err)
	for _, s := range symbols {
		if s.Name == name {
			section := f.Sections[s.Section]
			return s.Value - section.Addr + section.Offset
		}
	}
	t.Fatalf("%s has no symbol %s", path, name)
	return 0
}

// Shows that the methods are found in every form in which Go programs are
// shipped, at the place that the symbols of the whole one name.
func TestGoExecutables(t *testing.T) {
	folder := t.TempDir()
	source := filepath.Join(folder, "main.go")
	require.NoError(t, os.WriteFile(source, []byte(goProgram), 0o600))
	for _, arch := range []string{"amd64", "arm64"} {
		for i, flags := range [][]string{{}, {"-ldflags=-s -w", "-trimpath"}, {"-buildmode=pie"}, {"-buildmode=pie", "-ldflags=-s -w"}} {
			if arch == "arm64" && i > 1 {
				break // the standard library for it is compiled for this test alone
			}
			path := filepath.Join(folder, fmt.Sprint(arch, i))
			build := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), source)...)
			build.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
			out, err := build.CombinedOutput()
			require.NoError(t, err, "%s", out)
			report, err := examine(t, path)
			require.NoError(t, err)
			require.Equal(t, []string{"go crypto/tls.(*Conn).Read", "go crypto/tls.(*Conn).Write", "go crypto/tls.(*Conn).clientHandshake", "go crypto/tls.(*Conn).Close"}, names(report), "%s %v", arch, flags)
			assert.Equal(t, arch, report.Machine)
			assert.Regexp(t, `^go1\.`, report.Findings[0].Version)
			whole := i%2 == 0
			for _, f := range report.Findings[0].Functions {
				require.NotEmpty(t, f.Returns)
				if whole {
					assert.Equal(t, symbolOffset(t, path, f.Name), f.Entry, "%s %v %s", arch, flags, f.Name)
				}
				content, err := os.ReadFile(path)
				require.NoError(t, err)
				for _, at := range f.Returns {
					if arch == "amd64" {
						assert.EqualValues(t, 0xc3, content[at])
					} else {
						assert.Equal(t, []byte{0xc0, 0x03, 0x5f, 0xd6}, content[at:at+4])
					}
				}
			}
		}
	}
}

func TestStaticLibraries(t *testing.T) {
	path, err := exec.LookPath("node")
	require.NoError(t, err)
	path, err = filepath.EvalSymlinks(path)
	require.NoError(t, err)
	report, err := examine(t, path)
	require.NoError(t, err)
	needed, err := exec.Command("ldd", path).Output()
	require.NoError(t, err)
	if bytes.Contains(needed, []byte("libssl")) || bytes.Contains(needed, []byte("libnode")) {
		assert.Empty(t, report.Findings, "this Node uses a library")
		return
	}
	assert.Contains(t, names(report), "openssl SSL_read")
}

func TestWhatIsNoELFFile(t *testing.T) {
	for _, content := range [][]byte{nil, []byte("#!/bin/sh\n"), bytes.Repeat([]byte{0}, 100), []byte("\x7fELF"), append([]byte("\x7fELF\x01\x01"), make([]byte, 60)...)} {
		_, err := Examine(bytes.NewReader(content), int64(len(content)))
		require.ErrorIs(t, err, ErrOtherMachine)
	}
}

func FuzzExamine(f *testing.F) {
	paths, err := filepath.Glob("/usr/lib/*-linux-gnu/libnspr4.so")
	require.NoError(f, err)
	for _, path := range append(paths, "/usr/bin/true") {
		content, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(content, uint32(0), uint64(0))
		for at := range uint32(64) {
			f.Add(content[:min(len(content), 64<<10)], at*8, ^uint64(0)>>1)
		}
	}
	f.Fuzz(func(_ *testing.T, content []byte, at uint32, value uint64) {
		if int(at)+8 <= len(content) {
			content = bytes.Clone(content)
			little.PutUint64(content[at:], value)
		}
		report, err := Examine(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		for _, finding := range report.Findings {
			for _, f := range finding.Functions {
				if f.Entry >= uint64(len(content)) {
					panic("an entry behind the end of the file")
				}
			}
		}
	})
}

func BenchmarkExamine(b *testing.B) {
	node, _ := exec.LookPath("node")
	golang, _ := exec.LookPath("go")
	libssl, _ := filepath.Glob("/usr/lib/*-linux-gnu/libssl.so.3")
	for _, path := range append(libssl, node, golang) {
		if path == "" {
			continue
		}
		b.Run(filepath.Base(path), func(b *testing.B) {
			for b.Loop() {
				_, err := examine(b, path)
				require.NoError(b, err)
			}
		})
	}
}

package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestANetworkNamespaceIsItsInodeNumber(t *testing.T) {
	inode, err := networkNamespace("/proc/self/ns/net")
	require.NoError(t, err)
	link, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSuffix(strings.TrimPrefix(link, "net:["), "]"), strconv.FormatUint(uint64(inode), 10))
}

func TestAFileThatIsNoNamespaceIsRefused(t *testing.T) {
	_, err := networkNamespace("/etc/passwd")
	require.EqualError(t, err, "/etc/passwd is not a namespace")
	_, err = networkNamespace("/no/such/file")
	require.EqualError(t, err, "looking for a network namespace: no such file or directory")
}

//go:build linux

package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The key of both S3 servers.
const (
	accessKey = "qtapaccess"
	secretKey = "qtapsecretkey"
)

// Storage is an S3 server with one bucket per test.
type Storage struct {
	name    string
	address string
}

// minio starts MinIO, versity versitygw over a folder.
func minio(t testing.TB) Storage {
	return Storage{"minio", startShared(t, "minio", "/minio/health/live", func(address, folder string) *exec.Cmd {
		command := server("minio", "server", "--quiet", "--address", address, folder)
		command.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey,
			"MINIO_UPDATE=off", "MINIO_BROWSER=off", "CI=true")
		return command
	})}
}

func versity(t testing.TB) Storage {
	return Storage{"versitygw", startShared(t, "versitygw", "/health", versityCommand)}
}

func versityCommand(address, folder string) *exec.Cmd {
	return server("versitygw", "--port", address, "--access", accessKey, "--secret", secretKey,
		"--health", "/health", "posix", "--sidecar", sidecarOf(folder), folder)
}

// sidecarOf returns a folder for the metadata of a folder of objects: not every
// file system keeps extended attributes.
func sidecarOf(folder string) string {
	sidecar := filepath.Join(filepath.Dir(folder), "metadata-of-"+filepath.Base(folder))
	_ = os.MkdirAll(sidecar, 0o755)
	return sidecar
}

// request sends a signed request and returns the answer.
func (s Storage) request(t testing.TB, method, path string, query url.Values, body string) string {
	t.Helper()
	request, err := http.NewRequest(method, "http://"+s.address+path+"?"+query.Encode(), strings.NewReader(body))
	require.NoError(t, err)
	sign(request, body, time.Now().UTC())
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Less(t, response.StatusCode, 300, "%s %s: %s", method, path, content)
	return string(content)
}

// sign adds AWS Signature Version 4 for S3 (AWS General Reference, "Create a
// signed request"). The path must hold nothing that needs encoding.
func sign(request *http.Request, body string, now time.Time) {
	const signed, region = "host;x-amz-content-sha256;x-amz-date", "us-east-1"
	date, scope := now.Format("20060102T150405Z"), now.Format("20060102")+"/"+region+"/s3/aws4_request"
	payload := sha256.Sum256([]byte(body))
	request.Header.Set("X-Amz-Date", date)
	request.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(payload[:]))
	canonical := sha256.Sum256([]byte(strings.Join([]string{
		request.Method, request.URL.Path, strings.ReplaceAll(request.URL.RawQuery, "+", "%20"),
		"host:" + request.Host, "x-amz-content-sha256:" + hex.EncodeToString(payload[:]), "x-amz-date:" + date, "",
		signed, hex.EncodeToString(payload[:]),
	}, "\n")))
	key := []byte("AWS4" + secretKey)
	for _, part := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(canonical[:])) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%x", accessKey, scope, signed, key))
}

// newBucket makes a bucket. In an open one everybody may read and list.
func (s Storage) newBucket(t testing.TB, open bool) (bucket string) {
	t.Helper()
	bucket = newToken()
	s.makeBucket(t, bucket, open)
	return bucket
}

func (s Storage) makeBucket(t testing.TB, bucket string, open bool) {
	t.Helper()
	s.request(t, "PUT", "/"+bucket, nil, "")
	if open {
		s.request(t, "PUT", "/"+bucket, url.Values{"policy": {""}}, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[`+
			`{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%[1]s/*"]},`+
			`{"Effect":"Allow","Principal":"*","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::%[1]s"]}]}`, bucket))
	}
}

// keys returns the names of all objects.
func (s Storage) keys(t testing.TB, bucket string) (keys []string) {
	t.Helper()
	after := ""
	for {
		var page struct {
			Contents    []struct{ Key string }
			IsTruncated bool
		}
		listing := s.request(t, "GET", "/"+bucket, url.Values{"list-type": {"2"}, "start-after": {after}}, "")
		require.NoError(t, xml.Unmarshal([]byte(listing), &page), listing)
		for _, object := range page.Contents {
			keys = append(keys, object.Key)
		}
		if !page.IsTruncated {
			return keys
		}
		after = keys[len(keys)-1]
	}
}

// checkSecrets looks for the canary in every object, and compares the name of each
// with the SHA-1 of its content.
func (s Storage) checkSecrets(t testing.TB, bucket string) {
	t.Helper()
	keys := s.keys(t, bucket)
	require.NotEmpty(t, keys)
	for _, key := range keys {
		content := open(t, "http://"+s.address+"/"+bucket+"/"+key)
		require.NotContains(t, string(content), canary, key)
	}
}

// environment are the settings with which an example uses the bucket, and with
// which its links open.
func (s Storage) environment(bucket string) settings {
	return settings{
		"QTAP_BUCKET": bucket, "QTAP_S3_ENDPOINT": "http://" + s.address,
		"QTAP_LINK_SCHEME": "http", "QTAP_LINK_HOST": s.address, "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey,
	}
}

func splitAddress(address string) (host, port string, err error) { return net.SplitHostPort(address) }

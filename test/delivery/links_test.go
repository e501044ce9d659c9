//go:build linux

package delivery

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Reader is who may open links.
const (
	readerName     = "reader"
	readerPassword = "open sesame"
)

// startLinks runs nginx with nginx-links.conf.template, filled in as the nginx
// image does, in front of a bucket and a folder. It returns its address.
func startLinks(t testing.TB, storage Storage, bucket, folder string) (address string) {
	t.Helper()
	address = freeAddress(t)
	dir, err := os.MkdirTemp("", "qtap-delivery-nginx-") //nolint:usetesting // nginx's workers run as another user
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	passwords := filepath.Join(dir, "passwords")
	require.NoError(t, os.WriteFile(passwords, []byte(readerName+":{PLAIN}"+readerPassword+"\n"), 0o644))
	template, err := os.ReadFile(filepath.Join(installation.examples, "nginx-links.conf.template"))
	require.NoError(t, err)
	script, err := os.ReadFile(filepath.Join(installation.examples, "nginx-links.js"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx-links.js"), script, 0o644))
	links := strings.NewReplacer(
		"${LINKS_LISTEN}", address, "${LINKS_PASSWORDS}", passwords,
		"${LINKS_SCRIPT}", filepath.Join(dir, "nginx-links.js"), "${LINKS_FOLDER}", folder,
		"${S3_SCHEME}", "http", "${S3_HOST}", storage.address, "${S3_REGION}", "us-east-1", "${S3_BUCKET}", bucket,
		"${S3_ACCESS_KEY}", accessKey, "${S3_SECRET_KEY}", secretKey,
	).Replace(string(template))
	require.NotContains(t, links, "${", "a variable of the template that this test does not know")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "links.conf"), []byte(links), 0o644))
	var main strings.Builder
	main.WriteString("daemon off; worker_processes 1; user root; pid " + dir + "/pid; error_log stderr;\n" +
		"load_module " + nginxModule(t) + ";\nevents {}\nhttp { access_log off;\n")
	for _, part := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&main, "%s_temp_path %s/%s;\n", part, dir, part)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(main.String()+"include "+dir+"/links.conf; }\n"), 0o644))
	process := launch(t, exec.Command("nginx", "-e", "stderr", "-p", dir, "-c", filepath.Join(dir, "nginx.conf")))
	eventually(t, readyWithin, func() error {
		select {
		case <-process.exited:
			t.Fatalf("nginx ended:\n%s", process.output())
		default:
		}
		_, _, err := fetch("GET", "http://"+address+"/", nil)
		return err
	})
	return address
}

// nginxModule returns the path of njs.
func nginxModule(t testing.TB) string {
	t.Helper()
	for _, folder := range []string{"/usr/lib/nginx/modules", "/usr/share/nginx/modules", "/etc/nginx/modules"} {
		path := filepath.Join(folder, "ngx_http_js_module.so")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("CI must run this: nginx has no njs (Debian: libnginx-mod-http-js)")
	}
	t.Skip("nginx has no njs (Debian: libnginx-mod-http-js)")
	return ""
}

// fetch asks with or without a name and returns the status and the body.
func fetch(method, link string, user *url.Userinfo) (status int, body []byte, err error) {
	request, err := http.NewRequest(method, link, nil)
	if err != nil {
		return 0, nil, err
	}
	if user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

var reader = url.UserPassword(readerName, readerPassword)

// TestLinksOfAPrivateBucket shows who gets what from nginx-links.conf.template.
func TestLinksOfAPrivateBucket(t *testing.T) {
	need(t)
	for _, storage := range []Storage{versity(t), minio(t)} {
		t.Run(storage.name, func(t *testing.T) {
			bucket, other := storage.newBucket(t, false), storage.newBucket(t, false)
			folder := t.TempDir()
			object := make([]byte, 300_000)
			_, _ = rand.Read(object)
			digest := digestOf(object)
			for _, key := range []string{"/" + bucket + "/" + digest, "/" + bucket + "/secret", "/" + other + "/" + digest} {
				storage.request(t, "PUT", key, nil, string(object))
			}
			require.NoError(t, os.WriteFile(filepath.Join(folder, digest), object, 0o644))
			base := "http://" + startLinks(t, storage, bucket, folder+"/")

			status, _, err := fetch("GET", "http://"+storage.address+"/"+bucket+"/"+digest, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusForbidden, status, "the bucket must be private, or this test shows nothing")
			stranger := url.UserPassword(readerName, "wrong")
			for name, test := range map[string]struct {
				method, path string
				user         *url.Userinfo
				status       int
			}{
				"an object of the bucket":             {"GET", "/" + bucket + "/" + digest, reader, 200},
				"an object of the folder":             {"GET", "/files/" + digest, reader, 200},
				"the size of an object":               {"HEAD", "/" + bucket + "/" + digest, reader, 200},
				"an object that does not exist":       {"GET", "/" + bucket + "/" + strings.Repeat("0", 40), reader, 404},
				"a file that does not exist":          {"GET", "/files/" + strings.Repeat("0", 40), reader, 404},
				"no name for the bucket":              {"GET", "/" + bucket + "/" + digest, nil, 401},
				"no name for the folder":              {"GET", "/files/" + digest, nil, 401},
				"a wrong password":                    {"GET", "/" + bucket + "/" + digest, stranger, 401},
				"a key that is no digest":             {"GET", "/" + bucket + "/secret", reader, 404},
				"the list of the bucket":              {"GET", "/" + bucket + "/", reader, 404},
				"another bucket of the same key":      {"GET", "/" + other + "/" + digest, reader, 404},
				"a path that leaves the folder":       {"GET", "/files/../" + digest, reader, 404},
				"deleting an object of the bucket":    {"DELETE", "/" + bucket + "/" + digest, reader, 403},
				"overwriting an object of the bucket": {"PUT", "/" + bucket + "/" + digest, reader, 403},
			} {
				t.Run(name, func(t *testing.T) {
					status, body, err := fetch(test.method, base+test.path, test.user)
					require.NoError(t, err)
					require.Equal(t, test.status, status, tail(string(body), 300))
					if status == http.StatusOK && test.method == "GET" {
						assert.Equal(t, digest, digestOf(body))
					}
				})
			}
		})
	}
}

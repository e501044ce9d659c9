//go:build linux

package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outage is how long back ends are away: QTAP_OUTAGE_SECONDS, otherwise 8 s.
func outage(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv("QTAP_OUTAGE_SECONDS")
	if text == "" {
		return 8 * time.Second
	}
	seconds, err := strconv.Atoi(text)
	require.NoError(t, err, "QTAP_OUTAGE_SECONDS")
	return time.Duration(seconds) * time.Second
}

// ward is a collector with loki-s3.yaml between back ends that can be taken away:
// events go through a gate, objects to a versitygw of its own.
type ward struct {
	*Collector
	site    *Site
	events  Victoria
	gate    *Gate
	storage Storage
	folder  string
	bucket  string
	server  *Process
}

func newWard(t testing.TB, change func(settings)) *ward {
	t.Helper()
	w := &ward{site: newSite(t), events: victoria(t), folder: filepath.Join(t.TempDir(), "store")}
	require.NoError(t, os.Mkdir(w.folder, 0o755))
	w.gate = newGate(t, w.events.address+"/insert/opentelemetry", "", "")
	w.storage = Storage{"versitygw", freeAddress(t)}
	w.open(t)
	w.bucket = w.storage.newBucket(t, true)
	env := w.storage.environment(w.bucket)
	env["LOKI_OTLP_ENDPOINT"] = w.gate.URL
	if change != nil {
		change(env)
	}
	w.Collector = startExample(t, installation.lean, "loki-s3.yaml", env)
	return w
}

// open brings the back ends back, close takes them away: one refuses, the other is
// killed.
func (w *ward) open(t testing.TB) {
	t.Helper()
	w.server = launch(t, versityCommand(w.storage.address, w.folder))
	answers(t, w.server, "http://"+w.storage.address+"/health")
	w.gate.closed.Store(false)
}

func (w *ward) close() {
	w.gate.closed.Store(true)
	w.server.kill()
}

// get makes a number of requests and returns their paths.
func (w *ward) get(t testing.TB, count int) (paths []string) {
	t.Helper()
	for range count {
		paths = append(paths, w.site.get(t, smallBody))
	}
	return paths
}

// checkArrived waits for the artifact_record of every path and opens its link. Events
// are delivered at least once, so there may be more than one.
func (w *ward) checkArrived(t testing.TB, paths []string) {
	t.Helper()
	for _, path := range paths {
		var record row
		eventually(t, 2*arrivesWithin, func() error {
			rows := w.events.find(t, fmt.Sprintf("event.type:artifact_record url.full:%q", path))
			if len(rows) == 0 {
				return errors.New("no artifact_record for " + path)
			}
			record = rows[0]
			return nil
		})
		checkObject(t, awaitLink(t, record["artifact.url"]), record["artifact.digest"], record["artifact.size_bytes"], path)
	}
}

// awaitLog waits for words in the collector's log.
func (w *ward) awaitLog(t testing.TB, words string) {
	t.Helper()
	eventually(t, arrivesWithin, func() error {
		if !strings.Contains(w.output(), words) {
			return errors.New("the log does not say: " + words)
		}
		return nil
	})
}

// TestOutage takes both back ends away for a while.
func TestOutage(t *testing.T) {
	need(t)
	w := newWard(t, nil)
	paths := w.get(t, 5)
	w.checkArrived(t, paths)
	w.close()
	began := time.Now()
	for during := 0; during < 20 || time.Since(began) < outage(t); during++ {
		paths = append(paths, w.get(t, 1)...)
		time.Sleep(100 * time.Millisecond)
	}
	w.awaitLog(t, "the store cannot be reached")
	w.awaitLog(t, "HTTP Status Code 503")
	w.open(t)
	paths = append(paths, w.get(t, 5)...)
	w.checkArrived(t, paths)
	t.Logf("%d transactions around an outage of %.0f s, all delivered %.1f s after its beginning", len(paths), outage(t).Seconds(), time.Since(began).Seconds())
	w.stop(t)
	w.checkNothingRefused(t)
}

// TestKill kills the collector while the back ends are away, and once more while it
// delivers.
func TestKill(t *testing.T) {
	need(t)
	w := newWard(t, nil)
	w.checkArrived(t, w.get(t, 1))
	w.close()
	paths := w.get(t, 30)
	for _, path := range paths {
		w.awaitQueued(t, path)
	}
	w.kill()
	w.start(t)
	w.open(t)
	more := w.get(t, 30)
	for _, path := range more {
		w.awaitQueuedOrArrived(t, path)
	}
	w.kill()
	w.start(t)
	w.checkArrived(t, append(paths, more...))
	w.stop(t)
}

// queued returns whether the queues on the disk have both the event and the object of
// a request: its path is in the one's URL and in the other's body.
func (w *ward) queued(t testing.TB, path string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "queue", "exporter_*"))
	require.NoError(t, err)
	require.Len(t, files, 2, "one queue for events, one for objects")
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		if !bytes.Contains(content, []byte(path)) {
			return false
		}
	}
	return true
}

func (w *ward) awaitQueued(t testing.TB, path string) {
	t.Helper()
	eventually(t, arrivesWithin, func() error {
		if !w.queued(t, path) {
			return errors.New("not in the queues: " + path)
		}
		return nil
	})
}

// awaitQueuedOrArrived waits until a request is in the queues, or was: what is taken
// out of one is in the back end.
func (w *ward) awaitQueuedOrArrived(t testing.TB, path string) {
	t.Helper()
	eventually(t, arrivesWithin, func() error {
		if w.queued(t, path) {
			return nil
		}
		rows := w.events.find(t, fmt.Sprintf("event.type:artifact_record url.full:%q", path))
		if len(rows) == 0 {
			return errors.New("neither in the queues nor delivered: " + path)
		}
		_, err := os.Stat(filepath.Join(w.folder, w.bucket, rows[0]["artifact.digest"]))
		return err
	})
}

// TestRefusals shows what wrong settings look like: capture goes on, events arrive,
// the log has the reason, and what was mended is delivered.
func TestRefusals(t *testing.T) {
	need(t)
	t.Run("a missing bucket, which is then made", func(t *testing.T) {
		bucket := newToken()
		w := newWard(t, func(env settings) { env["QTAP_BUCKET"] = bucket })
		path := w.site.get(t, smallBody)
		w.awaitLog(t, "the bucket or folder does not exist")
		w.events.await(t, fmt.Sprintf("event.type:artifact_record url.full:%q", path))
		w.storage.makeBucket(t, bucket, true)
		w.checkArrived(t, append(w.get(t, 1), path))
		w.stop(t)
	})
	t.Run("a wrong key", func(t *testing.T) {
		w := newWard(t, func(env settings) { env["AWS_SECRET_ACCESS_KEY"] = "not the right one" })
		w.events.await(t, fmt.Sprintf("event.type:artifact_record url.full:%q", w.site.get(t, smallBody)))
		w.awaitLog(t, "access was denied, check credentials and permissions")
		w.events.await(t, fmt.Sprintf("event.type:artifact_record url.full:%q", w.site.get(t, smallBody)))
		w.stop(t)
		assert.NotContains(t, w.output(), "not the right one")
	})
	t.Run("a back end that refuses the key", func(t *testing.T) {
		events, site, folder := victoria(t), newSite(t), t.TempDir()
		gate := newGate(t, events.address+"/insert/opentelemetry", "X-Team", "the right one")
		c := startExample(t, installation.lean, "otlp.yaml", settings{
			"QTAP_OTLP_ENDPOINT": gate.URL, "QTAP_OTLP_HEADERS": "{X-Team: not the right one}",
			"QTAP_OBJECTS_URL": "file://" + folder,
		})
		site.get(t, largeBody)
		eventually(t, arrivesWithin, func() error {
			if !strings.Contains(c.output(), "HTTP Status Code 401") {
				return errors.New("the log does not say why")
			}
			return nil
		})
		eventually(t, arrivesWithin, func() error {
			if files, err := os.ReadDir(folder); err != nil || len(files) == 0 {
				return errors.Join(err, errors.New("no object"))
			}
			return nil
		})
		c.stop(t)
		assert.NotContains(t, c.output(), "not the right one")
		assert.NotZero(t, gate.refused.Load())
	})
}

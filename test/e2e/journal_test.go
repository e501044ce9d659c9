//go:build linux

package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Record is one log record with its resource.
type Record struct {
	Event      string // EventName
	Resource   map[string]any
	Attributes map[string]any
	Body       string
	Severity   plog.SeverityNumber
	Time       int64 // ns since the Unix epoch
	TraceID    string
	SpanID     string
	Alone      bool // its plog.Logs has no other record
}

// text returns an attribute as a string, "" when it is absent.
func (r *Record) text(name string) string { s, _ := r.Attributes[name].(string); return s }

// number returns an integer attribute, -1 when it is absent.
func (r *Record) number(name string) int64 {
	if n, ok := r.Attributes[name].(int64); ok {
		return n
	}
	return -1
}

// Seen is what was recorded of one transaction on one of its ends.
type Seen struct {
	Request        *Record
	ArtifactRecord *Record
	Artifact       *Record
}

// Journal reads what a collector wrote, as far as it has come.
type Journal struct {
	path string

	mu           sync.Mutex
	offset       int64
	partial      []byte // the beginning of a line whose rest was not written yet
	records      []*Record
	transactions []*Seen
	byID         map[string]*Seen   // by qtap.request.id
	byToken      map[string][]*Seen // by what stands in the URL
	bad          error              // the first line that cannot be
}

func newJournal(path string) *Journal {
	return &Journal{path: path, byID: make(map[string]*Seen), byToken: make(map[string][]*Seen)}
}

var tokenForm = regexp.MustCompile(`e2e-[0-9a-f]{16}`)

// All returns all records so far.
func (j *Journal) All() ([]*Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.refresh()
	return slices.Clone(j.records), err
}

// Transactions returns those that carry the token, in the order of their time;
// all of them when it is empty.
func (j *Journal) Transactions(token string) ([]Seen, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.refresh(); err != nil {
		return nil, err
	}
	from := j.byToken[token]
	if token == "" {
		from = j.transactions
	}
	var all []Seen
	for _, s := range from {
		if s.Request != nil { // otherwise it follows
			all = append(all, *s)
		}
	}
	slices.SortStableFunc(all, func(a, b Seen) int { return cmp.Compare(a.Request.Time, b.Request.Time) })
	return all, nil
}

// refresh reads what was appended. The caller holds the lock.
func (j *Journal) refresh() error {
	if j.bad != nil {
		return j.bad
	}
	file, err := os.Open(j.path)
	if err != nil {
		return nil // not written to yet
	}
	defer file.Close()
	content, err := io.ReadAll(io.NewSectionReader(file, j.offset, 1<<62))
	if err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	j.offset += int64(len(content))
	j.partial = append(j.partial, content...)
	for {
		line, rest, ok := bytes.Cut(j.partial, []byte("\n"))
		if !ok {
			return nil
		}
		if err := j.take(line); err != nil {
			j.bad = fmt.Errorf("reading records: %w", err)
			return j.bad
		}
		j.partial = rest
	}
}

func (j *Journal) take(line []byte) error {
	logs, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(line)
	if err != nil {
		return fmt.Errorf("%w in %.200q", err, line)
	}
	alone := logs.LogRecordCount() == 1
	for _, resource := range logs.ResourceLogs().All() {
		attributes := resource.Resource().Attributes().AsRaw()
		for _, scope := range resource.ScopeLogs().All() {
			for _, log := range scope.LogRecords().All() {
				if err := j.keep(newRecord(attributes, log, alone)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func newRecord(resource map[string]any, log plog.LogRecord, alone bool) *Record {
	r := &Record{
		Event:      log.EventName(),
		Resource:   resource,
		Attributes: log.Attributes().AsRaw(),
		Severity:   log.SeverityNumber(),
		Time:       int64(log.Timestamp()),
		Alone:      alone,
	}
	if log.Body().Type() == pcommon.ValueTypeStr {
		r.Body = log.Body().Str()
	}
	if !log.TraceID().IsEmpty() {
		r.TraceID, r.SpanID = log.TraceID().String(), log.SpanID().String()
	}
	return r
}

// keep joins the records of each transaction by its identifier.
func (j *Journal) keep(r *Record) error {
	j.records = append(j.records, r)
	if r.Event == "qtap.connection" {
		return nil
	}
	id := r.text("qtap.request.id")
	s, ok := j.byID[id]
	if !ok {
		s = &Seen{}
		j.byID[id] = s
		j.transactions = append(j.transactions, s)
	}
	place := map[string]**Record{
		"qtap.request": &s.Request, "qtap.artifact_record": &s.ArtifactRecord, "qtap.artifact": &s.Artifact,
	}[r.Event]
	switch {
	case place == nil:
		return fmt.Errorf("unknown event name %q", r.Event)
	case *place != nil:
		return fmt.Errorf("two records %s with the identifier %q", r.Event, id)
	}
	*place = r
	if r.Event != "qtap.request" {
		return nil
	}
	for _, name := range []string{"url.path", "url.query", "url.full"} {
		if token := tokenForm.FindString(r.text(name)); token != "" {
			j.byToken[token] = append(j.byToken[token], s)
			return nil
		}
	}
	return nil
}

// Field is one header or trailer field of an object.
type Field struct{ Name, Value string }

// Half is the request or the response of an object.
type Half struct {
	Method, URL, Scheme, Path, Query, Authority, Protocol string
	Status                                                int
	Headers, Trailers                                     []Field
	Body                                                  *string
	BodyEncoding                                          string `json:"body_encoding"`
	BodySize                                              *int64 `json:"body_size"`
	BodyTruncated                                         bool   `json:"body_truncated"`
}

// get returns the values of all header fields with the name.
func (h *Half) get(name string) (values []string) {
	for _, f := range h.Headers {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Object is an artifact in the format json.
type Object struct {
	Metadata struct {
		ProcessID     json.Number `json:"process_id"`
		ProcessExe    string      `json:"process_exe"`
		ContainerID   string      `json:"container_id"`
		BytesSent     int64       `json:"bytes_sent"`
		BytesReceived int64       `json:"bytes_received"`
		ConnectionID  string      `json:"connection_id"`
		RequestID     string      `json:"request_id"`
	}
	Request      *Half
	Response     *Half
	Direction    string
	Completeness string
	Missing      []string
}

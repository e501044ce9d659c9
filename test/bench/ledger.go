//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// countedAs is the metric into which the collector's count connector turns
// request records.
const countedAs = "bench.requests"

// countRequests configures the count connector for request records of a
// server's port. The collector sees every process of the host, its own metrics
// tell the sum; only records tell which of them belong to our load.
func countRequests(port int) object {
	return object{"logs": object{countedAs: object{
		"description": "Requests of the load by the end at which they were seen, and what was seen of them.",
		"conditions":  []string{fmt.Sprintf(`attributes["event.type"] == "request" and attributes["server.port"] == %d`, port)},
		"attributes": []object{
			{"key": "qtap.direction"},
			{"key": "qtap.completeness"},
			{"key": "http.request.method", "default_value": unseen},
			{"key": "http.response.status_code", "default_value": unseen},
		},
	}}}
}

// unseen stands for the method or the status of a message that was not seen.
const unseen = "unseen"

func (c *Collector) countFile() string { return filepath.Join(c.dir, "counts.jsonl") }

// End is what was captured at one end of the connections.
type End struct {
	complete, truncated, incomplete int64 // records
	requests, responses             int64 // that they have
}

// Counted returns what the records of the port told, at the server's end and
// at the client's. The collector must have stopped.
func (c *Collector) Counted() (server, client End, err error) {
	content, err := os.ReadFile(c.countFile())
	if errors.Is(err, fs.ErrNotExist) {
		return server, client, nil
	}
	if err != nil {
		return server, client, fmt.Errorf("reading the counts: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, len(content)+1)
	for lines.Scan() {
		var line counts
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return server, client, fmt.Errorf("reading the counts: %w", err)
		}
		line.addTo(&server, &client)
	}
	return server, client, nil
}

// counts is OTLP's JSON of metrics, as far as it is used here.
type counts struct {
	ResourceMetrics []struct {
		ScopeMetrics []struct {
			Metrics []struct {
				Sum struct {
					DataPoints []struct {
						AsInt      string
						Attributes []struct {
							Key   string
							Value struct{ StringValue string }
						}
					}
				}
			}
		}
	}
}

func (c *counts) addTo(server, client *End) {
	for _, resource := range c.ResourceMetrics {
		for _, scope := range resource.ScopeMetrics {
			for _, metric := range scope.Metrics {
				for _, point := range metric.Sum.DataPoints {
					attributes := make(map[string]string)
					for _, a := range point.Attributes {
						attributes[a.Key] = a.Value.StringValue // "" for a number, which is a status
					}
					end := server
					if strings.HasPrefix(attributes["qtap.direction"], "egress") {
						end = client
					}
					n, _ := strconv.ParseInt(point.AsInt, 10, 64)
					end.add(n, attributes)
				}
			}
		}
	}
}

func (e *End) add(n int64, attributes map[string]string) {
	switch attributes["qtap.completeness"] {
	case "complete":
		e.complete += n
	case "truncated":
		e.truncated += n
	default:
		e.incomplete += n
	}
	if attributes["http.request.method"] != unseen {
		e.requests += n
	}
	if attributes["http.response.status_code"] != unseen {
		e.responses += n
	}
}

// printLedger tells where every request that was served has gone. nginx and
// both load generators move each message of a small page in one call. So every
// request is one message of two at each end, four calls, and a call that a full
// ring refused has taken one message with it. What was not refused may still
// have been passed over: a response whose request was refused, and what
// followed a loss until a message began where one must begin.
func printLedger(title string, served int64, server, client End, t Telemetry) {
	rows := []string{"end\tserved\tcaptured\tcaptured/served\tcomplete\ttruncated\tincomplete"}
	for _, x := range []struct {
		name string
		end  End
	}{{"server", server}, {"client", client}} {
		rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%.6f\t%d\t%d\t%d", x.name, served, x.end.requests,
			float64(x.end.requests)/float64(served), x.end.complete, x.end.truncated, x.end.incomplete))
	}
	table(title, rows...)
	seen, submitted := t["kernel_calls_seen"], t["kernel_calls_submitted"]
	filtered, refused := t["kernel_calls_filtered"], t["kernel_calls_refused"]
	inRecords := server.requests + server.responses + client.requests + client.responses
	passed := t["stream_calls_passed_over"]
	fmt.Printf("  messages: 4 x %d served = %d in records + %d refused by full rings + %d passed over after a loss (difference %d)\n",
		served, inRecords, refused, passed, 4*served-inRecords-refused-passed)
	fmt.Printf("  calls of the whole host: %d seen = %d submitted + %d filtered + %d refused (difference %d)\n",
		seen, submitted, filtered, refused, seen-submitted-filtered-refused)
	fmt.Printf("  after the rings: %d bytes too late, %d bytes doubtful, %d log records dropped\n",
		t["stream_bytes_late"], t["stream_bytes_doubtful"], t["records_dropped"])
}

package record

import (
	"fmt"
	"strings"
)

// Options are what the records of one receiver have in common.
type Options struct {
	ServiceName string // resource attribute service.name; "" leaves it out
	HostName    string // resource attribute host.name; "" leaves it out

	// Session is put before every connection and request id, so that ids of
	// several hosts and several starts differ. "" puts nothing.
	Session string

	Format Format // of objects

	// AccessURL is the template of artifact.url; "" leaves the attribute out.
	// The placeholders are {{DIGEST}}, {{BUCKET}}, {{ENDPOINT}} and {{SCHEME}}.
	AccessURL string
	Bucket    string
	Endpoint  string
	Scheme    string

	// BodyLimit is how many bytes of a body an object shows after its content
	// coding was undone. Capture keeps no more than this before.
	BodyLimit int64

	ScopeName    string // instrumentation scope, and creator of HAR documents
	ScopeVersion string
}

// Format of an object.
type Format uint8

const (
	FormatJSON Format = iota // the document of this project
	FormatText               // readable raw HTTP
	FormatHAR                // HTTP Archive 1.2
)

var formatNames = [...]string{"json", "text", "har"}

// String returns the name used in the configuration.
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return "unknown"
}

// ContentType returns the media type of an object in this format.
func (f Format) ContentType() string {
	if f == FormatText {
		return "text/plain; charset=utf-8"
	}
	return "application/json"
}

// MarshalText returns the name used in the configuration.
func (f Format) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText takes the name used in the configuration.
func (f *Format) UnmarshalText(text []byte) error {
	for i, name := range formatNames {
		if string(text) == name {
			*f = Format(i)
			return nil
		}
	}
	return fmt.Errorf("unknown format %q, must be one of: %s", text, strings.Join(formatNames[:], ", "))
}

package record

import (
	"fmt"
	"strings"
)

// accessURL is a template with everything but the digest filled in: the
// digest stands between its parts. Empty when there is no template.
type accessURL []string

const digestPlaceholder = "{{DIGEST}}"

// newAccessURL reads the template of the options. A placeholder that does not
// exist is an error, because it would only be found in the links of records.
func newAccessURL(o Options) (accessURL, error) {
	if o.AccessURL == "" {
		return nil, nil
	}
	rest := o.AccessURL
	for {
		_, after, found := strings.Cut(rest, "{{")
		if !found {
			break
		}
		name, behind, closed := strings.Cut(after, "}}")
		if !closed {
			return nil, fmt.Errorf("access URL %q: {{ without }}", o.AccessURL)
		}
		switch name {
		case "DIGEST", "BUCKET", "ENDPOINT", "SCHEME":
		default:
			return nil, fmt.Errorf("access URL: unknown placeholder {{%s}}, must be one of: {{DIGEST}}, {{BUCKET}}, {{ENDPOINT}}, {{SCHEME}}", name)
		}
		rest = behind
	}
	// Split before filling in: a value is never read as a placeholder.
	parts := strings.Split(o.AccessURL, digestPlaceholder)
	fill := strings.NewReplacer("{{BUCKET}}", o.Bucket, "{{ENDPOINT}}", o.Endpoint, "{{SCHEME}}", o.Scheme)
	for i := range parts {
		parts[i] = fill.Replace(parts[i])
	}
	return parts, nil
}

// of returns the URL of the object with the digest.
func (u accessURL) of(digest string) string { return strings.Join(u, digest) }

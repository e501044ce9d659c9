package objectstoreexporter

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Schemes of bucket URLs.
const (
	schemeAzure  = "azblob"
	schemeFile   = "file"
	schemeGCS    = "gs"
	schemeMemory = "mem"
	schemeS3     = "s3"
)

// parameters lists what can follow the question mark, per scheme. What is not
// listed is refused at start: a misspelt parameter that is ignored would send
// objects elsewhere.
var parameters = map[string][]string{
	schemeAzure:  {"cdn", "domain", "localemu", "protocol", "storage_account"},
	schemeFile:   {"create_dir", "dir_file_mode"},
	schemeGCS:    {"anonymous"},
	schemeMemory: {},
	schemeS3: {
		"anonymous", "dualstack", "endpoint", "fips", "profile", "region",
		"request_checksum_calculation", "use_path_style",
	},
}

// booleans are the parameters that are true or false.
var booleans = []string{"anonymous", "cdn", "create_dir", "dualstack", "fips", "localemu", "use_path_style"}

// target is a bucket URL that was understood.
type target struct {
	scheme string
	bucket string // for file, the folder, relative or absolute
	query  url.Values
	url    *url.URL
}

// flag is the value of a boolean parameter; parseTarget has checked it.
func (t target) flag(name string, otherwise bool) bool {
	value, err := strconv.ParseBool(t.query.Get(name))
	if err != nil {
		return otherwise
	}
	return value
}

// parseTarget reads a bucket URL. Its errors never show the URL, which could
// carry credentials.
func parseTarget(text string) (target, error) {
	if text == "" {
		return target{}, errors.New("is required, for example file://./objects or s3://bucket?region=eu-central-1")
	}
	u, err := url.Parse(text)
	if err != nil {
		// The error of net/url repeats the whole URL.
		return target{}, errors.New("is not a URL, use for example file:///var/lib/objects or s3://bucket?region=eu-central-1")
	}
	allowed, known := parameters[u.Scheme]
	if !known {
		return target{}, fmt.Errorf("unknown scheme %q, use one of s3://, gs://, azblob://, file://, mem://", u.Scheme)
	}
	t := target{scheme: u.Scheme, bucket: u.Host, query: u.Query(), url: u}
	errs := []error{checkParameters(t.query, u.Scheme, allowed)}
	if u.User != nil {
		errs = append(errs, errors.New("carries credentials; give them by the environment or the files that the store's SDK reads"))
	}
	if u.Fragment != "" {
		errs = append(errs, errors.New("has a fragment (#); write %23 if it is part of a name"))
	}
	errs = append(errs, t.checkPlace(u))
	return t, errors.Join(errs...)
}

// checkPlace checks host and path, and finds the folder of a file URL.
func (t *target) checkPlace(u *url.URL) error {
	switch t.scheme {
	case schemeFile:
		switch u.Host {
		case "", "localhost":
			t.bucket = u.Path
		case ".":
			t.bucket = strings.TrimPrefix(u.Path, "/")
		default:
			return fmt.Errorf("%q is in the place of a host: a relative folder is file://./%s, an absolute one file:///%s", u.Host, u.Host, u.Host)
		}
		if strings.Trim(t.bucket, "/.") == "" {
			return errors.New("names no folder: a relative folder is file://./objects, an absolute one file:///var/lib/objects")
		}
	case schemeMemory:
		if u.Host != "" || u.Path != "" {
			return errors.New("mem:// takes no name: each exporter has a memory of its own")
		}
	default:
		if u.Host == "" {
			return fmt.Errorf("names no bucket, use %s://bucket", t.scheme)
		}
		if u.Path != "" && u.Path != "/" {
			return fmt.Errorf("has a path after the bucket; begin the key with it: key: %s/…", strings.Trim(u.Path, "/"))
		}
	}
	return nil
}

// checkParameters checks names and values of what follows the question mark.
func checkParameters(query url.Values, scheme string, allowed []string) error {
	var errs []error
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := query.Get(name)
		switch {
		case !slices.Contains(allowed, name):
			accepted := "it takes none"
			if len(allowed) > 0 {
				accepted = "it takes " + strings.Join(allowed, ", ")
			}
			errs = append(errs, fmt.Errorf("unknown parameter %q of %s://, %s", name, scheme, accepted))
		case len(query[name]) > 1:
			errs = append(errs, fmt.Errorf("parameter %s is there more than once", name))
		default:
			if err := checkParameter(name, value); err != nil {
				errs = append(errs, fmt.Errorf("parameter %s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func checkParameter(name, value string) error {
	if slices.Contains(booleans, name) {
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		return nil
	}
	switch name {
	case "dir_file_mode":
		if _, err := parseMode(value); err != nil {
			return err
		}
	case "endpoint":
		endpoint, err := url.Parse(value)
		if err != nil || endpoint.Host == "" || (endpoint.Scheme != "http" && endpoint.Scheme != "https") {
			return errors.New("is no address, use for example http://127.0.0.1:9000")
		}
		if endpoint.User != nil {
			return errors.New("carries credentials; give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		}
	case "request_checksum_calculation":
		if value != "when_supported" && value != "when_required" {
			return fmt.Errorf("%q is neither when_supported nor when_required", value)
		}
	}
	return nil
}

// parseMode reads a folder's mode as it is written in the shell: 700, 0750.
func parseMode(value string) (uint32, error) {
	mode, err := strconv.ParseUint(value, 8, 32)
	if err != nil || mode > 0o777 {
		return 0, fmt.Errorf("%q is no file mode, use for example 0750", value)
	}
	return uint32(mode), nil
}

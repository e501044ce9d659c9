package objectstoreexporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/stretchr/testify/assert"
	"google.golang.org/api/googleapi"
)

func TestErrorsAreClassified(t *testing.T) {
	ofFile := func(err error) error { return fmt.Errorf("blob: %w", &os.PathError{Op: "write", Path: "/x", Err: err}) }
	tests := []struct {
		name      string
		err       error
		reason    reason
		permanent bool
	}{
		{name: "a full disk", err: ofFile(syscall.ENOSPC), reason: reasonFull},
		{name: "a quota", err: ofFile(syscall.EDQUOT), reason: reasonFull},
		{name: "a folder of another user", err: ofFile(syscall.EACCES), reason: reasonDenied},
		{name: "a file system that is read-only", err: ofFile(syscall.EROFS), reason: reasonDenied},
		{name: "a folder that is gone", err: ofFile(syscall.ENOENT), reason: reasonMissing},
		{name: "a name too long for the file system", err: ofFile(syscall.ENAMETOOLONG), permanent: true},
		{name: "a folder that is a file", err: ofFile(syscall.ENOTDIR), permanent: true},
		{name: "an object that is a folder", err: ofFile(fs.ErrExist), permanent: true},
		{name: "no permission in S3", err: apiError(403, "AccessDenied"), reason: reasonDenied},
		{name: "an expired token in S3", err: apiError(400, "ExpiredToken"), reason: reasonDenied},
		{name: "no bucket in S3", err: apiError(404, "NoSuchBucket"), reason: reasonMissing},
		{name: "a bucket of another region", err: apiError(301, "PermanentRedirect"), reason: reasonMissing},
		{name: "too many requests to S3", err: apiError(503, "SlowDown"), reason: reasonThrottled},
		{name: "an inner error of S3", err: apiError(500, "InternalError"), reason: reasonOther},
		{name: "a key that is too long for S3", err: apiError(400, "KeyTooLongError"), permanent: true},
		{name: "a key that MinIO cannot store", err: apiError(400, "XMinioInvalidObjectName"), permanent: true},
		{name: "an object that is too large for S3", err: apiError(400, "EntityTooLarge"), permanent: true},
		{name: "an error code that is not known is repeated", err: apiError(400, "Whatever"), reason: reasonOther},
		{name: "no credentials for S3", err: errors.New("operation error S3: PutObject, get identity: get credentials: failed"), reason: reasonDenied},
		{name: "no permission in Google Cloud Storage", err: &googleapi.Error{Code: 403}, reason: reasonDenied},
		{name: "no bucket in Google Cloud Storage", err: &googleapi.Error{Code: 404}, reason: reasonMissing},
		{name: "no credentials for Google Cloud Storage", err: errors.New("google: could not find default credentials"), reason: reasonDenied},
		{name: "no permission in Azure", err: &azcore.ResponseError{StatusCode: 403, ErrorCode: "AuthorizationFailure"}, reason: reasonDenied},
		{name: "an object that is too large for Azure", err: &azcore.ResponseError{StatusCode: 413, ErrorCode: "RequestBodyTooLarge"}, permanent: true},
		{name: "the end of the time", err: fmt.Errorf("x: %w", context.DeadlineExceeded), reason: reasonTimeout},
		{name: "a server that is down", err: &url.Error{Op: "Put", URL: "http://127.0.0.1:1/", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, reason: reasonUnreachable},
		{name: "anything else is repeated", err: errors.New("what"), reason: reasonOther},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := classify(test.err)
			assert.Equal(t, test.permanent, f.permanent)
			if !test.permanent {
				assert.Equal(t, test.reason, f.reason)
				assert.True(t, strings.HasPrefix(f.Error(), advice[test.reason]+": "), f.Error())
			}
		})
	}
}

func TestErrorTextsShowNoCredentials(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "verysecretkey")
	t.Setenv("AZURE_STORAGE_KEY", "x") // too short to be one
	for text, want := range map[string]string{
		"signing with verysecretkey failed":                "signing with REDACTED failed",
		"GET https://me:pass@host/path":                    "GET https://REDACTED@host/path",
		`Put "https://h/c/b?sig=abc&se=1": EOF`:            `Put "https://h/c/b?REDACTED": EOF`,
		"Authorization: Bearer abc.def":                    "Authorization: REDACTED",
		"X-Amz-Security-Token: abc":                        "X-Amz-Security-Token: REDACTED",
		`{"access_token":"abc","x":1}`:                     `{"access_token":"REDACTED","x":1}`,
		"AccountName=me;AccountKey=abc==;EndpointSuffix=x": "AccountName=me;AccountKey=REDACTED;EndpointSuffix=x",
		"two\n  lines":                                     "two lines",
		"open /x/objects: permission denied":               "open /x/objects: permission denied",
	} {
		assert.Equal(t, want, redact(text))
	}
	long := redact(strings.Repeat("ä", 1000))
	assert.Len(t, long, maxErrorBytes+len("…"))
}

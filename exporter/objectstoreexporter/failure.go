package objectstoreexporter

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/aws/smithy-go"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"
)

// reason is why an object could not be written; metadata.yaml explains them.
type reason string

const (
	reasonDenied      reason = "denied"
	reasonFull        reason = "full"
	reasonMissing     reason = "missing"
	reasonThrottled   reason = "throttled"
	reasonTimeout     reason = "timeout"
	reasonUnreachable reason = "unreachable"
	reasonOther       reason = "other"
)

// advice is what an operator reads first.
var advice = map[reason]string{
	reasonDenied:      "access was denied, check credentials and permissions",
	reasonFull:        "no space is left",
	reasonMissing:     "the bucket or folder does not exist",
	reasonThrottled:   "the store asks for fewer requests",
	reasonTimeout:     "there was no answer within the timeout",
	reasonUnreachable: "the store cannot be reached",
	reasonOther:       "the store reports an error",
}

// failure is a write that did not succeed, for its object alone when permanent
// is set. What an operator can mend (a missing bucket, wrong credentials, a
// full disk) is not permanent: the queue holds the objects meanwhile.
type failure struct {
	reason    reason
	permanent bool
	text      string // without credentials
}

func (f *failure) Error() string {
	if f.permanent {
		return "the store refuses the object: " + f.text
	}
	return advice[f.reason] + ": " + f.text
}

// permanentCodes are the S3 and Azure error codes that concern the key or the
// size of one object.
var permanentCodes = []string{
	"EntityTooLarge", "InvalidObjectName", "InvalidResourceName", "KeyTooLongError", "RequestBodyTooLarge", "XMinioInvalidObjectName",
}

// deniedCodes are those of their error codes that do not come with 401 or 403.
var deniedCodes = []string{"ExpiredToken", "InvalidToken", "AuthorizationHeaderMalformed"}

// classify says what an error of a store means.
func classify(err error) *failure {
	f := &failure{reason: reasonOther, text: redact(err.Error())}
	status, code := answer(err)
	switch {
	// Of one object only: its name is too long for the file system, or it is
	// a folder there, or one of its folders is a file.
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOTDIR),
		errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist),
		status == http.StatusRequestEntityTooLarge, slices.Contains(permanentCodes, code):
		f.permanent = true
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), status == http.StatusInsufficientStorage,
		code == "XMinioStorageFull", code == "QuotaExceeded":
		f.reason = reasonFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS),
		status == http.StatusUnauthorized, status == http.StatusForbidden, slices.Contains(deniedCodes, code),
		lacksCredentials(err):
		f.reason = reasonDenied
	case status == http.StatusNotFound, status == http.StatusMovedPermanently, errors.Is(err, fs.ErrNotExist):
		f.reason = reasonMissing
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		f.reason = reasonThrottled
	case errors.Is(err, context.DeadlineExceeded), status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		f.reason = reasonTimeout
	case status == 0 && isNetwork(err):
		f.reason = reasonUnreachable
	case gcerrors.Code(err) == gcerrors.PermissionDenied:
		f.reason = reasonDenied
	case gcerrors.Code(err) == gcerrors.NotFound:
		f.reason = reasonMissing
	}
	return f
}

// ofBucket is a failure of the bucket itself, which no object is to blame for.
func ofBucket(err error) *failure {
	f := classify(err)
	if f.permanent {
		f.permanent, f.reason = false, reasonMissing
	}
	return f
}

// answer is the HTTP status and the error code of a store's answer, 0 and ""
// when there was none.
func answer(err error) (status int, code string) {
	var (
		s3     interface{ HTTPStatusCode() int }
		s3code smithy.APIError
		google *googleapi.Error
		azure  *azcore.ResponseError
	)
	switch {
	case errors.As(err, &google):
		return google.Code, ""
	case errors.As(err, &azure):
		return azure.StatusCode, azure.ErrorCode
	}
	if errors.As(err, &s3) {
		status = s3.HTTPStatusCode()
	}
	if errors.As(err, &s3code) {
		code = s3code.ErrorCode()
	}
	return status, code
}

// lacksCredentials tells whether an SDK found none. They have no error type for
// that in common.
func lacksCredentials(err error) bool {
	text := err.Error()
	for _, sign := range []string{"get credentials", "get identity", "could not find default credentials", "DefaultAzureCredential"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network)
}

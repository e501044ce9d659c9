package objectstoreexporter

import (
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxErrorBytes bounds an error's text: SDKs repeat requests and whole answers.
const maxErrorBytes = 600

const redacted = "REDACTED"

// secretVariables are the environment variables by which credentials reach the
// SDKs. Their values are removed from error texts wherever they stand.
var secretVariables = []string{
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING",
	"AZURE_STORAGEBLOB_CONNECTIONSTRING", "AZURE_CLIENT_SECRET", "AZURE_PASSWORD",
}

var (
	// A URL's user information, and its query: presigned URLs and SAS tokens
	// are there.
	userInformation = regexp.MustCompile(`(\w://)[^/\s@"']*@`)
	urlQuery        = regexp.MustCompile(`(\w://[^\s?"']*)\?[^\s"']*`)
	// A header or a setting that is named in a text.
	namedSecret = regexp.MustCompile(`(?i)\b(authorization|x-amz-security-token|accountkey|sharedaccesssignature|sig|secret|password|(?:access|refresh|id)?_?token)("?\s*[:=]\s*"?)(?:(?:bearer|sharedkey|aws4-hmac-sha256)\s+)?[^\s"'&;]+`)
)

// redact makes one line of an error's text and takes all credentials out of it.
func redact(text string) string {
	for _, name := range secretVariables {
		// A value of a few bytes is no credential, and removing it would
		// garble the text.
		if value := os.Getenv(name); len(value) >= 6 {
			text = strings.ReplaceAll(text, value, redacted)
		}
	}
	text = userInformation.ReplaceAllString(text, "${1}"+redacted+"@")
	text = urlQuery.ReplaceAllString(text, "${1}?"+redacted)
	text = namedSecret.ReplaceAllString(text, "${1}${2}"+redacted)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxErrorBytes {
		cut := maxErrorBytes
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}

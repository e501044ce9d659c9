package objectstoreexporter

import "fmt"

// cause is why a record can never become an object; metadata.yaml explains
// them.
type cause string

const (
	causeAttributeMissing cause = "attribute_missing"
	causeBodyType         cause = "body_type"
	causeContentType      cause = "content_type"
	causeKeyInvalid       cause = "key_invalid"
	causeStoreRefused     cause = "store_refused"
	causeTooLarge         cause = "too_large"
)

// refusal is a record that can never become an object: repeating it would not
// help, so it is dropped and counted.
type refusal struct {
	cause cause
	err   error
}

func refuse(c cause, format string, args ...any) *refusal {
	return &refusal{cause: c, err: fmt.Errorf(format, args...)}
}

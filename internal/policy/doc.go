// Package policy decides which transactions are shown, how much of each, and
// takes the secrets out of what is shown.
//
// It owns the capture rules ([Policy]) and the redaction ([Redactor]); both
// are pure functions of their configuration and safe for concurrent use. It
// takes transactions as the pairing made them and gives a level, a number of
// body bytes to keep, and transactions whose header values and URLs hold no
// covered secret. It never looks into bodies and never encodes anything:
// whoever encodes applies the redaction first.
package policy

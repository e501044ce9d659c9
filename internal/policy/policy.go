package policy

import (
	"errors"
	"fmt"

	"github.com/qtapreceiver/qtapreceiver/internal/message"
	"github.com/qtapreceiver/qtapreceiver/internal/transaction"
)

// Config is what a [Policy] is made from.
type Config struct {
	// Directions are the directions whose transactions are shown; the zero
	// value is all of them.
	Directions Directions
	// IgnoreLoopback leaves out connections of which one end is a loopback
	// address. Unix sockets have no address and are not left out.
	IgnoreLoopback bool
	// Level of every transaction that is shown.
	Level transaction.Level
	// BodyLimit is how many bytes of each body are kept at
	// [transaction.LevelFull]; 0 keeps none.
	BodyLimit int64
	// RedactHeaders are the names of fields whose values are replaced. nil
	// stands for [DefaultHeaders]; an empty list replaces no field (URLs are
	// redacted nevertheless).
	RedactHeaders []string
}

// Policy is the capture rules of one receiver. Safe for concurrent use.
type Policy struct {
	directions     Directions
	ignoreLoopback bool
	level          transaction.Level
	keep           int64
	redactor       *Redactor
}

// New returns the policy of the configuration, or every error in it.
func New(config Config) (*Policy, error) {
	var errs []error
	if config.Directions&^All != 0 {
		errs = append(errs, fmt.Errorf("unknown directions %#x", uint8(config.Directions)))
	}
	if config.Level > transaction.LevelFull {
		errs = append(errs, fmt.Errorf("unknown level %d", uint8(config.Level)))
	}
	if config.BodyLimit < 0 {
		errs = append(errs, fmt.Errorf("body limit must not be negative: %d", config.BodyLimit))
	}
	if config.RedactHeaders == nil {
		config.RedactHeaders = DefaultHeaders()
	}
	for _, name := range config.RedactHeaders {
		if !isFieldName(name) {
			errs = append(errs, fmt.Errorf("not a header field name: %q", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if config.Directions == 0 {
		config.Directions = All
	}
	return &Policy{
		directions:     config.Directions,
		ignoreLoopback: config.IgnoreLoopback,
		level:          config.Level,
		keep:           bodyBytes(config.Level, config.BodyLimit),
		redactor:       NewRedactor(config.RedactHeaders),
	}, nil
}

// bodyBytes returns how many body bytes to keep. -1 is not 0: at full level
// with a limit of 0 the body was asked for and is missing because of the
// limit, below full it was not asked for and nothing is missing.
func bodyBytes(level transaction.Level, limit int64) int64 {
	switch {
	case level < transaction.LevelFull:
		return 0
	case limit == 0:
		return -1
	default:
		return limit
	}
}

// Wanted reports whether a transaction of the connection is shown at all. What
// has no known direction yet is shown: a transaction more can be dropped
// later, one less is gone. t is nil when the connection itself is asked about.
func (p *Policy) Wanted(c *transaction.Connection, t *transaction.Transaction) bool {
	if p.ignoreLoopback && isLoopback(c) {
		return false
	}
	direction := c.Direction()
	if t != nil {
		direction = t.Direction()
	}
	switch direction {
	case transaction.Ingress:
		return p.directions&Ingress != 0
	case transaction.EgressInternal:
		return p.directions&EgressInternal != 0
	case transaction.EgressExternal:
		return p.directions&EgressExternal != 0
	default:
		return true
	}
}

func isLoopback(c *transaction.Connection) bool {
	return c.Local.Addr().Unmap().IsLoopback() || c.Remote.Addr().Unmap().IsLoopback()
}

// Level returns how much of the transaction is shown.
func (p *Policy) Level(*transaction.Transaction) transaction.Level { return p.level }

// Keep returns how many bytes of the body of m to keep when its head is
// complete: 0 below full, the limit at full, and -1 at full with a limit of 0,
// which means that the body was asked for although none of it is kept.
func (p *Policy) Keep(*transaction.Transaction, *message.Message) int64 { return p.keep }

// Redact takes the secrets out of t, in place; see [Redactor.Apply].
func (p *Policy) Redact(t *transaction.Transaction) { p.redactor.Apply(t) }

// isFieldName reports whether name is a token (RFC 9110, section 5.1).
func isFieldName(name string) bool {
	for i := range len(name) {
		if !isToken(name[i]) {
			return false
		}
	}
	return name != ""
}

// isToken reports whether c may stand in a token (RFC 9110, section 5.6.2).
func isToken(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

package transaction

import (
	"fmt"
	"strings"
)

// Level says how much of a transaction its records show.
type Level uint8

const (
	LevelNone    Level = iota // the request event alone
	LevelSummary              // and an artifact with metadata
	LevelHeaders              // and header and trailer fields
	LevelFull                 // and bodies
)

var levelNames = [...]string{"none", "summary", "headers", "full"}

// String returns the name used in the configuration.
func (l Level) String() string { return levelNames[l] }

// MarshalText returns the name used in the configuration.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText takes the name used in the configuration.
func (l *Level) UnmarshalText(text []byte) error {
	for i, name := range levelNames {
		if string(text) == name {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("unknown level %q, must be one of: %s", text, strings.Join(levelNames[:], ", "))
}

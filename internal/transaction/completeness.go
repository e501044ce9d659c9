package transaction

import (
	"github.com/qtapreceiver/qtapreceiver/internal/event"
	"github.com/qtapreceiver/qtapreceiver/internal/message"
)

// Completeness says how much of what its level shows a record has.
type Completeness uint8

const (
	// Complete: nothing that the level shows is missing.
	Complete Completeness = iota
	// Truncated: every head and the end of every message was seen; body
	// bytes of known number are missing.
	Truncated
	// Incomplete: anything else.
	Incomplete
)

var completenessNames = [...]string{"complete", "truncated", "incomplete"}

// String returns the value of the attribute qtap.completeness.
func (c Completeness) String() string { return completenessNames[c] }

// Completeness returns how complete the transaction is at the level, and all
// reasons why it is not. Body bytes count at level full alone.
func (t *Transaction) Completeness(level Level) (Completeness, event.Reasons) {
	missing := t.Missing
	bodies := event.Reasons(0)
	whole := true
	for _, m := range [...]*message.Message{t.Request, t.Response} {
		if m == nil {
			whole = false
			continue
		}
		missing |= m.Missing
		whole = whole && m.Body.Size != message.SizeUnknown
		if level == LevelFull {
			bodies |= m.Body.Missing
		}
	}
	switch {
	case missing != 0 || !whole:
		return Incomplete, missing | bodies
	case bodies != 0:
		return Truncated, bodies
	default:
		return Complete, 0
	}
}

package policy

import (
	"fmt"
	"strings"
)

// Directions is a set of directions of transactions, seen from this host.
type Directions uint8

const (
	Ingress        Directions = 1 << iota // answered by a local process
	EgressInternal                        // asked by a local process, of a private address
	EgressExternal                        // asked by a local process, of a public address
	Egress         = EgressInternal | EgressExternal
	All            = Ingress | Egress
)

// directionNames are the names used in the configuration, in its order.
var directionNames = []struct {
	name string
	set  Directions
}{
	{"all", All},
	{"ingress", Ingress},
	{"egress", Egress},
	{"egress-internal", EgressInternal},
	{"egress-external", EgressExternal},
}

// String returns the name used in the configuration.
func (d Directions) String() string {
	for _, n := range directionNames {
		if n.set == d {
			return n.name
		}
	}
	return fmt.Sprintf("directions(%#x)", uint8(d))
}

// MarshalText returns the name used in the configuration.
func (d Directions) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText takes the name used in the configuration.
func (d *Directions) UnmarshalText(text []byte) error {
	names := make([]string, 0, len(directionNames))
	for _, n := range directionNames {
		if n.name == string(text) {
			*d = n.set
			return nil
		}
		names = append(names, n.name)
	}
	return fmt.Errorf("unknown direction %q, must be one of: %s", text, strings.Join(names, ", "))
}

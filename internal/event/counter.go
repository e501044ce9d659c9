package event

// Counter indexes the counts that the kernel side keeps per CPU.
//
// Calls that moved bytes on a stream socket reconcile:
// CallsSeen = CallsSubmitted + CallsFiltered + CallsRefused.
type Counter int

const (
	CallsSeen          Counter = iota // calls that moved bytes on a stream socket
	CallsSubmitted                    // … that reached the ring, whole or with a marked rest
	CallsFiltered                     // … of connections that are not of interest
	CallsRefused                      // … of which at least one record was refused by a full ring
	BytesRefused                      // bytes in refused records
	RecordsSubmitted                  // records of all kinds
	RecordsRefused                    // records of all kinds refused by a full ring
	ConnectionsRefused                // connections not tracked because the map was full
	Calls32Bit                        // calls of 32-bit processes, which are skipped
	CallsUnreadable                   // calls whose buffer could not be read, at least in part
	SightingsRefused                  // executable files that were not reported because their ring was full; the next use reports them
	NumCounters
)

var counterNames = [NumCounters]string{
	"calls_seen", "calls_submitted", "calls_filtered", "calls_refused", "bytes_refused",
	"records_submitted", "records_refused", "connections_refused", "calls_32bit", "calls_unreadable",
	"sightings_refused",
}

// String returns the name in snake case.
func (c Counter) String() string {
	if c < 0 || c >= NumCounters {
		return "unknown"
	}
	return counterNames[c]
}

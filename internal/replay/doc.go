// Package replay writes the records of an [event.Source] to a file and plays
// such a file, which makes it another source: everything behind it runs
// without privileges, without Linux, and the same way every time.
//
// A recording is the eight bytes "QTAPEV1\n" and then records back to back as
// [event.Next] splits them, in the order in which the source delivered them.
// It holds what applications sent and received, unredacted: whoever can read
// it can read their secrets.
//
// It owns the file format. It never interprets a record beyond its length.
package replay

// Magic begins every recording. The digit is the version of the record
// layout: a layout that old recordings do not follow gets another one.
const Magic = "QTAPEV1\n"

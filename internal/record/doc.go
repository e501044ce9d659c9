// Package record turns transactions and connections into OTLP logs: the last
// stage of the pipeline, and the only one that knows pdata.
//
// It owns the names, types and order of everything that a user sees (the
// contract is docs/record-format.md): the events, the objects in their
// formats, the digest and the access URL. It takes transactions that were
// redacted before, with their process and level, and gives a [Batch] of one
// plog.Logs with events and one plog.Logs for every artifact. It undoes
// content codings for the object within bounds. It never invents a value: what
// is not known is left out.
package record

// Package objectstoreexporter is a Collector exporter that makes an object of
// each log record: the record's body, under a key made from its attributes, in
// a folder, in S3 or a store that speaks its protocol, in Google Cloud Storage
// or in Azure Blob Storage.
//
// It takes plog.Logs and gives objects whose bytes are exactly those of the
// body (or their compression) and whose key is exactly what the template
// gives; a record for which that is not possible is refused with a reason and
// counted. It owns no queue and no retry: those are exporterhelper's. It never
// reads an object back, lists or deletes any.
package objectstoreexporter

//go:generate go tool -modfile=../../tools/go.mod mdatagen metadata.yaml

// Package qtapreceiver is the Collector component: it watches the HTTP traffic
// of every process on a Linux host with eBPF and emits it as logs.
//
// It owns the configuration, the life cycle and the delivery to the next
// consumer. It takes an event source (the kernel, or a recording) and gives it
// to the pipeline, which does all the work; what the pipeline counts becomes
// the component's own telemetry. It never touches a payload.
package qtapreceiver

//go:generate go tool -modfile=../../tools/go.mod mdatagen metadata.yaml

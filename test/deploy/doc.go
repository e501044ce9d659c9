// Package deploy tests how otelcol-qtap is delivered: the image, the systemd
// unit, the Kubernetes objects and the values for the Helm chart, with the
// real binary, the real container runtime and the real types.
//
// It is a module of its own, because the types of Kubernetes have no place
// among the dependencies of a receiver.
//
//	QTAP_BINARY  the collector of this machine, by default dist/otelcol-qtap-full
//	QTAP_IMAGE   the image, by default dist/otelcol-qtap-image.tar
package deploy

// Package dropin shows that the full distribution takes the place of the
// collector that somebody runs today.
//
// The configurations of distribution/dropin are written as the users of other
// distributions have them. Each is validated and started as it stands, with the
// real binary, and ends on SIGTERM with exit code 0. Together they use every
// component of the distribution, so that none can stop working unseen.
//
// The tests run in a network namespace and the collectors in file systems of
// their own: fixed ports and paths need not be changed, nothing that a
// configuration names can be reached, and nothing is left behind. They need
// Linux and root (or user namespaces), and the binary that make build-full
// writes: dist/otelcol-qtap-full or QTAP_FULL_BINARY.
package dropin

package transaction

import "encoding/hex"

// Trace is a W3C trace context.
type Trace struct {
	TraceID [16]byte
	SpanID  [8]byte // of the caller
	Flags   byte
}

// Trace returns the trace context that the request carries. ok is false when
// there is none, more than one, or one that is not valid.
func (t *Transaction) Trace() (trace Trace, ok bool) {
	if t.Request == nil {
		return Trace{}, false
	}
	value, found := "", false
	for i := range t.Request.Fields {
		f := &t.Request.Fields[i]
		if len(f.Name) == len("traceparent") && equalFold(f.Name, "traceparent") {
			if found {
				return Trace{}, false
			}
			value, found = f.Value, true
		}
	}
	return ParseTraceparent(value)
}

// ParseTraceparent reads the value of a traceparent field (W3C Trace Context,
// section 3.2): lowercase hex only, version ff and identifiers of zeros are
// invalid, version 00 has nothing after the flags, later versions may have
// more after another dash.
func ParseTraceparent(s string) (t Trace, ok bool) {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(s) < length || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return Trace{}, false
	}
	var version, flags [1]byte
	if !decodeHex(version[:], s[:2]) || !decodeHex(t.TraceID[:], s[3:35]) ||
		!decodeHex(t.SpanID[:], s[36:52]) || !decodeHex(flags[:], s[53:55]) {
		return Trace{}, false
	}
	if version[0] == 0xff || version[0] == 0 && len(s) != length || len(s) > length && s[length] != '-' {
		return Trace{}, false
	}
	if t.TraceID == [16]byte{} || t.SpanID == [8]byte{} {
		return Trace{}, false
	}
	t.Flags = flags[0]
	return t, true
}

// decodeHex decodes lowercase hex of twice the length of to.
func decodeHex(to []byte, s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	n, err := hex.Decode(to, []byte(s))
	return err == nil && n == len(to)
}

// equalFold compares an ASCII name with one in lower case.
func equalFold(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

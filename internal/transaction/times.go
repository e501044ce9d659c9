package transaction

import "time"

// Times are kernel time, ns of CLOCK_BOOTTIME; 0 when unknown.

// StartTime returns the time of the first byte of the request, or of the
// response when the request was not seen.
func (t *Transaction) StartTime() uint64 {
	switch {
	case t.Request != nil:
		return t.Request.First.Time
	case t.Response != nil:
		return t.Response.First.Time
	default:
		return 0
	}
}

// FirstByteTime returns the time of the first byte of the final response.
func (t *Transaction) FirstByteTime() uint64 {
	if t.Response == nil {
		return 0
	}
	return t.Response.First.Time
}

// EndTime returns the time of the last byte of the response, or of the request
// when there was no response. It is never before the start.
func (t *Transaction) EndTime() uint64 {
	end := uint64(0)
	switch {
	case t.Response != nil:
		end = t.Response.End
	case t.Request != nil:
		end = t.Request.End
	}
	return max(end, t.StartTime())
}

// Duration returns the time from the first byte of the request to the last
// byte of the response. ok is false when one of the two was not seen.
func (t *Transaction) Duration() (d time.Duration, ok bool) {
	if t.Request == nil || t.Response == nil {
		return 0, false
	}
	return time.Duration(t.EndTime() - t.StartTime()), true
}

// TimeToFirstByte returns the time from the first byte of the request to the
// first byte of the final response. ok is false when one was not seen.
func (t *Transaction) TimeToFirstByte() (d time.Duration, ok bool) {
	if t.Request == nil || t.Response == nil || t.FirstByteTime() < t.StartTime() {
		return 0, false
	}
	return time.Duration(t.FirstByteTime() - t.StartTime()), true
}

package transaction

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/qtapreceiver/qtapreceiver/internal/event"
)

// URL is the target URI of a request, as far as it is known. Empty parts are
// unknown or absent. Nothing is decoded or normalised, so that it shows what
// was sent; it holds whatever secrets the request's target holds.
type URL struct {
	// Full is scheme, authority, path and query. When no authority is known
	// it is path and query alone.
	Full      string
	Scheme    string
	Authority string // host and port, without credentials
	Host      string // of Authority; IPv6 addresses without brackets
	Port      uint16 // of Authority; 0 when it has none
	Path      string
	Query     string // without the question mark
}

// URL builds the target URI from the request target and the Host field (RFC
// 9112 section 3.3). Without a usable Host the server's address stands in
// when it is known; no host is ever made up. For the authority form (CONNECT)
// and the asterisk form there is no path.
func (t *Transaction) URL() URL {
	m := t.Request
	if m == nil || m.Target == "" {
		return URL{}
	}
	u := URL{Scheme: "http"}
	if m.First.Source != event.SourceSocket {
		u.Scheme = "https"
	}
	switch {
	case m.Method == "CONNECT":
		// A tunnel to a host and port, for whatever scheme (RFC 9110 section 9.3.6).
		u.Scheme = ""
		u.setAuthority(m.Target)
		return u
	case m.Target == "*":
		u.setAuthority(t.authority(u.Scheme))
	case m.Target[0] == '/':
		u.setAuthority(t.authority(u.Scheme))
		u.setPath(m.Target)
	default:
		if u.setAbsolute(m.Target) {
			return u
		}
		// Not a form that the RFC has: there is no URL, only what was sent.
		u.setPath(m.Target)
		return u
	}
	if u.Authority == "" {
		u.Full = m.Target
		if m.Target == "*" {
			u.Full = ""
		}
		return u
	}
	u.Full = u.Scheme + "://" + u.Authority
	if m.Target[0] == '/' {
		u.Full += m.Target
	}
	return u
}

// setAbsolute takes a target in absolute form. Its authority wins over the
// Host field (RFC 9112 section 3.2.2).
func (u *URL) setAbsolute(target string) bool {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !validScheme(scheme) {
		return false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = authority[at+1:]
	}
	u.Full, u.Scheme = target, strings.ToLower(scheme)
	u.setAuthority(authority)
	u.setPath(rest[end:])
	return true
}

// validScheme is RFC 3986 section 3.1.
func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !(s[i] >= '0' && s[i] <= '9' || strings.IndexByte("+-.", s[i]) >= 0)) {
			return false
		}
	}
	return s != ""
}

func (u *URL) setPath(target string) {
	u.Path, u.Query, _ = strings.Cut(target, "?")
}

// setAuthority takes an authority without credentials; an invalid one is left
// out.
func (u *URL) setAuthority(authority string) {
	host, port, ok := splitAuthority(authority)
	if !ok {
		return
	}
	u.Authority, u.Host, u.Port = authority, host, port
}

// splitAuthority splits host and port (RFC 3986 section 3.2). An empty port
// counts as none.
func splitAuthority(authority string) (host string, port uint16, ok bool) {
	var rest string
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return "", 0, false
		}
		host, rest = authority[1:end], authority[end+1:]
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() {
			return "", 0, false
		}
	} else {
		end := strings.IndexByte(authority, ':')
		if end < 0 {
			end = len(authority)
		}
		host, rest = authority[:end], authority[end:]
		if !validName(host) {
			return "", 0, false
		}
	}
	if rest == "" || rest == ":" {
		return host, 0, true
	}
	if rest[0] != ':' {
		return "", 0, false
	}
	n, err := strconv.ParseUint(rest[1:], 10, 16)
	if err != nil {
		return "", 0, false
	}
	return host, uint16(n), true
}

// validName reports whether a host is a name or an IPv4 address. Bytes over
// 0x7f are let pass, as internationalised names are sent raw by some clients;
// what could end the host or hide another one is not.
func validName(host string) bool {
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`/?#@\:[]<>"{}|^`+"`", c) >= 0 {
			return false
		}
	}
	return host != ""
}

// authority returns the Host field, or the server's address when there is no
// Host field, or "". Several Host fields that differ are no answer.
func (t *Transaction) authority(scheme string) string {
	host, found := "", false
	for i := range t.Request.Fields {
		f := &t.Request.Fields[i]
		if !equalFold(f.Name, "host") {
			continue
		}
		if found && f.Value != host {
			return ""
		}
		host, found = f.Value, true
	}
	if found && host != "" {
		return host
	}
	return t.serverAddress(scheme)
}

// serverAddress returns address and port of the server's end; a default port
// is left out. It is "" when unknown, and when fields of the request are
// missing, because the Host may be among them.
func (t *Transaction) serverAddress(scheme string) string {
	if t.Request.Missing != 0 {
		return ""
	}
	server := t.Connection.Remote
	if t.Connection.Role == event.RoleServer {
		server = t.Connection.Local
	}
	if !server.IsValid() || t.Connection.Role == event.RoleUnknown {
		return ""
	}
	address := server.Addr().Unmap().WithZone("").String()
	standard := uint16(80)
	if scheme == "https" {
		standard = 443
	}
	if port := server.Port(); port != standard {
		return net.JoinHostPort(address, strconv.Itoa(int(port)))
	}
	if server.Addr().Unmap().Is6() {
		return "[" + address + "]"
	}
	return address
}

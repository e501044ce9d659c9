package policy

import "strings"

// isSignature reports whether the values of parameters with this name, in
// lower case, are replaced. None of them is longer than signatureSize.
func isSignature(name []byte) bool {
	switch string(name) {
	case "x-amz-signature", "x-amz-credential", "x-amz-security-token",
		"x-goog-signature", "signature", "awsaccesskeyid", "sig":
		return true
	}
	return false
}

// signatureEnds are what the names end with.
var signatureEnds = [...]string{"signature", "credential", "token", "sig", "keyid"}

// namesSignature reports whether a '=' in s follows what a signature
// parameter may end with. It is the quick answer for text without '%'.
func namesSignature(s string) bool {
	for rest := s; ; {
		i := strings.IndexByte(rest, '=')
		if i < 0 {
			return false
		}
		name := rest[:i]
		for name != "" && (isBlank(rune(name[len(name)-1])) || name[len(name)-1] == '+') {
			name = name[:len(name)-1]
		}
		for _, end := range signatureEnds {
			if len(name) >= len(end) && equalFold(name[len(name)-len(end):], end) {
				return true
			}
		}
		rest = rest[i+1:]
	}
}

// equalFold reports whether s is the lower case text, both of one length.
func equalFold(s, text string) bool {
	for i := range len(text) {
		if lowerByte(s[i]) != text[i] {
			return false
		}
	}
	return true
}

// signatureSize is the room for a parameter name: longer ones are none of ours.
const signatureSize = 24

// parameterName collects the decoded name of the parameter that is being read.
type parameterName struct {
	bytes  [signatureSize]byte
	length int // -1: too long
}

func (n *parameterName) add(c byte) {
	switch {
	case n.length < 0 || n.length == 0 && (isBlank(rune(c)) || c == '+'):
		// Servers drop blanks before a name; '+' is an encoded space.
	case n.length == signatureSize:
		n.length = -1
	default:
		n.bytes[n.length] = lowerByte(c)
		n.length++
	}
}

func (n *parameterName) isSignature() bool {
	if n.length <= 0 {
		return false
	}
	end := n.length
	for end > 0 && (isBlank(rune(n.bytes[end-1])) || n.bytes[end-1] == '+') {
		end--
	}
	return isSignature(n.bytes[:end])
}

// redactParameters replaces the values of signature parameters. open says
// that the text may begin with a parameter and that ';' and '&' separate
// parameters even before the first '?' or '#'.
//
// A delimiter counts at every depth of encoding, so the parameters of a URL
// that is itself the value of a parameter are found too.
func redactParameters(s string, open bool) string {
	e := edit{text: s}
	var name parameterName
	query, naming := open, open
	var closer byte
	for i := 0; i < len(s); {
		c, width, depth := decode(s, i)
		i += width
		switch {
		case c == '?' || c == '#' || query && (c == '&' || c == ';'):
			query, naming, name.length = true, true, 0
		case closer != 0 && c == closer && depth == 0:
			closer, query, naming = 0, open, false
		case closer == 0 && depth == 0 && (c == '<' || c == '"'):
			closer = closerOf(c)
		case c == '=' && naming:
			naming = false
			if name.isSignature() {
				end := valueEnd(s, i, depth, closer)
				e.replace(i, end)
				i = end
			}
		case naming:
			name.add(c)
		}
	}
	return e.result()
}

func closerOf(opener byte) byte {
	if opener == '<' {
		return '>'
	}
	return opener
}

// valueEnd returns where the value that begins at s[i] ends. Its '=' was
// encoded depth times, so a delimiter that is encoded more often is a part of
// the value. A ';' ends the value only if a parameter follows: for most
// servers it is no separator at all.
func valueEnd(s string, i, depth int, closer byte) int {
	for i < len(s) {
		c, width, d := decode(s, i)
		switch {
		case d > depth:
		case c == '&' || c == '#':
			return i
		case c == ';' && parameterFollows(s, i+width, depth):
			return i
		case c == closer && closer != 0 && d == 0:
			return i
		}
		i += width
	}
	return i
}

// parameterFollows reports whether s[i:] begins with a name and '='.
func parameterFollows(s string, i, depth int) bool {
	// No name of interest to anybody is longer, and the bound keeps the work
	// linear for a text of semicolons.
	const longest = 128
	for start := i; i < len(s) && i-start < longest; {
		c, width, d := decode(s, i)
		i += width
		switch {
		case d > depth:
		case c == '=':
			return true
		case c == '&' || c == ';' || c == '#':
			return false
		}
	}
	return false
}

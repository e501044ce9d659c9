package target

import "strings"

// membership returns the container and the pod that the control groups tell,
// "" for what they do not. Names are innermost first without the root. The
// innermost container wins: that is where the process runs, also when
// containers are nested.
//
// The forms are those that container runtimes create; there is no standard:
//
//	docker-<id>.scope, cri-containerd-<id>.scope, crio-<id>.scope, libpod-<id>.scope   systemd driver
//	/docker/<id>, /kubepods/burstable/pod<uid>/<id>, /ecs/<task>/<id>                  cgroupfs driver
//	kubepods-burstable-pod<uid>.slice:cri-containerd:<id>                              mismatched drivers
//	/ecs/<task>/<task>-<number>                                                        AWS Fargate
//	/garden/<id>, /lxc/<name>, lxc.payload.<name>, systemd-nspawn@<name>.service
func membership(names []string) (containerID, podUID string) {
	for i, name := range names {
		parent := ""
		if i+1 < len(names) {
			parent = names[i+1]
		}
		if containerID == "" && podUID == "" { // a container does not lie outside of a pod
			containerID = containerOf(name, parent)
		}
		if podUID == "" {
			podUID = podOf(name, names[i+1:])
		}
	}
	return strings.Clone(containerID), podUID
}

// containerOf returns the container that the control group is made for, or "".
func containerOf(name, parent string) string {
	if colon := strings.LastIndexByte(name, ':'); colon >= 0 && isHex(name[colon+1:], 64) {
		return name[colon+1:]
	}
	if id := containerIn(strings.TrimSuffix(name, ".scope")); id != "" {
		return id
	}
	switch {
	case parent == "garden" && isUUID(name, '-'):
		return name
	case parent == "lxc" || parent == "lxc.payload":
		return name
	case strings.HasPrefix(name, "lxc.payload."):
		return name[len("lxc.payload."):]
	case strings.HasPrefix(name, "systemd-nspawn@") && strings.HasSuffix(name, ".service"):
		return unescapeUnit(name[len("systemd-nspawn@") : len(name)-len(".service")])
	}
	return ""
}

// containerIn returns the identifier that the name is or ends with, or "".
func containerIn(name string) string {
	if isHex(name, 64) || isFargate(name) || isGarden(name) {
		return name
	}
	if len(name) > 65 && name[len(name)-65] == '-' && isHex(name[len(name)-64:], 64) {
		// The monitor of a container carries its identifier but runs outside.
		if strings.HasSuffix(name[:len(name)-65], "conmon") {
			return ""
		}
		return name[len(name)-64:]
	}
	return ""
}

// podOf returns the UID of the Kubernetes pod that the control group is made
// for, or "". Only the kubelet's own tree counts: "pod" is a common prefix.
func podOf(name string, outer []string) string {
	name, _, _ = strings.Cut(name, ":")
	if slice, ok := strings.CutSuffix(name, ".slice"); ok {
		at := strings.LastIndex(slice, "-pod")
		if at < 0 || !strings.Contains(slice[:at], "kubepods") {
			return ""
		}
		return podUID(slice[at+len("-pod"):])
	}
	uid, ok := strings.CutPrefix(name, "pod")
	if !ok {
		return ""
	}
	for _, o := range outer {
		if strings.Contains(o, "kubepods") {
			return podUID(uid)
		}
	}
	return ""
}

// podUID returns the UID with hyphens as Kubernetes shows it: systemd slices
// have underscores in their place. Static pods have 32 hexadecimal digits.
func podUID(s string) string {
	switch {
	case isUUID(s, '-'), isHex(s, 32):
		return strings.Clone(s)
	case isUUID(s, '_'):
		return strings.ReplaceAll(s, "_", "-")
	}
	return ""
}

// isFargate: 32 hexadecimal digits, a hyphen and a decimal number.
func isFargate(s string) bool {
	if len(s) < 34 || len(s) > 52 || s[32] != '-' || !isHex(s[:32], 32) {
		return false
	}
	for i := 33; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// isGarden: the identifiers of Cloud Foundry's Garden are eight and five times
// four digits, which no UUID is.
func isGarden(s string) bool { return isGroups(s, '-', 8, 4, 4, 4, 4) }

func isUUID(s string, separator byte) bool { return isGroups(s, separator, 8, 4, 4, 4, 12) }

// isGroups reports whether s is groups of hexadecimal digits of the lengths.
func isGroups(s string, separator byte, lengths ...int) bool {
	for i, length := range lengths {
		if i > 0 {
			if s == "" || s[0] != separator {
				return false
			}
			s = s[1:]
		}
		if len(s) < length || !isHex(s[:length], length) {
			return false
		}
		s = s[length:]
	}
	return s == ""
}

// isHex reports whether s is length lower case hexadecimal digits.
func isHex(s string, length int) bool {
	if len(s) != length {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// unescapeUnit undoes the \xNN escapes of systemd unit names (systemd.unit(5)).
func unescapeUnit(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if i+3 < len(s) && s[i] == '\\' && s[i+1] == 'x' && isHex(s[i+2:i+4], 2) {
			out = append(out, digit(s[i+2])<<4|digit(s[i+3]))
			i += 3
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func digit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

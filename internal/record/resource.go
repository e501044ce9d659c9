package record

import "go.opentelemetry.io/collector/pdata/pcommon"

// resource puts the attributes of the process. digest is that of the artifact
// whose resource it is, "" for events.
func (e *Encoder) resource(m pcommon.Map, s source, digest string) {
	m.EnsureCapacity(10)
	known(m, "service.name", e.options.ServiceName)
	known(m, "host.name", e.options.HostName)
	if pid := s.pid(); pid != 0 {
		m.PutInt("process.pid", int64(pid))
	}
	if p := s.process; p != nil {
		known(m, "process.executable.name", p.ExecutableName)
		known(m, "process.executable.path", p.ExecutablePath)
		known(m, "process.owner", p.Owner)
		known(m, "container.id", p.ContainerID)
		known(m, "k8s.pod.uid", p.PodUID)
	}
	known(m, "qtap.artifact.digest", digest)
}

// pid returns the PID of the process; 0 when it is not known.
func (s source) pid() uint32 {
	if s.process != nil && s.process.PID != 0 {
		return s.process.PID
	}
	return s.key.PID
}

// known puts a string unless it is empty, which stands for unknown.
func known(m pcommon.Map, name, value string) {
	if value != "" {
		m.PutStr(name, text(value))
	}
}

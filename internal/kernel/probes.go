//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"

	"github.com/qtapreceiver/qtapreceiver/internal/executable"
)

// operation says what the arguments of a probed function mean; see
// bpf/probes.h.
type operation uint64

const (
	operationRead operation = iota + 1
	operationWrite
	operationReadEx
	operationWriteEx
	operationSendfile
	operationFree
	operationImport
	operationReadFlags
	operationHandshake
	operationNew
)

// operations are those of the functions that are probed.
var operations = map[string]operation{
	"SSL_read":                           operationRead,
	"SSL_write":                          operationWrite,
	"SSL_read_ex":                        operationReadEx,
	"SSL_write_ex":                       operationWriteEx,
	"SSL_sendfile":                       operationSendfile,
	"SSL_do_handshake":                   operationHandshake,
	"gnutls_handshake":                   operationHandshake,
	"crypto/tls.(*Conn).clientHandshake": operationHandshake,
	"crypto/tls.(*Conn).serverHandshake": operationHandshake,
	"SSL_new":                            operationNew,
	"SSL_free":                           operationFree,
	"gnutls_record_recv":                 operationRead,
	"gnutls_record_recv_seq":             operationRead,
	"gnutls_record_send":                 operationWrite,
	"gnutls_record_send2":                operationWrite,
	"gnutls_record_send_range":           operationWrite,
	"gnutls_record_send_file":            operationSendfile,
	"gnutls_deinit":                      operationFree,
	"SSL_ImportFD":                       operationImport,
	"PR_Read":                            operationRead,
	"PR_Write":                           operationWrite,
	"PR_Recv":                            operationReadFlags,
	"PR_Send":                            operationWrite,
	"PR_Close":                           operationFree,
	"crypto/tls.(*Conn).Read":            operationRead,
	"crypto/tls.(*Conn).Write":           operationWrite,
	"crypto/tls.(*Conn).Close":           operationFree,
}

// sources are the numbers of event.CaptureSource.
var sources = map[executable.Library]uint64{
	executable.OpenSSL: 1,
	executable.Go:      2,
	executable.GnuTLS:  3,
	executable.NSS:     4,
}

// maxProbed is the number of places in the map `probed`.
const maxProbed = 16384

// probes attaches programs to functions in files. It is safe for concurrent
// use.
type probes struct {
	objects *qtapObjects
	isMulti bool // the kernel has uprobe.multi

	guard    sync.Mutex
	free     []uint32 // places in the map `probed` that were given back
	next     uint32
	attached int
}

// hasUprobeMulti reports whether one link can hold all probes of a file. It
// came with Linux 6.6. Without, each probe is a perf event, which needs
// CAP_SYS_ADMIN.
func hasUprobeMulti() bool { return features.HaveBPFLinkUprobeMulti() == nil }

// set is the probes of one finding, attached.
type set struct {
	probes *probes
	links  []link.Link
	index  uint32
	once   sync.Once
	err    error
}

// attach attaches what the functions of the finding need, in the file that is
// open. Probes act on the file, whatever process runs it.
func (p *probes) attach(file *os.File, finding executable.Finding) (io.Closer, error) {
	source, known := sources[finding.Library]
	if !known {
		return nil, fmt.Errorf("probing %s: no programs for library %q", file.Name(), finding.Library)
	}
	index, err := p.take()
	if err != nil {
		return nil, err
	}
	s := &set{probes: p, index: index}
	path := fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	target, err := link.OpenExecutable(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s to probe it: %w", file.Name(), err), s.Close())
	}
	var places []place
	for _, f := range finding.Functions {
		places = append(places, p.places(f, source, index)...)
	}
	if s.links, err = p.link(target, places); err != nil {
		return nil, errors.Join(fmt.Errorf("probing %s: %w", file.Name(), explain(err)), s.Close())
	}
	// From now on nothing is missed.
	if err := p.objects.Probed.Put(index, now()); err != nil {
		return nil, errors.Join(fmt.Errorf("noting the time of the probes: %w", err), s.Close())
	}
	return s, nil
}

// place is one probe.
type place struct {
	program  *ebpf.Program
	offset   uint64
	cookie   uint64
	isReturn bool
}

// places returns the probes of one function. Functions that are not known are
// left out: a later finder may know more than we do.
func (p *probes) places(f executable.Function, source uint64, index uint32) []place {
	what, known := operations[f.Name]
	if !known {
		return nil
	}
	cookie := uint64(what) | source<<8 | uint64(index)<<16
	if source == sources[executable.Go] {
		places := []place{{program: p.objects.OnGoCall, offset: f.Entry, cookie: cookie}}
		if what != operationFree {
			for _, offset := range f.Returns {
				places = append(places, place{program: p.objects.OnGoReturn, offset: offset, cookie: cookie})
			}
		}
		return places
	}
	places := []place{{program: p.objects.OnTlsCall, offset: f.Entry, cookie: cookie}}
	if what != operationFree {
		places = append(places, place{program: p.objects.OnTlsReturn, offset: f.Entry, cookie: cookie, isReturn: true})
	}
	return places
}

// link attaches returns before entries, so that no call is remembered whose
// return is not seen.
func (p *probes) link(target *link.Executable, places []place) (links []link.Link, err error) {
	defer func() {
		if err != nil {
			for _, l := range links {
				_ = l.Close()
			}
			links = nil
		}
	}()
	order := []*ebpf.Program{p.objects.OnTlsReturn, p.objects.OnGoReturn, p.objects.OnTlsCall, p.objects.OnGoCall}
	for _, program := range order {
		options := link.UprobeMultiOptions{}
		isReturn := false
		for _, at := range places {
			if at.program == program {
				options.Addresses = append(options.Addresses, at.offset)
				options.Cookies = append(options.Cookies, at.cookie)
				isReturn = at.isReturn
			}
		}
		if len(options.Addresses) == 0 {
			continue
		}
		if !p.isMulti {
			more, err := linkEach(target, program, &options, isReturn)
			links = append(links, more...)
			if err != nil {
				return links, err
			}
			continue
		}
		attach := target.UprobeMulti
		if isReturn {
			attach = target.UretprobeMulti
		}
		l, err := attach(nil, program, &options)
		if err != nil {
			return links, err
		}
		links = append(links, l)
	}
	return links, nil
}

// linkEach attaches one perf event per place.
func linkEach(target *link.Executable, program *ebpf.Program, all *link.UprobeMultiOptions, isReturn bool) ([]link.Link, error) {
	attach := target.Uprobe
	if isReturn {
		attach = target.Uretprobe
	}
	var links []link.Link
	for i, offset := range all.Addresses {
		l, err := attach("", program, &link.UprobeOptions{Address: offset, Cookie: all.Cookies[i]})
		if err != nil {
			return links, fmt.Errorf("at offset %#x: %w", offset, err)
		}
		links = append(links, l)
	}
	return links, nil
}

// take reserves a place in the map of times.
func (p *probes) take() (uint32, error) {
	p.guard.Lock()
	defer p.guard.Unlock()
	index := p.next
	if n := len(p.free); n > 0 {
		index, p.free = p.free[n-1], p.free[:n-1]
	} else if p.next++; p.next > maxProbed {
		p.next = maxProbed
		return 0, fmt.Errorf("probing more than %d files", maxProbed)
	}
	if p.attached++; p.attached == 1 {
		if err := p.objects.HasProbes.Set(true); err != nil {
			return 0, fmt.Errorf("telling the programs of probes: %w", err)
		}
	}
	return index, nil
}

// Close detaches.
func (s *set) Close() error {
	s.once.Do(func() {
		for _, l := range s.links {
			s.err = errors.Join(s.err, l.Close())
		}
		p := s.probes
		p.guard.Lock()
		defer p.guard.Unlock()
		s.err = errors.Join(s.err, p.objects.Probed.Put(s.index, uint64(0)))
		p.free = append(p.free, s.index)
		if p.attached--; p.attached == 0 {
			s.err = errors.Join(s.err, p.objects.HasProbes.Set(false))
		}
	})
	return s.err
}

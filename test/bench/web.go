//go:build linux

package main

import (
	"fmt"
	"time"
)

var webUnits = []string{"requests/s", "p50-us", "p99-us", "server-cpu-us/request", "client-cpu-us/request", "collector-cpu-us/request", "transactions/request", "refused-calls/request"}

// measureSteady puts a load on nginx that leaves the machine idle at times:
// what a request costs, and whether each is captured.
func measureSteady(s Setup) error {
	title := fmt.Sprintf("steady: nginx at %d requests per second, both ends watched, level summary", steadyRate)
	if err := compareLoad(s, title, "Steady", paced); err != nil {
		return err
	}
	return keepLedger(s, "Steady", "steady: ledger", paced, nil)
}

// measureSaturated lets wrk, nginx and the collector compete for the CPUs.
func measureSaturated(s Setup) error {
	title := "saturated: wrk against nginx, both ends watched, level summary"
	if err := compareLoad(s, title, "Saturated", saturating); err != nil {
		return err
	}
	if err := keepLedger(s, "Saturated", "saturated: ledger", saturating, nil); err != nil {
		return err
	}
	// The smallest rings, so that the ledger has something to account for.
	small := object{"limits": object{"ring_mib": 1}}
	return keepLedger(s, "SaturatedSmallRings", "saturated: ledger with limits.ring_mib: 1", saturating, small)
}

// compareLoad measures load with and without the collector in turns.
func compareLoad(s Setup, title, name string, generate generator) error {
	nginx, err := startNginx()
	if err != nil {
		return err
	}
	defer nginx.Stop()
	if _, err := generate(Setup{self: s.self, load: time.Second}, nginx.address, "/warm"); err != nil {
		return err
	}
	for range s.rounds {
		if err := measureLoad(s, name, nginx, nil, generate); err != nil {
			return err
		}
		c, err := startCollector(s, Watch{})
		if err != nil {
			return err
		}
		err = measureLoad(s, name, nginx, c, generate)
		c.Stop()
		if err != nil {
			return err
		}
	}
	s.report.compare(title, name, webUnits)
	return nil
}

// measureLoad is one round, watched when there is a collector.
func measureLoad(s Setup, name string, nginx *Nginx, c *Collector, generate generator) error {
	var collector []int
	state := Bare
	if c != nil {
		collector, state = []int{c.PID()}, Watched
	}
	serverBefore, collectorBefore := nginx.CPU(), cpuTime(collector...)
	load, err := generate(s, nginx.address, "/page")
	if err != nil {
		return err
	}
	server := nginx.CPU() - serverBefore
	if c != nil {
		// What it still works on belongs to this load, and the kernel's counts
		// come every second.
		time.Sleep(1200 * time.Millisecond)
	}
	perRequest := func(cpu time.Duration) float64 { return cpu.Seconds() * 1e6 / float64(load.Requests) }
	s.report.Add(name, state, "requests/s", load.rate())
	s.report.Add(name, state, "p50-us", float64(load.P50.Nanoseconds())/1000)
	s.report.Add(name, state, "p99-us", float64(load.P99.Nanoseconds())/1000)
	s.report.Add(name, state, "server-cpu-us/request", perRequest(server))
	s.report.Add(name, state, "client-cpu-us/request", perRequest(load.cpu))
	if c == nil {
		return nil
	}
	s.report.Add(name, state, "collector-cpu-us/request", perRequest(cpuTime(collector...)-collectorBefore))
	// Of the whole host: two transactions a request when nothing is lost, and
	// somewhat more when others speak HTTP, too. The ledger is exact, but
	// counting for it costs CPU; this shows what is captured without.
	t, err := c.Telemetry()
	if err != nil {
		return err
	}
	s.report.Add(name, state, "transactions/request", float64(t["transactions"])/float64(load.Requests))
	s.report.Add(name, state, "refused-calls/request", float64(t["kernel_calls_refused"])/float64(load.Requests))
	return nil
}

// keepLedger accounts for every request of a load of its own, because counting
// records in the collector costs something that watching does not.
func keepLedger(s Setup, name, title string, generate generator, receiver object) error {
	nginx, err := startNginx()
	if err != nil {
		return err
	}
	defer nginx.Stop()
	c, err := startCollector(s, Watch{receiver: receiver, count: nginx.Port()})
	if err != nil {
		return err
	}
	defer c.Stop()
	before, err := nginx.Served()
	if err != nil {
		return err
	}
	load, err := generate(s, nginx.address, "/page")
	if err != nil {
		return err
	}
	telemetry, err := c.Settled()
	if err != nil {
		return err
	}
	after, err := nginx.Served()
	if err != nil {
		return err
	}
	c.end()
	server, client, err := c.Counted()
	if err != nil {
		return err
	}
	served := after - before
	s.report.Add(name+"/end=server", Watched, "captured/served", float64(server.requests)/float64(served))
	s.report.Add(name+"/end=client", Watched, "captured/served", float64(client.requests)/float64(served))
	printLedger(fmt.Sprintf("%s: %.0f requests per second", title, load.rate()),
		served, server, client, telemetry)
	return nil
}

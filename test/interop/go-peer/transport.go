package main

import (
	"log"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// The library's own transport, counted: what a benchmark asks of both sides must be counted in one way. Datagrams that are lost on purpose count as sent.
type transport struct {
	*memberlist.NetTransport
	loss                               atomic.Uint64 // the bits of a share from 0 to 1
	blocked                            sync.Map      // addresses that no datagram of ours gets to
	datagramsOut, bytesOut, streamsOut atomic.Uint64
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

// Port 0 is chosen by the system for TCP, and taken for UDP then: it may be somebody's already, as in the library's own retries.
const bindAttempts = 10

func newTransport(config *memberlist.Config) (*transport, error) {
	attempts := 1
	output := config.LogOutput
	if output == nil {
		output = os.Stderr
	}
	if config.BindPort == 0 {
		attempts = bindAttempts
	}
	var failure error
	for range attempts {
		inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{config.BindAddr}, BindPort: config.BindPort, Logger: log.New(output, "", log.LstdFlags),
		})
		if err == nil {
			config.BindPort = inner.GetAutoBindPort()
			config.AdvertisePort = config.BindPort
			return &transport{NetTransport: inner}, nil
		}
		failure = err
	}
	return nil, failure
}

func (t *transport) WriteTo(bytes []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(bytes, memberlist.Address{Addr: addr})
}

func (t *transport) WriteToAddress(bytes []byte, addr memberlist.Address) (time.Time, error) {
	t.datagramsOut.Add(1)
	t.bytesOut.Add(uint64(len(bytes)))
	if _, blocked := t.blocked.Load(addr.Addr); blocked {
		return time.Now(), nil
	}
	if loss := math.Float64frombits(t.loss.Load()); loss > 0 && rand.Float64() < loss {
		return time.Now(), nil
	}
	return t.NetTransport.WriteToAddress(bytes, addr)
}

// Of a list, instead of those before; an empty one blocks none.
func (t *transport) block(addrs string) {
	t.blocked.Clear()
	for _, addr := range strings.Split(addrs, ",") {
		t.blocked.Store(addr, true)
	}
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (t *transport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	t.streamsOut.Add(1)
	return t.NetTransport.DialAddressTimeout(addr, timeout)
}

// What test/interop/peer counts too, under its names. CPU in microseconds, memory in bytes.
func (t *transport) stats() fields {
	var usage syscall.Rusage
	cpu := int64(0)
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		cpu = (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
	}
	return fields{
		"datagramsOut": t.datagramsOut.Load(), "bytesOut": t.bytesOut.Load(), "streamsOut": t.streamsOut.Load(), "cpu_us": cpu, "rss": residentBytes(),
	}
}

func residentBytes() int {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	words := strings.Fields(string(statm))
	if len(words) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(words[1])
	return pages * os.Getpagesize()
}

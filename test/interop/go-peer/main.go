// A scriptable node on hashicorp/memberlist: the same flags, commands and events as test/interop/peer, for meetings of both.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

var (
	out  sync.Mutex
	seen sync.Map
)

type fields map[string]any

func say(event string, more fields) {
	line := fields{"ev": event, "ts": time.Now().UnixMicro()}
	for key, value := range more {
		line[key] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	out.Lock()
	defer out.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

func b64(bytes []byte) string { return base64.StdEncoding.EncodeToString(bytes) }

func unb64(text string) []byte {
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return bytes
}

func describe(node *memberlist.Node) fields {
	return fields{"node": node.Name, "addr": net.JoinHostPort(node.Addr.String(), strconv.Itoa(int(node.Port))), "meta": b64(node.Meta)}
}

type peer struct {
	list        *memberlist.Memberlist
	transport   *transport
	unwatch     chan struct{}
	ring        *memberlist.Keyring
	queue       *memberlist.TransmitLimitedQueue
	meta, state []byte
	relay       atomic.Bool
	pings       bool
}

type broadcast []byte

func (b broadcast) Invalidates(memberlist.Broadcast) bool { return false }
func (b broadcast) Message() []byte                       { return b }
func (b broadcast) Finished()                             {}

func (p *peer) NodeMeta(int) []byte { return p.meta }
func (p *peer) NotifyMsg(data []byte) {
	_, known := seen.LoadOrStore(string(data), true)
	say("user", fields{"data": b64(data), "len": len(data), "first": !known})
	if p.relay.Load() && !known {
		p.queue.QueueBroadcast(broadcast(append([]byte(nil), data...)))
	}
}
func (p *peer) GetBroadcasts(overhead, limit int) [][]byte {
	return p.queue.GetBroadcasts(overhead, limit)
}
func (p *peer) LocalState(bool) []byte { return p.state }
func (p *peer) MergeRemoteState(state []byte, join bool) {
	say("merge", fields{"join": join, "state": b64(state)})
}
func (p *peer) NotifyJoin(node *memberlist.Node) { say("join", describe(node)) }

// Whether it left or died the library does not tell: the State of its events is always 0.
func (p *peer) NotifyLeave(node *memberlist.Node)  { say("leave", describe(node)) }
func (p *peer) NotifyUpdate(node *memberlist.Node) { say("update", describe(node)) }
func (p *peer) NotifyConflict(node, other *memberlist.Node) {
	more := describe(node)
	more["other"] = describe(other)["addr"]
	say("conflict", more)
}
func (p *peer) AckPayload() []byte { return nil }
func (p *peer) NotifyPingComplete(node *memberlist.Node, rtt time.Duration, payload []byte) {
	if p.pings {
		say("ping", fields{"node": node.Name, "rtt_us": rtt.Microseconds(), "payload": b64(payload)})
	}
}

func (p *peer) find(name string) (*memberlist.Node, error) {
	for _, node := range p.list.Members() {
		if node.Name == name {
			return node, nil
		}
	}
	return nil, errors.New("unknown")
}

func (p *peer) obey(name string, args []string) (fields, error) {
	arg := func(at int) string {
		if at < len(args) {
			return args[at]
		}
		return ""
	}
	keys := func(change func(*memberlist.Keyring, []byte) error) error {
		if p.ring == nil {
			return errors.New("no keyring")
		}
		return change(p.ring, unb64(arg(0)))
	}
	switch name {
	case "join":
		contacted, err := p.list.Join(strings.Split(arg(0), ","))
		return fields{"contacted": contacted}, err
	case "leave":
		return nil, p.list.Leave(5 * time.Second)
	case "meta":
		p.meta = unb64(arg(0))
		return nil, p.list.UpdateNode(5 * time.Second)
	case "state":
		p.state = unb64(arg(0))
		return nil, nil
	case "members":
		members := []fields{}
		for _, node := range p.list.Members() {
			members = append(members, describe(node))
		}
		return fields{"alive": p.list.NumMembers(), "members": members}, nil
	case "stats":
		stats := p.transport.stats()
		stats["health"] = p.list.GetHealthScore()
		return stats, nil
	case "loss":
		loss, err := strconv.ParseFloat(arg(0), 64)
		if err != nil || !(loss >= 0 && loss <= 1) {
			return nil, errors.New("a share from 0 to 1")
		}
		p.transport.loss.Store(math.Float64bits(loss))
		return nil, nil
	case "block":
		p.transport.block(arg(0))
		return nil, nil
	case "watch":
		every, err := time.ParseDuration(arg(0))
		if err == nil {
			p.watch(every)
		}
		return nil, err
	case "relay":
		relay, err := strconv.ParseBool(arg(0))
		if err == nil {
			p.relay.Store(relay)
		}
		return nil, err
	case "broadcast":
		data := unb64(arg(0))
		seen.Store(string(data), true)
		at := time.Now().UnixMicro()
		p.queue.QueueBroadcast(broadcast(data))
		return fields{"at": at}, nil
	case "send-reliable", "send-best-effort":
		node, err := p.find(arg(0))
		if err != nil {
			return nil, err
		}
		if name == "send-reliable" {
			return nil, p.list.SendReliable(node, unb64(arg(1)))
		}
		return nil, p.list.SendBestEffort(node, unb64(arg(1)))
	case "key-add":
		return nil, keys((*memberlist.Keyring).AddKey)
	case "key-use":
		return nil, keys((*memberlist.Keyring).UseKey)
	case "key-remove":
		return nil, keys((*memberlist.Keyring).RemoveKey)
	case "quit":
		return nil, nil
	}
	return nil, errors.New("there is no such command")
}

func main() {
	config := memberlist.DefaultLANConfig()
	p := &peer{}
	flag.StringVar(&config.Name, "name", "go", "")
	flag.StringVar(&config.BindAddr, "bind", "127.0.0.1", "")
	flag.IntVar(&config.BindPort, "port", 0, "")
	flag.StringVar(&config.Label, "label", "", "")
	flag.BoolVar(&config.EnableCompression, "compress", true, "")
	relay := flag.Bool("relay", false, "")
	flag.BoolVar(&p.pings, "pings", false, "")
	watch := flag.Duration("watch", 50*time.Millisecond, "")
	loss := flag.Float64("loss", 0, "")
	flag.DurationVar(&config.ProbeInterval, "probe-interval", config.ProbeInterval, "")
	flag.DurationVar(&config.ProbeTimeout, "probe-timeout", config.ProbeTimeout, "")
	flag.IntVar(&config.SuspicionMult, "suspicion-mult", config.SuspicionMult, "")
	flag.DurationVar(&config.GossipInterval, "gossip-interval", config.GossipInterval, "")
	protocol := flag.Int("proto", 2, "")
	key := flag.String("key", "", "")
	meta := flag.String("meta", "", "")
	state := flag.String("state", "", "")
	verbose := flag.Bool("log", false, "")
	flag.Parse()

	config.ProtocolVersion = uint8(*protocol)
	if !*verbose {
		config.LogOutput = io.Discard
	}
	p.relay.Store(*relay)
	p.meta, p.state = unb64(*meta), unb64(*state)
	if *key != "" {
		var keys [][]byte
		for _, text := range strings.Split(*key, ",") {
			keys = append(keys, unb64(text))
		}
		ring, err := memberlist.NewKeyring(keys, keys[0])
		if err != nil {
			panic(err)
		}
		p.ring, config.Keyring = ring, ring
	}
	config.Delegate, config.Events, config.Conflict, config.Ping = p, p, p, p
	p.queue = &memberlist.TransmitLimitedQueue{RetransmitMult: config.RetransmitMult, NumNodes: func() int {
		if p.list == nil {
			return 1
		}
		return p.list.NumMembers()
	}}
	wire, err := newTransport(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	wire.loss.Store(math.Float64bits(*loss))
	p.transport, config.Transport = wire, wire
	list, err := memberlist.Create(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p.list = list
	p.watch(*watch)
	say("ready", fields{"node": config.Name, "addr": describe(list.LocalNode())["addr"]})

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 64*1024), 64*1024*1024)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		more := fields{}
		if len(words) > 0 && strings.HasPrefix(words[0], "#") {
			more["id"] = words[0][1:]
			words = words[1:]
		}
		if len(words) == 0 {
			continue
		}
		more["cmd"] = words[0]
		answer, err := p.obey(words[0], words[1:])
		more["ok"] = err == nil
		if err != nil {
			more["error"] = err.Error()
		}
		for name, value := range answer {
			more[name] = value
		}
		say("reply", more)
		if words[0] == "quit" {
			break
		}
	}
	list.Shutdown()
	say("quit", nil)
}

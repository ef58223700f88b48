package main

import (
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/hashicorp/memberlist"
)

// The library tells nobody whom it suspects: its table has to be looked at, under its own lock. Its names are those of v0.7.0, which go.mod pins.
// Each call ends the watch before; 0 begins none.
func (p *peer) watch(every time.Duration) {
	if p.unwatch != nil {
		close(p.unwatch)
		p.unwatch = nil
	}
	if every > 0 {
		p.unwatch = make(chan struct{})
		go watchStates(p.list, every, p.unwatch)
	}
}

func watchStates(list *memberlist.Memberlist, every time.Duration, end <-chan struct{}) {
	inner := reflect.ValueOf(list).Elem()
	lock := (*sync.RWMutex)(unsafe.Pointer(inner.FieldByName("nodeLock").UnsafeAddr()))
	nodes := inner.FieldByName("nodes")
	known := map[string]memberlist.NodeStateType{}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-end:
			return
		case <-ticker.C:
		}
		var changes []func()
		lock.RLock()
		for at := range nodes.Len() {
			entry := nodes.Index(at).Elem()
			name := entry.FieldByName("Name").String()
			state := memberlist.NodeStateType(entry.FieldByName("State").Int())
			was, seen := known[name]
			known[name] = state
			if !seen || was == state || (state != memberlist.StateSuspect && state != memberlist.StateAlive) {
				continue
			}
			since := (*time.Time)(unsafe.Pointer(entry.FieldByName("StateChange").UnsafeAddr())).UnixMicro()
			told := fields{"node": name, "was": stateNames[was], "inc": entry.FieldByName("Incarnation").Uint(), "at": since}
			changes = append(changes, func() { say(stateNames[state], told) })
		}
		lock.RUnlock()
		for _, change := range changes {
			change()
		}
	}
}

var stateNames = map[memberlist.NodeStateType]string{
	memberlist.StateAlive: "alive", memberlist.StateSuspect: "suspect", memberlist.StateDead: "dead", memberlist.StateLeft: "left",
}

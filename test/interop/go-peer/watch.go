package main

import (
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/hashicorp/memberlist"
)

// The library tells nobody whom it suspects: its table has to be looked at, under its own lock. Its names are those of v0.7.0, which go.mod pins.
func watchStates(list *memberlist.Memberlist, every time.Duration) {
	inner := reflect.ValueOf(list).Elem()
	lock := (*sync.RWMutex)(unsafe.Pointer(inner.FieldByName("nodeLock").UnsafeAddr()))
	nodes := inner.FieldByName("nodes")
	known := map[string]memberlist.NodeStateType{}
	for range time.Tick(every) {
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

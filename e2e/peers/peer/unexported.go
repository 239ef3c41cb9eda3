package main

import (
	"reflect"
	"time"
	"unsafe"

	"github.com/grafana/dskit/kv/memberlist"
	fork "github.com/hashicorp/memberlist"
)

// setProbeInterval sets what dskit keeps for its own tests: with its fixed 5 s,
// every test that waits for a failure would last half a minute.
func setProbeInterval(cfg *memberlist.KVConfig, interval time.Duration) {
	*unexported[time.Duration](cfg, "probeInterval") = interval
}

// clusterOf returns the members' list inside a running store, which dskit shows
// only as HTML.
func clusterOf(kv *memberlist.KV) *fork.Memberlist {
	return *unexported[*fork.Memberlist](kv, "memberlist")
}

// unexported returns a pointer to a field of a struct of another package. It
// panics if the field is not there or has another type.
func unexported[T any](of any, name string) *T {
	field := reflect.ValueOf(of).Elem().FieldByName(name)
	if field.Type() != reflect.TypeFor[T]() {
		panic(name + " is now a " + field.Type().String())
	}
	return (*T)(unsafe.Pointer(field.UnsafeAddr()))
}

package main

import (
	"sync/atomic"

	"github.com/hashicorp/memberlist"

	"pyroscope-operator.test/e2e/peers/talk"
)

// delegate is what the user of memberlist contributes: metadata, messages and
// state, all of them text.
type delegate struct {
	meta       atomic.Pointer[string]
	state      string
	broadcasts memberlist.TransmitLimitedQueue
	out        *talk.Printer
}

func newDelegate(cfg config, out *talk.Printer) *delegate {
	d := &delegate{state: cfg.state, out: out}
	d.meta.Store(&cfg.meta)
	d.broadcasts.RetransmitMult = 4
	// Replaced once there is a cluster to count.
	d.broadcasts.NumNodes = func() int { return 1 }
	return d
}

func (d *delegate) NodeMeta(int) []byte { return []byte(*d.meta.Load()) }

func (d *delegate) NotifyMsg(message []byte) {
	d.out.Print(event{Message: string(message)})
}

func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.broadcasts.GetBroadcasts(overhead, limit)
}

func (d *delegate) LocalState(bool) []byte { return []byte(d.state) }

func (d *delegate) MergeRemoteState(state []byte, _ bool) {
	d.out.Print(event{State: string(state)})
}

// broadcast is a user message that every node shall hear.
type broadcast []byte

func (b broadcast) Invalidates(memberlist.Broadcast) bool { return false }
func (b broadcast) Message() []byte                       { return b }
func (b broadcast) Finished()                             {}
func (b broadcast) UniqueBroadcast()                      {}

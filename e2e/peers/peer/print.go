package main

import (
	"github.com/grafana/dskit/ring"

	"pyroscope-operator.test/e2e/peers/talk"
)

// event is one line of output; only what it is about is set.
type event struct {
	// Address that peers dial, once gossip has started.
	Address string `json:"address,omitempty"`
	// Members is the number of cluster members, this node included.
	Members int `json:"members,omitempty"`
	// Nodes maps names to members; null when the line is not about them.
	Nodes map[string]talk.Member `json:"nodes,omitempty"`
	// Ring maps instance ids to instances; null when the line is not about it.
	Ring map[string]instance `json:"ring"`
	// Left says that the node has left the ring and the cluster.
	Left bool `json:"left,omitempty"`
}

type instance struct {
	ID         string   `json:"id"`
	Addr       string   `json:"addr"`
	State      string   `json:"state"`
	Zone       string   `json:"zone"`
	Timestamp  int64    `json:"timestamp"`
	Registered int64    `json:"registered"`
	Tokens     []uint32 `json:"tokens"`
}

func instances(desc *ring.Desc) map[string]instance {
	all := map[string]instance{}
	for id, d := range desc.GetIngesters() {
		all[id] = instance{
			ID:         d.Id,
			Addr:       d.Addr,
			State:      d.State.String(),
			Zone:       d.Zone,
			Timestamp:  d.Timestamp,
			Registered: d.RegisteredTimestamp,
			Tokens:     d.Tokens,
		}
	}
	return all
}

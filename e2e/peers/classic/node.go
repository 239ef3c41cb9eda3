package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"pyroscope-operator.test/e2e/peers/talk"
)

// poll is how often the members are looked at.
const poll = 20 * time.Millisecond

// event is one line of output; only what it is about is set.
type event struct {
	// Address that peers dial, once gossip has started.
	Address string `json:"address,omitempty"`
	// Members is the number of cluster members, this node included.
	Members int `json:"members,omitempty"`
	// Nodes maps names to members.
	Nodes map[string]talk.Member `json:"nodes,omitempty"`
	// Message is a user message from another node.
	Message string `json:"message,omitempty"`
	// State is what another node handed out in an exchange.
	State string `json:"state,omitempty"`
	// Left says that the node has left the cluster.
	Left bool `json:"left,omitempty"`
}

type node struct {
	list     *memberlist.Memberlist
	keyring  *memberlist.Keyring
	delegate *delegate
	out      *talk.Printer
}

func startNode(cfg config, out *talk.Printer) (*node, error) {
	list, err := cfg.memberlistConfig()
	if err != nil {
		return nil, err
	}
	n := &node{keyring: list.Keyring, out: out}
	n.delegate = newDelegate(cfg, out)
	list.Delegate = n.delegate
	n.list, err = memberlist.Create(list)
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	n.delegate.broadcasts.NumNodes = n.list.NumMembers
	if cfg.join == "" {
		return n, nil
	}
	// A seed that refuses is what some tests are about: it is no reason to end.
	if _, err := n.list.Join(strings.Split(cfg.join, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "classic:", err)
	}
	return n, nil
}

func (n *node) address() string {
	return n.list.LocalNode().Address()
}

// watch prints the members whenever they change, until the context ends.
func (n *node) watch(ctx context.Context) {
	var last map[string]talk.Member
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		seen := map[string]talk.Member{}
		for _, member := range n.list.Members() {
			seen[member.Name] = talk.Member{Address: member.Address(), Meta: string(member.Meta)}
		}
		if !reflect.DeepEqual(seen, last) {
			last = seen
			n.out.Print(event{Members: len(seen), Nodes: seen})
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

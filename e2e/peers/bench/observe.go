package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/grafana/dskit/ring"
)

// poll is how often members are looked at: memberlist does not announce them.
// More often would be work of the observer that counts as the node's.
const poll = 50 * time.Millisecond

// valuePrefix starts the ids of instances whose spreading is measured.
const valuePrefix = "value-"

// observer prints what happens to the members and the ring, as long as it is
// told to look.
type observer struct {
	node  *node
	nodes int
	out   printer

	stop func()

	mu        sync.Mutex
	members   int
	active    int
	converged bool
	present   map[string]bool
	seen      map[string]bool
}

func newObserver(n *node, cfg config, out printer) *observer {
	return &observer{
		node:    n,
		nodes:   cfg.nodes,
		out:     out,
		stop:    func() {},
		present: map[string]bool{},
		seen:    map[string]bool{},
	}
}

// observe looks at "all", at the "ring", at "members" or at "nothing".
func (o *observer) observe(what string) {
	o.stop()
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	if what == "all" || what == "ring" {
		tasks.Go(func() { o.watchRing(ctx) })
	}
	if what == "all" || what == "members" {
		tasks.Go(func() { o.pollMembers(ctx) })
	}
	o.stop = func() {
		cancel()
		tasks.Wait()
	}
}

func (o *observer) watchRing(ctx context.Context) {
	o.node.client.WatchKey(ctx, keyPrefix+ringKey, func(value any) bool {
		if desc, ok := value.(*ring.Desc); ok {
			o.sawRing(desc)
		}
		return true
	})
}

func (o *observer) sawRing(desc *ring.Desc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.active = 0
	for id, instance := range desc.GetIngesters() {
		if instance.State == ring.ACTIVE {
			o.active++
		}
		if strings.HasPrefix(id, valuePrefix) && !o.seen[id] {
			o.seen[id] = true
			o.out.print(event{Event: "seen", ID: id})
		}
	}
	o.checkConverged()
}

func (o *observer) pollMembers(ctx context.Context) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		o.sawMembers(o.node.members())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (o *observer) sawMembers(names []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	present := make(map[string]bool, len(names))
	for _, name := range names {
		present[name] = true
	}
	for name := range o.present {
		if !present[name] {
			o.out.print(event{Event: "lost", ID: name})
		}
	}
	o.present = present
	o.members = len(names)
	o.checkConverged()
}

func (o *observer) checkConverged() {
	if !o.converged && o.members == o.nodes && o.active == o.nodes {
		o.converged = true
		o.out.print(event{Event: "converged"})
	}
}

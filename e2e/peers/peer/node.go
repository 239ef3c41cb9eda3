package main

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"strconv"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/dskit/dns"
	"github.com/grafana/dskit/kv/memberlist"
	"github.com/grafana/dskit/ring"
	"github.com/grafana/dskit/services"
	fork "github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"

	"pyroscope-operator.test/e2e/peers/talk"
)

// Where Pyroscope's ingesters keep their ring.
const (
	keyPrefix = "collectors/"
	ringKey   = "ring"
)

// poll is how often the ring and the members are looked at: dskit does not
// announce the latter.
const poll = 50 * time.Millisecond

type node struct {
	kv         *memberlist.KV
	cluster    *fork.Memberlist
	advertised string
	// Nil when the node only watches.
	lifecycler *ring.Lifecycler
}

func startNode(ctx context.Context, cfg config, logger log.Logger) (*node, error) {
	kvConfig, err := memberlistConfig(cfg)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	provider := dns.NewProvider(dns.GolangResolverType, 0, logger, prometheus.NewRegistry())
	n := &node{
		kv:         memberlist.NewKV(kvConfig, logger, provider, registry),
		advertised: cfg.bindAddr,
	}
	if cfg.advertiseAddr != "" {
		n.advertised = cfg.advertiseAddr
	}
	if err := services.StartAndAwaitRunning(ctx, n.kv); err != nil {
		return nil, fmt.Errorf("start memberlist: %w", err)
	}
	n.cluster = clusterOf(n.kv)
	if cfg.id == "" {
		return n, nil
	}
	n.lifecycler, err = ring.NewLifecycler(lifecyclerConfig(cfg, n.kv), nil, "ingester", ringKey, false, logger, registry)
	if err != nil {
		return nil, fmt.Errorf("create lifecycler: %w", err)
	}
	if err := services.StartAndAwaitRunning(ctx, n.lifecycler); err != nil {
		return nil, fmt.Errorf("start lifecycler: %w", err)
	}
	return n, nil
}

// address returns where peers can dial this node.
func (n *node) address() string {
	return net.JoinHostPort(n.advertised, strconv.Itoa(n.kv.GetListeningPort()))
}

// watch prints the ring and the members whenever they change, until the context
// ends.
func (n *node) watch(ctx context.Context, out *talk.Printer) {
	var lastRing map[string]instance
	var lastNodes map[string]talk.Member
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if seen := n.ring(); !reflect.DeepEqual(seen, lastRing) {
			lastRing = seen
			out.Print(event{Ring: seen})
		}
		if seen := n.nodes(); !reflect.DeepEqual(seen, lastNodes) {
			lastNodes = seen
			out.Print(event{Members: len(seen), Nodes: seen})
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) ring() map[string]instance {
	value, err := n.kv.Get(keyPrefix+ringKey, ring.GetCodec())
	if err != nil {
		return map[string]instance{}
	}
	desc, _ := value.(*ring.Desc)
	return instances(desc)
}

func (n *node) nodes() map[string]talk.Member {
	nodes := map[string]talk.Member{}
	for _, member := range n.cluster.Members() {
		nodes[member.Name] = talk.Member{Address: member.Address(), Meta: fmt.Sprintf("%x", member.Meta)}
	}
	return nodes
}

// leave takes the instance out of the ring, then the node out of the cluster.
func (n *node) leave() error {
	ctx := context.Background()
	if n.lifecycler != nil {
		if err := services.StopAndAwaitTerminated(ctx, n.lifecycler); err != nil {
			return fmt.Errorf("stop lifecycler: %w", err)
		}
	}
	if err := services.StopAndAwaitTerminated(ctx, n.kv); err != nil {
		return fmt.Errorf("stop memberlist: %w", err)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/dskit/dns"
	"github.com/grafana/dskit/flagext"
	"github.com/grafana/dskit/kv"
	"github.com/grafana/dskit/kv/codec"
	"github.com/grafana/dskit/kv/memberlist"
	"github.com/grafana/dskit/ring"
	"github.com/grafana/dskit/services"
	"github.com/prometheus/client_golang/prometheus"
)

// Where Pyroscope's ingesters keep their ring.
const (
	keyPrefix = "collectors/"
	ringKey   = "ring"
)

// poll is how often the ring and the number of members are looked at:
// memberlist does not announce the latter.
const poll = 50 * time.Millisecond

type node struct {
	kv         *memberlist.KV
	registry   *prometheus.Registry
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
		registry:   registry,
		advertised: cfg.bindAddr,
	}
	if cfg.advertiseAddr != "" {
		n.advertised = cfg.advertiseAddr
	}
	if err := services.StartAndAwaitRunning(ctx, n.kv); err != nil {
		return nil, fmt.Errorf("start memberlist: %w", err)
	}
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

func memberlistConfig(cfg config) (memberlist.KVConfig, error) {
	var kvConfig memberlist.KVConfig
	flagext.DefaultValues(&kvConfig)
	kvConfig.Codecs = []codec.Codec{ring.GetCodec()}
	kvConfig.TCPTransport.BindAddrs = flagext.StringSlice{cfg.bindAddr}
	kvConfig.TCPTransport.BindPort = cfg.bindPort
	kvConfig.NodeName = "go"
	kvConfig.AdvertiseAddr = cfg.advertiseAddr
	kvConfig.AdvertisePort = cfg.bindPort
	kvConfig.ClusterLabel = cfg.label
	kvConfig.GossipInterval = cfg.gossip
	kvConfig.PushPullInterval = cfg.pushPull
	kvConfig.EnableCompression = cfg.compression != "none"
	if kvConfig.EnableCompression {
		kvConfig.CompressionAlgorithm = cfg.compression
	}
	if cfg.join != "" {
		kvConfig.JoinMembers = strings.Split(cfg.join, ",")
	}
	if cfg.advertiseAddr != "" && cfg.bindPort == 0 {
		return kvConfig, errors.New("-advertise-addr needs -bind-port")
	}
	return kvConfig, kvConfig.Validate()
}

func lifecyclerConfig(cfg config, store *memberlist.KV) ring.LifecyclerConfig {
	var lc ring.LifecyclerConfig
	lc.RegisterFlags(flag.NewFlagSet("", flag.PanicOnError), log.NewNopLogger())
	lc.ID = cfg.id
	lc.Addr = "127.0.0.1"
	lc.Port = 4040
	lc.NumTokens = cfg.numTokens
	lc.HeartbeatPeriod = cfg.heartbeat
	lc.MinReadyDuration = 0
	lc.FinalSleep = 0
	lc.UnregisterOnShutdown = cfg.unregister
	lc.RingConfig.KVStore = kv.Config{
		Store:  "memberlist",
		Prefix: keyPrefix,
		StoreConfig: kv.StoreConfig{
			MemberlistKV: func() (*memberlist.KV, error) { return store, nil },
		},
	}
	return lc
}

// address returns where peers can dial this node.
func (n *node) address() string {
	return net.JoinHostPort(n.advertised, strconv.Itoa(n.kv.GetListeningPort()))
}

// watch prints the ring and the number of members whenever they change, until
// the context ends.
func (n *node) watch(ctx context.Context, out *printer) {
	var lastRing map[string]instance
	lastMembers := 0
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if seen := n.ring(); !reflect.DeepEqual(seen, lastRing) {
			lastRing = seen
			out.print(event{Ring: seen})
		}
		if seen := n.members(); seen != lastMembers {
			lastMembers = seen
			out.print(event{Members: seen})
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

// members reads the gauge that dskit keeps, its only public count.
func (n *node) members() int {
	families, err := n.registry.Gather()
	if err != nil {
		return 0
	}
	for _, family := range families {
		if strings.HasSuffix(family.GetName(), "memberlist_client_cluster_members_count") {
			return int(family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return 0
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

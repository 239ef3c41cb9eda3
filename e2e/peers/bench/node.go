package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/grafana/dskit/dns"
	"github.com/grafana/dskit/flagext"
	"github.com/grafana/dskit/kv"
	"github.com/grafana/dskit/kv/codec"
	"github.com/grafana/dskit/kv/memberlist"
	"github.com/grafana/dskit/ring"
	"github.com/grafana/dskit/services"
	hashicorp "github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
)

// Where Pyroscope's ingesters keep their ring.
const (
	keyPrefix = "collectors/"
	ringKey   = "ring"
)

// What both sides of the comparison set; everything else is dskit's default.
const (
	numTokens       = 128
	heartbeatPeriod = 15 * time.Second
)

type node struct {
	kv       *memberlist.KV
	client   *memberlist.Client
	registry *prometheus.Registry
}

func startNode(ctx context.Context, cfg config) (*node, error) {
	logger := log.NewLogfmtLogger(log.NewSyncWriter(os.Stderr))
	logger = level.NewFilter(logger, level.AllowError())
	registry := prometheus.NewRegistry()
	provider := dns.NewProvider(dns.GolangResolverType, 0, logger, prometheus.NewRegistry())
	store := memberlist.NewKV(memberlistConfig(cfg), logger, provider, registry)
	if err := services.StartAndAwaitRunning(ctx, store); err != nil {
		return nil, fmt.Errorf("start memberlist: %w", err)
	}
	client, err := memberlist.NewClient(store, ring.GetCodec())
	if err != nil {
		return nil, err
	}
	if err := startLifecycler(ctx, cfg, store, logger); err != nil {
		return nil, err
	}
	return &node{kv: store, client: client, registry: registry}, nil
}

// startLifecycler registers the node in the ring, again when dskit's lifecycler
// gives up: after ten lost compare-and-sets it ends, and with it the process,
// which Kubernetes then restarts.
func startLifecycler(ctx context.Context, cfg config, store *memberlist.KV, logger log.Logger) error {
	lifecycler, err := ring.NewLifecycler(lifecyclerConfig(cfg, store), nil, "ingester", ringKey, false, logger, prometheus.NewRegistry())
	if err != nil {
		return fmt.Errorf("create lifecycler: %w", err)
	}
	lifecycler.AddListener(services.NewListener(nil, nil, nil, nil, func(services.State, error) {
		if err := startLifecycler(ctx, cfg, store, logger); err != nil {
			level.Error(logger).Log("msg", "lifecycler not restarted", "err", err)
		}
	}))
	if err := lifecycler.StartAsync(ctx); err != nil {
		return fmt.Errorf("start lifecycler: %w", err)
	}
	return nil
}

func memberlistConfig(cfg config) memberlist.KVConfig {
	var kvConfig memberlist.KVConfig
	flagext.DefaultValues(&kvConfig)
	kvConfig.Codecs = []codec.Codec{ring.GetCodec()}
	kvConfig.TCPTransport.BindAddrs = flagext.StringSlice{cfg.addr}
	kvConfig.TCPTransport.BindPort = cfg.port
	kvConfig.NodeName = cfg.name()
	kvConfig.RandomizeNodeName = false
	if cfg.join != "" {
		kvConfig.JoinMembers = strings.Split(cfg.join, ",")
	}
	return kvConfig
}

func lifecyclerConfig(cfg config, store *memberlist.KV) ring.LifecyclerConfig {
	var lc ring.LifecyclerConfig
	lc.RegisterFlags(flag.NewFlagSet("", flag.PanicOnError), log.NewNopLogger())
	lc.ID = cfg.name()
	lc.Addr = cfg.addr
	lc.Port = 4040
	lc.NumTokens = numTokens
	lc.HeartbeatPeriod = heartbeatPeriod
	lc.MinReadyDuration = 0
	lc.RingConfig.KVStore = kv.Config{
		Store:  "memberlist",
		Prefix: keyPrefix,
		StoreConfig: kv.StoreConfig{
			MemberlistKV: func() (*memberlist.KV, error) { return store, nil },
		},
	}
	return lc
}

// members returns the names of the members that are alive or suspected.
//
// dskit publishes their number only. The field is private, but its type is
// not, and the version of dskit is fixed by go.mod.
func (n *node) members() []string {
	field := reflect.ValueOf(n.kv).Elem().FieldByName("memberlist")
	list := *(**hashicorp.Memberlist)(unsafe.Pointer(field.UnsafeAddr()))
	var names []string
	for _, member := range list.Members() {
		names = append(names, member.Name)
	}
	return names
}

// add puts an instance with tokens of its own into the ring.
func (n *node) add(ctx context.Context, id string) error {
	tokens := make([]uint32, numTokens)
	for i := range tokens {
		tokens[i] = rand.Uint32()
	}
	slices.Sort(tokens)
	return n.edit(ctx, func(desc *ring.Desc) {
		desc.AddIngester(id, id+":4040", "", tokens, ring.ACTIVE, time.Now(), false, time.Time{}, nil)
	})
}

// remove takes the instances with a prefix out of the ring.
func (n *node) remove(ctx context.Context, prefix string) error {
	return n.edit(ctx, func(desc *ring.Desc) {
		for id := range desc.Ingesters {
			if strings.HasPrefix(id, prefix) {
				desc.RemoveIngester(id)
			}
		}
	})
}

func (n *node) edit(ctx context.Context, change func(*ring.Desc)) error {
	return n.client.CAS(ctx, keyPrefix+ringKey, func(in any) (any, bool, error) {
		desc := ring.GetOrCreateRingDesc(in)
		change(desc)
		return desc, true, nil
	})
}

// counters returns what the transport and the store have counted, by the names
// of their metrics.
func (n *node) counters() (map[string]float64, error) {
	families, err := n.registry.Gather()
	if err != nil {
		return nil, err
	}
	counters := map[string]float64{}
	for _, family := range families {
		name := family.GetName()
		if !strings.Contains(name, "memberlist") || !strings.HasSuffix(name, "_total") {
			continue
		}
		for _, metric := range family.GetMetric() {
			counters[name] += metric.GetCounter().GetValue()
		}
	}
	return counters, nil
}

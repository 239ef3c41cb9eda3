package main

import (
	"errors"
	"flag"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/dskit/flagext"
	"github.com/grafana/dskit/kv"
	"github.com/grafana/dskit/kv/codec"
	"github.com/grafana/dskit/kv/memberlist"
	"github.com/grafana/dskit/ring"
)

type config struct {
	name           string
	bindAddr       string
	bindPort       int
	advertiseAddr  string
	join           string
	id             string
	label          string
	anyLabel       bool
	compression    string
	numTokens      int
	heartbeat      time.Duration
	gossip         time.Duration
	probe          time.Duration
	pushPull       time.Duration
	tombstones     time.Duration
	unregister     bool
	zone           string
	instanceAddr   string
	role           string
	tlsCert        string
	tlsKey         string
	tlsCA          string
	tlsServerName  string
	randomizedName bool
}

func (c *config) registerFlags(f *flag.FlagSet) {
	f.StringVar(&c.name, "name", "go", "Name of the node.")
	f.BoolVar(&c.randomizedName, "randomize-name", true, "Append random digits to the name.")
	f.StringVar(&c.bindAddr, "bind-addr", "127.0.0.1", "Address to gossip on.")
	f.IntVar(&c.bindPort, "bind-port", 0, "Port to gossip on; 0 takes a free one.")
	f.StringVar(&c.advertiseAddr, "advertise-addr", "", "Address that peers dial; empty takes the bound one.")
	f.StringVar(&c.join, "join", "", "Seeds as host:port, separated by commas.")
	f.StringVar(&c.id, "id", "", "Id of the instance in the ring; empty only watches the ring.")
	f.StringVar(&c.label, "cluster-label", "", "Cluster label.")
	f.BoolVar(&c.anyLabel, "cluster-label-verification-disabled", false, "Accept any label.")
	f.StringVar(&c.compression, "compression", "lzw", "lzw, snappy or none.")
	f.IntVar(&c.numTokens, "num-tokens", 128, "Tokens of the instance.")
	f.DurationVar(&c.heartbeat, "heartbeat-period", 5*time.Second, "Period of heartbeats.")
	f.DurationVar(&c.gossip, "gossip-interval", 200*time.Millisecond, "Period of gossip.")
	f.DurationVar(&c.probe, "probe-interval", 0, "Period of probes; 0 takes dskit's own.")
	f.DurationVar(&c.pushPull, "pullpush-interval", 30*time.Second, "Period of full state exchanges.")
	f.DurationVar(&c.tombstones, "left-ingesters-timeout", 5*time.Minute, "How long tombstones stay.")
	f.BoolVar(&c.unregister, "unregister-on-shutdown", true, "Leave the ring when leaving the cluster.")
	f.StringVar(&c.zone, "zone", "", "Zone of zone-aware routing, which is off without one.")
	f.StringVar(&c.instanceAddr, "instance-addr", "127.0.0.1", "Address of the instance in the ring; its port is 4040.")
	f.StringVar(&c.role, "role", "member", "Role in zone-aware routing: member or bridge.")
	f.StringVar(&c.tlsCert, "tls-cert-path", "", "Certificate; enables TLS.")
	f.StringVar(&c.tlsKey, "tls-key-path", "", "Key of the certificate.")
	f.StringVar(&c.tlsCA, "tls-ca-path", "", "Authority of the other nodes' certificates.")
	f.StringVar(&c.tlsServerName, "tls-server-name", "", "Name expected in certificates.")
}

func memberlistConfig(cfg config) (memberlist.KVConfig, error) {
	var kvConfig memberlist.KVConfig
	flagext.DefaultValues(&kvConfig)
	kvConfig.Codecs = []codec.Codec{ring.GetCodec()}
	kvConfig.TCPTransport.BindAddrs = flagext.StringSlice{cfg.bindAddr}
	kvConfig.TCPTransport.BindPort = cfg.bindPort
	kvConfig.NodeName = cfg.name
	kvConfig.RandomizeNodeName = cfg.randomizedName
	kvConfig.AdvertiseAddr = cfg.advertiseAddr
	kvConfig.AdvertisePort = cfg.bindPort
	kvConfig.ClusterLabel = cfg.label
	kvConfig.ClusterLabelVerificationDisabled = cfg.anyLabel
	kvConfig.GossipInterval = cfg.gossip
	kvConfig.PushPullInterval = cfg.pushPull
	kvConfig.LeftIngestersTimeout = cfg.tombstones
	kvConfig.EnableCompression = cfg.compression != "none"
	if kvConfig.EnableCompression {
		kvConfig.CompressionAlgorithm = cfg.compression
	}
	if cfg.join != "" {
		kvConfig.JoinMembers = strings.Split(cfg.join, ",")
	}
	kvConfig.ZoneAwareRouting.Enabled = cfg.zone != ""
	kvConfig.ZoneAwareRouting.Zone = cfg.zone
	kvConfig.ZoneAwareRouting.Role = cfg.role
	kvConfig.TCPTransport.TLSEnabled = cfg.tlsCert != ""
	kvConfig.TCPTransport.TLS.CertPath = cfg.tlsCert
	kvConfig.TCPTransport.TLS.KeyPath = cfg.tlsKey
	kvConfig.TCPTransport.TLS.CAPath = cfg.tlsCA
	kvConfig.TCPTransport.TLS.ServerName = cfg.tlsServerName
	if cfg.probe != 0 {
		setProbeInterval(&kvConfig, cfg.probe)
	}
	if cfg.advertiseAddr != "" && cfg.bindPort == 0 {
		return kvConfig, errors.New("-advertise-addr needs -bind-port")
	}
	return kvConfig, kvConfig.Validate()
}

func lifecyclerConfig(cfg config, store *memberlist.KV) ring.LifecyclerConfig {
	var lc ring.LifecyclerConfig
	lc.RegisterFlags(flagSet(), log.NewNopLogger())
	lc.ID = cfg.id
	lc.Addr = cfg.instanceAddr
	lc.Port = 4040
	lc.Zone = cfg.zone
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

// flagSet takes flags only for their defaults.
func flagSet() *flag.FlagSet {
	return flag.NewFlagSet("", flag.PanicOnError)
}

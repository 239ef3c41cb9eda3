// Command classic is a real node of hashicorp/memberlist over UDP and TCP, for
// tests of the dialect that Serf and Consul speak. It is a module of its own
// because dskit replaces that package by Grafana's fork.
//
// It talks like the dskit peer beside it: one JSON object per line on standard
// output, commands on standard input (see commands).
package main

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"

	"pyroscope-operator.test/e2e/peers/talk"
)

// leaveTimeout is how long the farewell may take.
const leaveTimeout = 5 * time.Second

func main() {
	var cfg config
	cfg.registerFlags(flag.CommandLine)
	flag.Parse()
	if err := run(cfg); err != nil {
		fmt.Fprintln(os.Stderr, "classic:", err)
		os.Exit(1)
	}
}

type config struct {
	name        string
	bindAddr    string
	bindPort    int
	join        string
	label       string
	anyLabel    bool
	compression bool
	keys        string
	meta        string
	state       string
	gossip      time.Duration
	probe       time.Duration
	pushPull    time.Duration
	verbose     bool
}

func (c *config) registerFlags(f *flag.FlagSet) {
	f.StringVar(&c.name, "name", "classic", "Name of the node.")
	f.StringVar(&c.bindAddr, "bind-addr", "127.0.0.1", "Address to gossip on.")
	f.IntVar(&c.bindPort, "bind-port", 0, "Port to gossip on; 0 takes a free one.")
	f.StringVar(&c.join, "join", "", "Seeds as host:port, separated by commas.")
	f.StringVar(&c.label, "cluster-label", "", "Cluster label.")
	f.BoolVar(&c.anyLabel, "cluster-label-verification-disabled", false, "Skip the check of labels.")
	f.BoolVar(&c.compression, "compression", true, "Compress messages.")
	f.StringVar(&c.keys, "keys", "", "Keys in base64, separated by commas; the first is the primary one.")
	f.StringVar(&c.meta, "meta", "", "Metadata of the node.")
	f.StringVar(&c.state, "state", "", "State handed out in exchanges.")
	f.DurationVar(&c.gossip, "gossip-interval", 20*time.Millisecond, "Period of gossip.")
	f.DurationVar(&c.probe, "probe-interval", 200*time.Millisecond, "Period of probes.")
	f.DurationVar(&c.pushPull, "pullpush-interval", time.Second, "Period of full state exchanges.")
	f.BoolVar(&c.verbose, "v", false, "Log to standard error.")
}

// memberlistConfig takes what the flags do not name from the LAN defaults.
func (c *config) memberlistConfig() (*memberlist.Config, error) {
	list := memberlist.DefaultLANConfig()
	list.Name = c.name
	list.BindAddr = c.bindAddr
	list.BindPort = c.bindPort
	list.Label = c.label
	list.SkipInboundLabelCheck = c.anyLabel
	list.EnableCompression = c.compression
	list.GossipInterval = c.gossip
	list.ProbeInterval = c.probe
	list.ProbeTimeout = c.probe / 2
	list.PushPullInterval = c.pushPull
	list.Logger = log.New(io.Discard, "", 0)
	if c.verbose {
		list.Logger = log.New(os.Stderr, c.name+": ", log.Lmicroseconds)
	}
	if c.keys == "" {
		return list, nil
	}
	var keys [][]byte
	for text := range strings.SplitSeq(c.keys, ",") {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", text, err)
		}
		keys = append(keys, key)
	}
	keyring, err := memberlist.NewKeyring(keys, keys[0])
	list.Keyring = keyring
	return list, err
}

func run(cfg config) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	out := talk.NewPrinter(os.Stdout)
	node, err := startNode(cfg, out)
	if err != nil {
		return err
	}
	out.Print(event{Address: node.address()})

	watchCtx, stopWatching := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		node.watch(watchCtx)
	}()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		talk.Serve(os.Stdin, commands(node), out)
	}()
	select {
	case <-ctx.Done():
	case <-asked:
	}
	stopWatching()
	<-watching
	if err := node.list.Leave(leaveTimeout); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	if err := node.list.Shutdown(); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	out.Print(event{Left: true})
	return nil
}

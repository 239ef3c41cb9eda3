// Command peer is a real dskit node: a memberlist key-value store and a ring
// lifecycler, for tests that must meet what a Go Pyroscope speaks.
//
// It prints one JSON object per line on standard output: first the address it
// gossips on, then the ring and the number of members whenever they change. It
// leaves gracefully on SIGTERM, SIGINT, the line "leave" or the end of standard
// input.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

func main() {
	var cfg config
	cfg.registerFlags(flag.CommandLine)
	flag.Parse()

	logger := log.NewLogfmtLogger(log.NewSyncWriter(os.Stderr))
	logger = level.NewFilter(logger, level.AllowWarn())
	if err := run(cfg, logger); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

type config struct {
	bindAddr      string
	bindPort      int
	advertiseAddr string
	join          string
	id            string
	label         string
	compression   string
	numTokens     int
	heartbeat     time.Duration
	gossip        time.Duration
	pushPull      time.Duration
	unregister    bool
}

func (c *config) registerFlags(f *flag.FlagSet) {
	f.StringVar(&c.bindAddr, "bind-addr", "127.0.0.1", "Address to gossip on.")
	f.IntVar(&c.bindPort, "bind-port", 0, "Port to gossip on; 0 takes a free one.")
	f.StringVar(&c.advertiseAddr, "advertise-addr", "", "Address that peers dial; empty takes the bound one.")
	f.StringVar(&c.join, "join", "", "Seeds as host:port, separated by commas.")
	f.StringVar(&c.id, "id", "", "Id of the instance in the ring; empty only watches the ring.")
	f.StringVar(&c.label, "cluster-label", "", "Cluster label.")
	f.StringVar(&c.compression, "compression", "lzw", "lzw, snappy or none.")
	f.IntVar(&c.numTokens, "num-tokens", 128, "Tokens of the instance.")
	f.DurationVar(&c.heartbeat, "heartbeat-period", 5*time.Second, "Period of heartbeats.")
	f.DurationVar(&c.gossip, "gossip-interval", 200*time.Millisecond, "Period of gossip.")
	f.DurationVar(&c.pushPull, "pullpush-interval", 30*time.Second, "Period of full state exchanges.")
	f.BoolVar(&c.unregister, "unregister-on-shutdown", true, "Leave the ring when leaving the cluster.")
}

func run(cfg config, logger log.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	node, err := startNode(ctx, cfg, logger)
	if err != nil {
		return err
	}
	out := newPrinter(os.Stdout)
	out.print(event{Address: node.address()})

	watchCtx, stopWatching := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		node.watch(watchCtx, out)
	}()
	select {
	case <-ctx.Done():
	case <-askedToLeave():
	}
	stopWatching()
	<-watching
	if err := node.leave(); err != nil {
		return err
	}
	out.print(event{Left: true})
	return nil
}

// askedToLeave closes the channel when standard input says so or ends.
func askedToLeave() <-chan struct{} {
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			if strings.TrimSpace(lines.Text()) == "leave" {
				return
			}
		}
	}()
	return asked
}

// Command bench is the Go side of `make bench`: one dskit node, a memberlist
// key-value store and a ring lifecycler, driven over the protocol that
// dataplane/bench/src/node.rs describes.
//
// It prints one JSON object per line when it has seen something, and takes one
// command per line on standard input: start, observe, add, remove, counters.
// It ends, without leaving, when standard input does.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	var cfg config
	cfg.registerFlags(flag.CommandLine)
	flag.Parse()
	if err := run(cfg); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type config struct {
	index int
	nodes int
	addr  string
	port  int
	join  string
}

func (c *config) registerFlags(f *flag.FlagSet) {
	f.IntVar(&c.index, "index", 0, "Number of this node.")
	f.IntVar(&c.nodes, "nodes", 1, "Number of nodes to wait for.")
	f.StringVar(&c.addr, "addr", "127.0.0.1", "Address to gossip on.")
	f.IntVar(&c.port, "port", 7946, "Port to gossip on.")
	f.StringVar(&c.join, "join", "", "Seeds as host:port, separated by commas.")
}

func (c *config) name() string {
	return fmt.Sprintf("node-%03d", c.index)
}

func run(cfg config) error {
	ctx := context.Background()
	out := printer{node: cfg.index}
	commands := bufio.NewScanner(os.Stdin)
	out.print(event{Event: "ready"})
	if !commands.Scan() || commands.Text() != "start" {
		return nil
	}
	n, err := startNode(ctx, cfg)
	if err != nil {
		return err
	}
	out.print(event{Event: "started"})
	o := newObserver(n, cfg, out)
	o.observe("all")
	for commands.Scan() {
		command, argument, _ := strings.Cut(commands.Text(), " ")
		switch command {
		case "observe":
			o.observe(argument)
			out.print(event{Event: "observing"})
		case "add":
			out.print(event{Event: "adding", ID: argument})
			err = n.add(ctx, argument)
		case "remove":
			err = n.remove(ctx, argument)
		case "counters":
			var counters map[string]float64
			counters, err = n.counters()
			out.print(event{Event: "counters", Counters: counters})
		default:
			err = fmt.Errorf("unknown command %q", command)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Command peer is a real dskit node: a memberlist key-value store and a ring
// lifecycler, for tests that must meet what a Go Pyroscope speaks.
//
// It prints one JSON object per line on standard output: first the address it
// gossips on, then the ring and the members whenever they change. It obeys the
// lines of standard input (see commands) and leaves gracefully on SIGTERM,
// SIGINT, the line "leave" or the end of input.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"pyroscope-operator.test/e2e/peers/talk"
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

func run(cfg config, logger log.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	node, err := startNode(ctx, cfg, logger)
	if err != nil {
		return err
	}
	out := talk.NewPrinter(os.Stdout)
	out.Print(event{Address: node.address()})

	watchCtx, stopWatching := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		node.watch(watchCtx, out)
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
	if err := node.leave(); err != nil {
		return err
	}
	out.Print(event{Left: true})
	return nil
}

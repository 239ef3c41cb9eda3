// Command inner speaks the inner hop, from distributors to ingesters, with the
// stubs that Grafana Pyroscope publishes: as a Go ingester (serve) or as a Go
// distributor (push). It prints one JSON object per line on standard output.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"pyroscope-operator.test/e2e/peers/talk"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "inner:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := talk.NewPrinter(os.Stdout)
	if len(args) == 0 {
		return fmt.Errorf("say serve or push")
	}
	switch args[0] {
	case "serve":
		return serve(ctx, args[1:], out)
	case "push":
		return push(ctx, args[1:], out)
	}
	return fmt.Errorf("unknown command %q; say serve or push", args[0])
}

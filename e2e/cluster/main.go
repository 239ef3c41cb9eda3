// Command cluster is a single-node Kubernetes for tests: every program of it, and the means to
// start, use and stop it, in one executable. Under the name of one of its programs (argv[0], or
// as first argument) it is that program.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if program, found := programs[filepath.Base(os.Args[0])]; found {
		os.Exit(program())
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(exitCode(err))
	}
}

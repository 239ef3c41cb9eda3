package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/component-base/version"

	"pyroscope-operator.test/e2e/cluster/internal/image"
	"pyroscope-operator.test/e2e/cluster/internal/layout"
	"pyroscope-operator.test/e2e/cluster/internal/lifecycle"
)

const usage = `A real single-node Kubernetes in namespaces of its own, without a container engine.

usage: cluster [--state DIR] [--name NAME] VERB

  up                    start the cluster unless it is up
  down                  end it and remove everything of it
  status                say whether it is up (exit code 1 if not) and where its logs are
  kubectl ARGS...       kubectl as admin
  exec [--] COMMAND...  run a command of this machine inside the cluster's network,
                        where pod addresses and Service names work; KUBECONFIG is set
  load-image FILE...    import image tars
  kill NAMESPACE/POD... SIGKILL all processes of these pods, all at once
  kubeconfig            print the path of the admin's kubeconfig
  image build --tag NAME --output FILE --file SOURCE=/target... [--user UID:GID] -- ENTRYPOINT...
                        pack files as an image FROM scratch
  version               print the version of Kubernetes

Flags, or the environment:
  --state DIR    CLUSTER_STATE  folder of all clusters' state (default build/cluster)
  --name NAME    CLUSTER_NAME   which cluster (default dev); several may be up
`

// errUsage is a mistake on the command line; the message was made for a person.
type errUsage struct{ message string }

func (e errUsage) Error() string { return e.message + "; see `cluster help`" }

func exitCode(err error) int {
	if errors.As(err, &errUsage{}) {
		return 2
	}
	return 1
}

// run executes one verb.
func run(args []string) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	state := flags.String("state", fallback("CLUSTER_STATE", "build/cluster"), "")
	name := flags.String("name", fallback("CLUSTER_NAME", "dev"), "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) || (err == nil && (flags.NArg() == 0 || flags.Arg(0) == "help")) {
		fmt.Print(usage)
		return nil
	}
	if err != nil {
		return errUsage{err.Error()}
	}
	l, err := layout.New(*state, *name)
	if err != nil {
		return err
	}
	return runVerb(l, flags.Arg(0), flags.Args()[1:])
}

func runVerb(l layout.Layout, verb string, args []string) error {
	switch verb {
	case "up":
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return lifecycle.Up(ctx, l, os.Stdout)
	case "down":
		return lifecycle.Down(l)
	case "status":
		return lifecycle.Status(l, os.Stdout)
	case "kubectl":
		return lifecycle.Exec(l, append([]string{"kubectl"}, args...))
	case "exec":
		if len(args) > 0 && args[0] == "--" {
			args = args[1:]
		}
		if len(args) == 0 {
			return errUsage{"exec needs a command"}
		}
		return lifecycle.Exec(l, args)
	case "load-image":
		if len(args) == 0 {
			return errUsage{"load-image needs files"}
		}
		return lifecycle.LoadImages(l, args, os.Stdout)
	case "kill":
		if len(args) == 0 {
			return errUsage{"kill needs pods as NAMESPACE/POD"}
		}
		return lifecycle.Kill(l, args)
	case "kubeconfig":
		fmt.Println(l.Kubeconfig("admin"))
		return nil
	case "image":
		return buildImage(args)
	case "version":
		fmt.Println(version.Get().GitVersion)
		return nil
	}
	return errUsage{fmt.Sprintf("unknown verb %q", verb)}
}

func buildImage(args []string) error {
	if len(args) == 0 || args[0] != "build" {
		return errUsage{"image knows one verb, build"}
	}
	spec := image.Spec{}
	flags := flag.NewFlagSet("cluster image build", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&spec.Reference, "tag", "", "")
	flags.StringVar(&spec.User, "user", "10001:10001", "")
	output := flags.String("output", "", "")
	flags.Func("file", "", func(text string) error {
		file, err := image.ParseFile(text)
		spec.Files = append(spec.Files, file)
		return err
	})
	if err := flags.Parse(args[1:]); err != nil {
		return errUsage{err.Error()}
	}
	spec.Entrypoint = flags.Args()
	missing := []string{}
	for name, absent := range map[string]bool{
		"--tag": spec.Reference == "", "--output": *output == "",
		"--file": len(spec.Files) == 0, "the entrypoint": len(spec.Entrypoint) == 0} {
		if absent {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return errUsage{"image build needs " + strings.Join(missing, " and ")}
	}
	return image.Build(spec, *output)
}

func fallback(variable, value string) string {
	if set := os.Getenv(variable); set != "" {
		return set
	}
	return value
}

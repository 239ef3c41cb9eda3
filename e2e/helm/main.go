// Command helm renders a chart as `helm template` does, with the chart loader, value coalescing
// and template engine of helm.sh/helm. The rest of Helm (releases, repositories, registries) and
// its dependencies are left out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `usage: helm template RELEASE CHART [--namespace NS] [--values FILE]... [--set KEY=VALUE]...
                     [--include-crds] [--kube-version VERSION]
`

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		os.Exit(1)
	}
}

func run(args []string, output io.Writer) error {
	if len(args) < 3 || args[0] != "template" {
		return errors.New("want template, a release name and a chart\n" + usage)
	}
	r := render{release: args[1], chart: args[2]}
	flags := flag.NewFlagSet("helm template", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&r.namespace, "namespace", "default", "")
	flags.StringVar(&r.namespace, "n", "default", "")
	flags.Func("values", "", appendTo(&r.valueFiles))
	flags.Func("f", "", appendTo(&r.valueFiles))
	flags.Func("set", "", appendTo(&r.assignments))
	flags.BoolVar(&r.includeCRDs, "include-crds", false, "")
	flags.StringVar(&r.kubeVersion, "kube-version", "v1.34.4", "")
	if err := flags.Parse(args[3:]); err != nil {
		return fmt.Errorf("%w\n%s", err, usage)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q\n%s", flags.Arg(0), usage)
	}
	return r.write(output)
}

func appendTo(list *[]string) func(string) error {
	return func(value string) error {
		*list = append(*list, value)
		return nil
	}
}

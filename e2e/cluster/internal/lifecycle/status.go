package lifecycle

import (
	"errors"
	"fmt"
	"io"
	"os"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// Status writes whether the cluster is up and where its things are. The error is ErrDown if not.
func Status(l layout.Layout, output io.Writer) error {
	running, err := find(l)
	if err != nil {
		return err
	}
	if _, err := os.Stat(l.Ready()); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s is starting or failed to; see %s", ErrDown, l.Name, l.LogDir())
	}
	fmt.Fprintf(output, "cluster     %s, up\n", l.Name)
	fmt.Fprintf(output, "init        process %d\n", running.PID)
	fmt.Fprintf(output, "kubeconfig  %s (inside `cluster exec`)\n", l.Kubeconfig("admin"))
	fmt.Fprintf(output, "logs        %s\n", l.LogDir())
	return nil
}

package lifecycle

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	"pyroscope-operator.test/e2e/cluster/internal/host"
	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// LoadImages imports image tars. Pods that run keep the image they were started with.
func LoadImages(l layout.Layout, files []string, output io.Writer) error {
	running, err := find(l)
	if err != nil {
		return err
	}
	ctr, err := host.LookPath("ctr")
	if err != nil {
		return err
	}
	for _, file := range files {
		cmd := exec.Command(ctr, "--address", running.inside("/run/containerd/containerd.sock"),
			"--namespace", "k8s.io", "images", "import", file)
		cmd.Stdout = output
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("load image %s: %w", file, err)
		}
	}
	return nil
}

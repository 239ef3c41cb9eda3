package node

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"text/template"

	"pyroscope-operator.test/e2e/cluster/internal/host"
	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

//go:embed config
var configFiles embed.FS

// settings are what the configuration files refer to.
type settings struct {
	NodeName, NodeAddress, PodNetwork, NodePodNetwork, DNSServiceAddress string
	PauseImage, ProvisionerName                                          string
	PKI, Config, Cgroup, PluginDir, Runc, Snapshotter                    string
}

// writeConfig fills in each embedded file; the CNI network goes where containerd reads it.
func writeConfig(l layout.Layout) error {
	runc, err := host.LookPath("runc")
	if err != nil {
		return err
	}
	snapshotter, err := snapshotter(l)
	if err != nil {
		return err
	}
	values := settings{
		NodeName: layout.NodeName, NodeAddress: layout.NodeAddress,
		PodNetwork: layout.PodNetwork, NodePodNetwork: layout.NodePodNetwork,
		DNSServiceAddress: layout.DNSServiceAddress,
		PauseImage:        layout.PauseImage, ProvisionerName: layout.ProvisionerName,
		PKI: l.PKIDir(), Config: l.ConfigDir(), Cgroup: l.Cgroup(),
		PluginDir: host.PluginDir, Runc: runc, Snapshotter: snapshotter,
	}
	if err := os.MkdirAll(l.ConfigDir(), 0o755); err != nil {
		return fmt.Errorf("create config folder: %w", err)
	}
	files, err := fs.ReadDir(configFiles, "config")
	if err != nil {
		return fmt.Errorf("list embedded config: %w", err)
	}
	for _, file := range files {
		target := l.Config(file.Name())
		if file.Name() == "10-pods.conflist" {
			target = "/etc/cni/net.d/" + file.Name()
		}
		if err := render(file.Name(), target, values); err != nil {
			return err
		}
	}
	return nil
}

func render(name, target string, values settings) error {
	text, err := template.ParseFS(configFiles, "config/"+name)
	if err != nil {
		return fmt.Errorf("parse embedded %s: %w", name, err)
	}
	file, err := os.Create(target)
	if err != nil {
		return fmt.Errorf("create %s: %w", target, err)
	}
	defer file.Close()
	if err := text.Execute(file, values); err != nil {
		return fmt.Errorf("write %s: %w", target, err)
	}
	return file.Close()
}

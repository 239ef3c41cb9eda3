// Package layout names the files and the addresses of one cluster.
package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
)

// The addresses are the same in every cluster: each has a network namespace of its own.
const (
	NodeName = "node1"
	// NodeAddress is the node's own address, on which the API server and CoreDNS listen.
	NodeAddress = "172.30.0.1"
	NodePrefix  = NodeAddress + "/24"
	// PodNetwork is the range of all pods, NodePodNetwork the part of the one node.
	PodNetwork     = "10.244.0.0/16"
	NodePodNetwork = "10.244.0.0/24"
	ServiceNetwork = "10.96.0.0/16"
	// APIServiceAddress is the ClusterIP of the Service `kubernetes`.
	APIServiceAddress = "10.96.0.1"
	// DNSServiceAddress is the ClusterIP of the Service `kube-dns`.
	DNSServiceAddress = "10.96.0.10"
	// APIServerURL is reachable inside the cluster's network namespace only.
	APIServerURL = "https://" + NodeAddress + ":6443"
	// PauseImage holds the network namespace of each pod.
	PauseImage = "cluster.test/pause:1"
	// ProvisionerName is what the default StorageClass names as its provisioner.
	ProvisionerName = "cluster.test/local"
)

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Layout is one cluster's folder and the paths inside it.
type Layout struct {
	Name string
	// Dir holds all mutable state and is an absolute path.
	Dir string
}

// New places the cluster `name` below the folder `parent`.
func New(parent, name string) (Layout, error) {
	if !validName.MatchString(name) {
		return Layout{}, fmt.Errorf("cluster name %q must be a lowercase DNS label of at most 32 characters", name)
	}
	dir, err := filepath.Abs(filepath.Join(parent, name))
	if err != nil {
		return Layout{}, fmt.Errorf("resolve state folder %q: %w", parent, err)
	}
	return Layout{Name: name, Dir: dir}, nil
}

// Cgroup is the name of the cgroup that holds the pods; unique among all checkouts on the machine.
func (l Layout) Cgroup() string {
	sum := sha256.Sum256([]byte(l.Dir))
	return "pyroscope-" + l.Name + "-" + hex.EncodeToString(sum[:4])
}

// Lock serialises `up` and `down`. It lies beside the folder, which `down` removes.
func (l Layout) Lock() string { return l.Dir + ".lock" }

// Init records the process that is PID 1 inside the cluster's namespaces.
func (l Layout) Init() string { return filepath.Join(l.Dir, "init.json") }

// Ready exists once the cluster can run pods.
func (l Layout) Ready() string { return filepath.Join(l.Dir, "ready") }

// Sysctls holds the kernel settings to put back when the cluster goes down.
func (l Layout) Sysctls() string { return filepath.Join(l.Dir, "sysctls.json") }

// Bin holds links such as kubectl for commands run inside the cluster's network.
func (l Layout) Bin() string { return filepath.Join(l.Dir, "bin") }

// LogDir holds one file per program.
func (l Layout) LogDir() string { return filepath.Join(l.Dir, "log") }

// Log is the log file of one program.
func (l Layout) Log(program string) string { return filepath.Join(l.LogDir(), program+".log") }

// Etcd holds the database.
func (l Layout) Etcd() string { return filepath.Join(l.Dir, "etcd") }

// Volumes holds a folder per PersistentVolume.
func (l Layout) Volumes() string { return filepath.Join(l.Dir, "volumes") }

// PKIDir holds keys and certificates.
func (l Layout) PKIDir() string { return filepath.Join(l.Dir, "pki") }

// PKI is one file of keys and certificates, such as ca.crt.
func (l Layout) PKI(file string) string { return filepath.Join(l.PKIDir(), file) }

// Kubeconfig is the credentials of one user, such as admin.
func (l Layout) Kubeconfig(user string) string { return l.PKI(user + ".kubeconfig") }

// ConfigDir holds the programs' configuration.
func (l Layout) ConfigDir() string { return filepath.Join(l.Dir, "config") }

// Config is one configuration file, such as kubelet.yaml.
func (l Layout) Config(file string) string { return filepath.Join(l.ConfigDir(), file) }

// Private is what the cluster sees in place of the machine's folder `path`.
func (l Layout) Private(path string) string { return filepath.Join(l.Dir, "root", path) }

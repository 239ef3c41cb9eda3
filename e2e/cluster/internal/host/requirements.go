// Package host knows what the cluster needs of the machine and what it must leave as it was.
package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// PluginDir is where Debian installs the CNI plugins.
const PluginDir = "/usr/lib/cni"

// SearchPath finds the programs that Debian installs outside a user's PATH.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// packages maps each program that runs beside Kubernetes to the Debian package that has it.
var packages = map[string]string{
	"containerd":              "containerd",
	"containerd-shim-runc-v2": "containerd",
	"ctr":                     "containerd",
	"runc":                    "runc",
	"iptables":                "iptables",
	"nft":                     "nftables",
	"conntrack":               "conntrack",
}

// modules are loaded when the kernel has them as modules; built in, they need no loading.
var modules = []string{"overlay", "br_netfilter", "veth", "nf_conntrack", "nf_tables"}

// Check reports everything that is missing, in one error.
func Check() error {
	problems := []error{}
	if os.Geteuid() != 0 {
		problems = append(problems, errors.New("not root: namespaces, mounts and cgroups need it; run with sudo"))
	} else if err := checkNamespaces(); err != nil {
		problems = append(problems, err)
	}
	missing := missingPackages()
	if len(missing) > 0 {
		list := strings.Join(missing, " ")
		problems = append(problems, fmt.Errorf("missing Debian packages: %s; run apt-get install --no-install-recommends %s", list, list))
	}
	if _, err := DetectCgroups(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// LoadModules asks for the kernel modules in use. A kernel without modules has them built in or
// fails later with the program that misses one, hence no error here.
func LoadModules() {
	for _, module := range modules {
		_ = exec.Command("modprobe", "--quiet", module).Run()
	}
}

// LookPath finds a program on SearchPath, whatever the caller's PATH is.
func LookPath(program string) (string, error) {
	for _, dir := range filepath.SplitList(SearchPath) {
		path := filepath.Join(dir, program)
		if unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("program %s not found; install Debian package %s", program, packages[program])
}

func missingPackages() []string {
	missing := []string{}
	seen := map[string]bool{}
	add := func(pkg string) {
		if !seen[pkg] {
			seen[pkg] = true
			missing = append(missing, pkg)
		}
	}
	for program, pkg := range packages {
		if _, err := LookPath(program); err != nil {
			add(pkg)
		}
	}
	if _, err := os.Stat(filepath.Join(PluginDir, "bridge")); err != nil {
		add("containernetworking-plugins")
	}
	return missing
}

// checkNamespaces finds out early whether this root may do what the cluster does;
// in an unprivileged container it may not.
func checkNamespaces() error {
	attr := &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID}
	cmd := exec.Command("/proc/self/exe", "version")
	cmd.SysProcAttr = attr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("may not make namespaces (%w): CAP_SYS_ADMIN and CAP_NET_ADMIN are needed; in a container, run it privileged", err)
	}
	return nil
}

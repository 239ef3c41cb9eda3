package lifecycle

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// Exec replaces this process by `command` inside the cluster's network, where it reaches pods,
// Services and their names. KUBECONFIG is the admin's, kubectl is on the PATH and CLUSTER is this
// executable; the rest of the environment, and the file system, stay the caller's. It returns only
// on failure.
func Exec(l layout.Layout, command []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this executable: %w", err)
	}
	environment := withVariables(os.Environ(), map[string]string{
		"CLUSTER":       self,
		"CLUSTER_NAME":  l.Name,
		"CLUSTER_STATE": filepath.Dir(l.Dir),
		"KUBECONFIG":    l.Kubeconfig("admin"),
		"PATH":          l.Bin() + ":" + os.Getenv("PATH"),
	})
	path := self
	if command[0] != "kubectl" {
		path, err = exec.LookPath(command[0])
	}
	if err != nil {
		return fmt.Errorf("find command: %w", err)
	}
	if err := enter(l); err != nil {
		return err
	}
	if err := syscall.Exec(path, command, environment); err != nil {
		return fmt.Errorf("run %s: %w", command[0], err)
	}
	return nil
}

// enter moves the calling thread, which stays locked, into the cluster's network. A mount
// namespace of its own lets the cluster's DNS answer names.
func enter(l layout.Layout) error {
	running, err := find(l)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	network, err := os.Open(running.namespace("net"))
	if err != nil {
		return fmt.Errorf("open the cluster's network: %w", err)
	}
	defer network.Close()
	if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the cluster's network (root is needed): %w", err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("separate the mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separate the mounts: %w", err)
	}
	if err := unix.Mount(l.Config("resolv.conf"), "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("use the cluster's DNS: %w", err)
	}
	return nil
}

func withVariables(environment []string, variables map[string]string) []string {
	result := []string{}
	for _, entry := range environment {
		name, _, _ := strings.Cut(entry, "=")
		if _, replaced := variables[name]; !replaced {
			result = append(result, entry)
		}
	}
	for name, value := range variables {
		result = append(result, name+"="+value)
	}
	return result
}

package node

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// privateDirs are the usual folders of containerd, the kubelet and CNI; the cluster sees its own.
var privateDirs = []string{
	"/var/lib/kubelet", "/var/lib/containerd", "/run/containerd", "/var/lib/cni", "/etc/cni/net.d",
	"/var/log/pods", "/var/log/containers", "/etc/kubernetes", "/run/netns",
}

// mountPrivate arranges the mount namespace. Nothing leaks out: all mounts vanish with it.
func mountPrivate(l layout.Layout) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separate the mounts: %w", err)
	}
	// The kubelet and containerd want mounts to propagate between themselves and the pods.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts inside: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range privateDirs {
		if err := bindPrivate(l.Private(dir), dir); err != nil {
			return err
		}
	}
	return nil
}

func bindPrivate(source, target string) error {
	for _, dir := range []string{source, target} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("create mount point: %w", err)
		}
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", target, err)
	}
	if err := unix.Mount("", target, "", unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share %s: %w", target, err)
	}
	return nil
}

// snapshotter is containerd's way to stack image layers here. Overlay does not work above another
// overlay (a container's own file system), where layers are copied instead.
func snapshotter(l layout.Layout) (string, error) {
	probe := l.Private("/overlay-probe")
	for _, dir := range []string{"lower", "upper", "work", "merged"} {
		if err := os.MkdirAll(probe+"/"+dir, 0o755); err != nil {
			return "", fmt.Errorf("create overlay probe: %w", err)
		}
	}
	defer os.RemoveAll(probe)
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", probe)
	if err := unix.Mount("overlay", probe+"/merged", "overlay", 0, options); err != nil {
		return "native", nil
	}
	if err := unix.Unmount(probe+"/merged", 0); err != nil {
		return "", fmt.Errorf("unmount overlay probe: %w", err)
	}
	return "overlayfs", nil
}

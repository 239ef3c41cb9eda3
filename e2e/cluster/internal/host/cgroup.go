package host

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// neededControllers are those without which the kubelet does not start.
var neededControllers = []string{"cpu", "cpuset", "memory", "pids"}

// Cgroups is the machine's arrangement of control groups.
type Cgroups struct {
	// Version is 1 (one hierarchy per controller, also the hybrid layout) or 2.
	Version int
	// Roots are the hierarchies in which a cluster's cgroup is made.
	Roots []string
}

// DetectCgroups reads how the machine mounts control groups.
func DetectCgroups() (Cgroups, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &stat); err != nil {
		return Cgroups{}, fmt.Errorf("no control groups at %s: %w; mount them there", cgroupRoot, err)
	}
	if stat.Type == unix.CGROUP2_SUPER_MAGIC {
		return detectUnified()
	}
	return detectLegacy()
}

func detectUnified() (Cgroups, error) {
	data, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
	if err != nil {
		return Cgroups{}, fmt.Errorf("read cgroup v2 controllers: %w", err)
	}
	found := Cgroups{Version: 2, Roots: []string{cgroupRoot}}
	return found, requireControllers(strings.Fields(string(data)))
}

func detectLegacy() (Cgroups, error) {
	file, err := os.Open("/proc/self/mounts")
	if err != nil {
		return Cgroups{}, fmt.Errorf("read mounts: %w", err)
	}
	defer file.Close()
	found := Cgroups{Version: 1}
	controllers := []string{}
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		fields := strings.Fields(scanner.Text()) // device, path, type, options
		// In the hybrid layout runc makes cgroups in the version 2 hierarchy as well.
		if len(fields) < 4 || !strings.HasPrefix(fields[2], "cgroup") || !strings.HasPrefix(fields[1], cgroupRoot+"/") {
			continue
		}
		found.Roots = append(found.Roots, fields[1])
		controllers = append(controllers, strings.Split(fields[3], ",")...)
	}
	return found, requireControllers(controllers)
}

func requireControllers(present []string) error {
	has := map[string]bool{}
	for _, controller := range present {
		has[controller] = true
	}
	missing := []string{}
	for _, controller := range neededControllers {
		if !has[controller] {
			missing = append(missing, controller)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("cgroup controllers %s are not available at %s; Kubernetes needs them (in a container: run it privileged, with the host's cgroup namespace)",
			strings.Join(missing, ", "), cgroupRoot)
	}
	return nil
}

// Create makes the cgroup `name` in every hierarchy, so that the kubelet can use it as its root.
func (c Cgroups) Create(name string) error {
	for _, root := range c.Roots {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			return fmt.Errorf("create cgroup: %w", err)
		}
	}
	if c.Version == 2 {
		return c.delegate(name)
	}
	return nil
}

// delegate lets the children of `name` use the controllers; cgroup v2 enables them top down.
func (c Cgroups) delegate(name string) error {
	for _, dir := range []string{cgroupRoot, filepath.Join(cgroupRoot, name)} {
		for _, controller := range append(neededControllers, "io", "hugetlb") {
			err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
			if err != nil && isNeeded(controller) {
				return fmt.Errorf("enable cgroup controller %s in %s: %w; cgroup v2 refuses this while processes run in that cgroup itself", controller, dir, err)
			}
		}
	}
	return nil
}

func isNeeded(controller string) bool {
	for _, needed := range neededControllers {
		if controller == needed {
			return true
		}
	}
	return false
}

// Remove deletes the cgroup `name` and all below it. The kernel keeps a cgroup busy for a moment
// after its last process ended, so it tries again until `patience` is over.
func (c Cgroups) Remove(name string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		errs := []error{}
		for _, root := range c.Roots {
			errs = append(errs, removeTree(filepath.Join(root, name)))
		}
		err := errors.Join(errs...)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func removeTree(top string) error {
	dirs := []string{}
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list cgroup %s: %w", top, err)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(dirs))) // children before parents
	for _, dir := range dirs {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove cgroup: %w", err)
		}
	}
	return nil
}

package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"pyroscope-operator.test/e2e/cluster/internal/host"
	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

const (
	killPatience   = 20 * time.Second
	cgroupPatience = 10 * time.Second
)

// Down ends the cluster and removes everything of it: processes, mounts, network, control groups
// and state. A cluster that is not up is fine.
func Down(l layout.Layout) error {
	if _, err := os.Stat(filepath.Dir(l.Dir)); err != nil {
		return nil // never was up
	}
	if os.Geteuid() != 0 {
		return errors.New("not root: only root can end the cluster; run with sudo")
	}
	unlock, err := lock(l)
	if err != nil {
		return err
	}
	defer unlock()
	if err := remove(l); err != nil {
		return err
	}
	if err := os.Remove(l.Lock()); err != nil {
		return fmt.Errorf("remove lock: %w", err)
	}
	_ = os.Remove(filepath.Dir(l.Dir)) // fails, as it should, while another cluster's state is there
	return nil
}

// remove stops the cluster and deletes its state.
func remove(l layout.Layout) error {
	if err := stop(l); err != nil {
		return err
	}
	if err := os.RemoveAll(l.Dir); err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}

// stop ends the cluster but keeps its state, and with it the logs. Killing PID 1 makes the kernel
// end every process of the namespace; mounts and network vanish with the last of them.
func stop(l layout.Layout) error {
	running, err := find(l)
	if err == nil {
		err = kill(running)
	} else if errors.Is(err, ErrDown) {
		err = nil
	}
	if err != nil {
		return err
	}
	cgroups, err := host.DetectCgroups()
	if err != nil {
		return err
	}
	return errors.Join(cgroups.Remove(l.Cgroup(), cgroupPatience), host.RestoreSysctls(l.Sysctls()))
}

func kill(running instance) error {
	if err := syscall.Kill(running.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end the cluster: %w", err)
	}
	for deadline := time.Now().Add(killPatience); running.alive(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("end the cluster: process %d is still there after %s", running.PID, killPatience)
		}
	}
	return nil
}

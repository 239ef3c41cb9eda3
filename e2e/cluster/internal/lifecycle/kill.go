package lifecycle

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// Kill sends SIGKILL to every process of the pods' containers, as a power failure would end them.
// All processes are found first, so that the signals follow each other within microseconds.
func Kill(l layout.Layout, pods []string) error {
	containers := []string{}
	for _, pod := range pods {
		found, err := containersOf(l, pod)
		if err != nil {
			return err
		}
		containers = append(containers, found...)
	}
	pids, err := processesOf(l, containers)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("no process of %s runs", strings.Join(pods, ", "))
	}
	errs := []error{}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("kill process %d: %w", pid, err))
		}
	}
	return errors.Join(errs...)
}

// containersOf returns the container ids of "namespace/pod" without the pause container.
func containersOf(l layout.Layout, pod string) ([]string, error) {
	namespace, name, found := strings.Cut(pod, "/")
	if !found {
		return nil, fmt.Errorf("pod %q: want NAMESPACE/POD", pod)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this executable: %w", err)
	}
	cmd := exec.Command(self, "--state", filepath.Dir(l.Dir), "--name", l.Name,
		"kubectl", "get", "pod", name, "--namespace", namespace, "--output", "json")
	cmd.Stderr = os.Stderr
	data, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("get pod %s: %w", pod, err)
	}
	var object corev1.Pod
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, fmt.Errorf("parse pod %s: %w", pod, err)
	}
	ids := []string{}
	for _, status := range object.Status.ContainerStatuses {
		if _, id, found := strings.Cut(status.ContainerID, "://"); found {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// processesOf finds processes by their control group, whose last element is the container id.
func processesOf(l layout.Layout, containers []string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	pids := []int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		groups, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cgroup"))
		if err != nil {
			continue // ended meanwhile
		}
		for _, container := range containers {
			if strings.Contains(string(groups), l.Cgroup()) && strings.Contains(string(groups), container) {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids, nil
}

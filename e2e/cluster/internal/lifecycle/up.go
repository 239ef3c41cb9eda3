package lifecycle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pyroscope-operator.test/e2e/cluster/internal/host"
	"pyroscope-operator.test/e2e/cluster/internal/image"
	"pyroscope-operator.test/e2e/cluster/internal/layout"
	"pyroscope-operator.test/e2e/cluster/internal/node"
	"pyroscope-operator.test/e2e/cluster/internal/pki"
)

// Up starts the cluster unless it is up, and writes each step to `progress`. What a crash left
// is cleaned up first; a start that fails or is cancelled leaves nothing but its logs.
func Up(ctx context.Context, l layout.Layout, progress io.Writer) error {
	if err := host.Check(); err != nil {
		return fmt.Errorf("this machine cannot run the cluster yet:\n%w", err)
	}
	if err := os.MkdirAll(filepath.Dir(l.Dir), 0o755); err != nil {
		return fmt.Errorf("create state folder: %w", err)
	}
	unlock, err := lock(l)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := find(l); err == nil {
		if _, err := os.Stat(l.Ready()); err == nil {
			fmt.Fprintf(progress, "cluster %s is up\n", l.Name)
			return nil
		}
	}
	if err := remove(l); err != nil {
		return fmt.Errorf("clean up after the previous cluster: %w", err)
	}
	if err := prepare(l); err != nil {
		return errors.Join(err, remove(l))
	}
	if err := start(ctx, l, progress); err != nil {
		return errors.Join(err, stop(l))
	}
	return nil
}

// prepare writes what must exist before the first process starts.
func prepare(l layout.Layout) error {
	if err := os.RemoveAll(l.LogDir()); err != nil {
		return fmt.Errorf("remove old logs: %w", err)
	}
	for _, dir := range []string{l.LogDir(), l.Volumes(), l.Etcd(), l.Bin()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("create state folder: %w", err)
		}
	}
	if err := pki.Write(l); err != nil {
		return err
	}
	if err := buildPause(l); err != nil {
		return err
	}
	host.LoadModules()
	if err := host.SaveSysctls(l.Sysctls()); err != nil {
		return err
	}
	cgroups, err := host.DetectCgroups()
	if err != nil {
		return err
	}
	return cgroups.Create(l.Cgroup())
}

// buildPause packs the program `pause`, which is built beside this one.
func buildPause(l layout.Layout) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this executable: %w", err)
	}
	if err := os.Symlink(self, filepath.Join(l.Bin(), "kubectl")); err != nil {
		return fmt.Errorf("link kubectl: %w", err)
	}
	pause := filepath.Join(filepath.Dir(self), "pause")
	err = image.Build(image.Spec{
		Reference:  layout.PauseImage,
		Entrypoint: []string{"/pause"},
		User:       "65535:65535",
		Files:      []image.File{{Source: pause, Target: "/pause"}},
	}, filepath.Join(l.Dir, "pause.tar"))
	if err != nil {
		return fmt.Errorf("build the pause image (build ./pause beside the cluster program): %w", err)
	}
	return nil
}

// start runs PID 1 in namespaces of its own and follows its progress.
func start(ctx context.Context, l layout.Layout, progress io.Writer) error {
	began := time.Now()
	reports, permit, err := spawn(l)
	if err != nil {
		return err
	}
	defer reports.Close()
	if err := permit(); err != nil {
		return err
	}
	cancelled := context.AfterFunc(ctx, func() { reports.Close() })
	defer cancelled()
	scanner := bufio.NewScanner(reports)
	for scanner.Scan() {
		if problem, failed := strings.CutPrefix(scanner.Text(), "error: "); failed {
			return fmt.Errorf("start cluster %s: %s; logs are in %s", l.Name, problem, l.LogDir())
		}
		fmt.Fprintf(progress, "%5.1f s  %s\n", time.Since(began).Seconds(), scanner.Text())
	}
	if ctx.Err() != nil {
		return fmt.Errorf("start cluster %s: %w", l.Name, context.Cause(ctx))
	}
	if _, err := os.Stat(l.Ready()); err != nil {
		return fmt.Errorf("start cluster %s: it ended early; see %s", l.Name, l.Log(node.Program))
	}
	return nil
}

// spawn starts PID 1, which waits until `permit` was called after its record was written.
func spawn(l layout.Layout) (reports *os.File, permit func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this executable: %w", err)
	}
	reports, progress, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer progress.Close()
	permission, grant, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer permission.Close()
	output, err := os.Create(l.Log(node.Program))
	if err != nil {
		return nil, nil, fmt.Errorf("create log: %w", err)
	}
	defer output.Close()
	cmd := &exec.Cmd{
		Path:   self,
		Args:   []string{node.Program, filepath.Dir(l.Dir), l.Name},
		Dir:    "/",
		Env:    []string{"PATH=" + host.SearchPath, "HOME=/root"},
		Stdout: output,
		Stderr: output,
		// The indexes are node.ProgressFD and node.PermissionFD less 3.
		ExtraFiles: []*os.File{progress, permission},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
			Setsid:     true,
		},
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", node.Program, err)
	}
	go func() { _ = cmd.Wait() }() // reaps it should it end while we watch
	permit = func() error {
		defer grant.Close()
		if _, err := record(l, cmd.Process.Pid); err != nil {
			return err
		}
		if _, err := grant.Write([]byte{1}); err != nil {
			return fmt.Errorf("start %s: %w", node.Program, err)
		}
		return nil
	}
	return reports, permit, nil
}

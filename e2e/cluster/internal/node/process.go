package node

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"pyroscope-operator.test/e2e/cluster/internal/host"
	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// restartDelay keeps a program that ends at once from using up a core.
const restartDelay = time.Second

// processes starts programs and, being PID 1 of the namespace, reaps the orphans of all others
// (containerd's shims). It alone waits for children, so nothing here may use os/exec.
type processes struct {
	layout layout.Layout
	self   string // this executable, which is every Kubernetes program

	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
}

func newProcesses(l layout.Layout) (*processes, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this executable: %w", err)
	}
	p := &processes{layout: l, self: self, waiting: map[int]chan syscall.WaitStatus{}}
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go p.reap(children)
	return p, nil
}

// supervise starts a program of this executable and starts it again whenever it ends.
func (p *processes) supervise(program string, args ...string) error {
	return p.superviseAt(p.self, program, args...)
}

// superviseAt is supervise for the executable at `path`.
func (p *processes) superviseAt(path, program string, args ...string) error {
	exited, err := p.start(path, program, args...)
	if err != nil {
		return err
	}
	log.Printf("started %s", program)
	go func() {
		for {
			status := <-exited
			log.Printf("%s ended: %s; starting it again", program, describe(status))
			time.Sleep(restartDelay)
			if exited, err = p.start(path, program, args...); err != nil {
				log.Printf("giving up on %s: %v", program, err)
				return
			}
		}
	}()
	return nil
}

// run waits for a short program and turns a failure into an error.
func (p *processes) run(ctx context.Context, path, program string, args ...string) error {
	exited, err := p.start(path, program, args...)
	if err != nil {
		return err
	}
	select {
	case status := <-exited:
		if !status.Exited() || status.ExitStatus() != 0 {
			return fmt.Errorf("%s: %s; see %s", program, describe(status), p.layout.Log(program))
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", program, ctx.Err())
	}
}

// start runs a program with its log as output. The lock makes sure that reap cannot see the
// end of a child before it is in the map.
func (p *processes) start(path, program string, args ...string) (<-chan syscall.WaitStatus, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("open the null device: %w", err)
	}
	defer null.Close()
	output, err := os.OpenFile(p.layout.Log(program), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", program, err)
	}
	defer output.Close()

	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := syscall.ForkExec(path, append([]string{program}, args...), &syscall.ProcAttr{
		Env:   []string{"PATH=" + host.SearchPath, "HOME=/root", "KUBECONFIG=" + p.layout.Kubeconfig("admin")},
		Files: []uintptr{null.Fd(), output.Fd(), output.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	exited := make(chan syscall.WaitStatus, 1)
	p.waiting[pid] = exited
	return exited, nil
}

func (p *processes) reap(children <-chan os.Signal) {
	for range children {
		for p.reapOne() {
		}
	}
}

func (p *processes) reapOne() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if err == syscall.EINTR {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	if exited, ours := p.waiting[pid]; ours {
		delete(p.waiting, pid)
		exited <- status
	}
	return true
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal " + status.Signal().String()
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}

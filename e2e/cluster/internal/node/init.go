// Package node is the inside of a cluster: PID 1 of its namespaces, and what it starts.
package node

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"pyroscope-operator.test/e2e/cluster/internal/host"
	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// Program is the name under which the executable starts as PID 1; its arguments are the state's
// parent folder and the cluster's name.
const Program = "cluster-init"

// File descriptors that `up` hands over.
const (
	// ProgressFD takes one line for each step; it is closed when the cluster is up or has failed.
	ProgressFD = 3
	// PermissionFD gives a byte once `up` has recorded this process, so that a crash of `up`
	// leaves no cluster that nobody knows.
	PermissionFD = 4
)

const (
	startTimeout = 3 * time.Minute
	pollInterval = 100 * time.Millisecond
)

// Main sets up the node and then reaps processes until it is killed.
func Main() int {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	progress := os.NewFile(ProgressFD, "progress")
	if len(os.Args) != 3 || progress == nil {
		fmt.Fprintln(os.Stderr, Program+" is started by `cluster up`")
		return 2
	}
	// The programs to start must not hold the pipes open.
	unix.CloseOnExec(ProgressFD)
	unix.CloseOnExec(PermissionFD)
	permission := os.NewFile(PermissionFD, "permission")
	if _, err := io.ReadFull(permission, make([]byte, 1)); err != nil {
		return 1
	}
	permission.Close()
	l, err := layout.New(os.Args[1], os.Args[2])
	if err == nil {
		err = startAll(l, progress)
	}
	if err != nil {
		log.Print(err)
		fmt.Fprintln(progress, "error:", err)
		return 1
	}
	progress.Close()
	select {}
}

// startAll starts every program in the order of their needs and returns when pods can run.
func startAll(l layout.Layout, progress io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := mountPrivate(l); err != nil {
		return err
	}
	if err := setUpNetwork(); err != nil {
		return err
	}
	if err := writeConfig(l); err != nil {
		return err
	}
	p, err := newProcesses(l)
	if err != nil {
		return err
	}
	client, err := startControlPlane(ctx, p)
	if err != nil {
		return err
	}
	fmt.Fprintln(progress, "API server ready")
	if err := startNode(ctx, p); err != nil {
		return err
	}
	if err := waitForNode(ctx, client); err != nil {
		return err
	}
	fmt.Fprintln(progress, "node ready")
	if err := waitForDNS(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(l.Ready(), nil, 0o644); err != nil {
		return fmt.Errorf("mark the cluster ready: %w", err)
	}
	fmt.Fprintln(progress, "DNS ready")
	return nil
}

func startControlPlane(ctx context.Context, p *processes) (kubernetes.Interface, error) {
	containerd, err := host.LookPath("containerd")
	if err != nil {
		return nil, err
	}
	if err := p.superviseAt(containerd, "containerd", "--config", p.layout.Config("containerd.toml")); err != nil {
		return nil, err
	}
	for _, program := range []string{"etcd", "kube-apiserver"} {
		if err := p.supervise(program, arguments(p.layout, program)...); err != nil {
			return nil, err
		}
	}
	client, err := newClient(p.layout)
	if err != nil {
		return nil, err
	}
	if err := waitForAPIServer(ctx, client); err != nil {
		return nil, err
	}
	for _, program := range []string{"kube-controller-manager", "kube-scheduler"} {
		if err := p.supervise(program, arguments(p.layout, program)...); err != nil {
			return nil, err
		}
	}
	return client, nil
}

func startNode(ctx context.Context, p *processes) error {
	if err := importPause(ctx, p); err != nil {
		return err
	}
	for _, program := range []string{"kubelet", "kube-proxy"} {
		if err := p.supervise(program, arguments(p.layout, program)...); err != nil {
			return err
		}
	}
	err := poll(ctx, "apply the base objects", func() error {
		return p.run(ctx, p.self, "kubectl", "apply", "--server-side", "-f", p.layout.Config("base.yaml"))
	})
	if err != nil {
		return err
	}
	for _, program := range []string{"coredns", "provisioner"} {
		if err := p.supervise(program, arguments(p.layout, program)...); err != nil {
			return err
		}
	}
	return nil
}

func importPause(ctx context.Context, p *processes) error {
	ctr, err := host.LookPath("ctr")
	if err != nil {
		return err
	}
	return poll(ctx, "import the pause image", func() error {
		return p.run(ctx, ctr, "ctr", "--namespace", "k8s.io", "images", "import", filepath.Join(p.layout.Dir, "pause.tar"))
	})
}

func newClient(l layout.Layout) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig("admin"))
	if err != nil {
		return nil, fmt.Errorf("load the admin's kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return client, nil
}

func waitForAPIServer(ctx context.Context, client kubernetes.Interface) error {
	return poll(ctx, "wait for the API server", func() error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

func waitForNode(ctx context.Context, client kubernetes.Interface) error {
	return poll(ctx, "wait for the node", func() error {
		node, err := client.CoreV1().Nodes().Get(ctx, layout.NodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				if condition.Status == corev1.ConditionTrue {
					return nil
				}
				return fmt.Errorf("not ready: %s", condition.Message)
			}
		}
		return fmt.Errorf("not ready: no condition yet")
	})
}

func waitForDNS(ctx context.Context) error {
	return poll(ctx, "wait for CoreDNS", func() error {
		response, err := http.Get("http://127.0.0.1:8181/ready")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", response.Status)
		}
		return nil
	})
}

// poll repeats `attempt` until it succeeds; on timeout the error is the last attempt's.
func poll(ctx context.Context, what string, attempt func() error) error {
	for {
		err := attempt()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: timed out: %w", what, err)
		case <-time.After(pollInterval):
		}
	}
}

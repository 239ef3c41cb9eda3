package node

import "pyroscope-operator.test/e2e/cluster/internal/layout"

// arguments are the command line of each supervised Kubernetes program.
func arguments(l layout.Layout, program string) []string {
	switch program {
	case "etcd":
		return etcdArguments(l)
	case "kube-apiserver":
		return apiServerArguments(l)
	case "kube-controller-manager":
		return controllerManagerArguments(l)
	case "kube-scheduler":
		return append(loopbackAuthentication(l, "scheduler"), "--leader-elect=false")
	case "kubelet":
		return []string{
			"--config=" + l.Config("kubelet.yaml"), "--kubeconfig=" + l.Kubeconfig("kubelet"),
			"--node-ip=" + layout.NodeAddress, "--hostname-override=" + layout.NodeName, "--root-dir=/var/lib/kubelet",
		}
	case "kube-proxy":
		return []string{"--config=" + l.Config("proxy.yaml")}
	case "coredns":
		return []string{"-conf", l.Config("Corefile")}
	case "provisioner":
		return []string{"-kubeconfig", l.Kubeconfig("admin"), "-dir", l.Volumes()}
	}
	return nil
}

func etcdArguments(l layout.Layout) []string {
	return []string{
		"--data-dir=" + l.Etcd(),
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--log-level=warn",
		// The database does not outlive the machine; durability would only cost time.
		"--unsafe-no-fsync",
	}
}

func apiServerArguments(l layout.Layout) []string {
	return []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--secure-port=6443", "--bind-address=0.0.0.0", "--advertise-address=" + layout.NodeAddress,
		"--service-cluster-ip-range=" + layout.ServiceNetwork,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--client-ca-file=" + l.PKI("ca.crt"),
		"--tls-cert-file=" + l.PKI("apiserver.crt"), "--tls-private-key-file=" + l.PKI("apiserver.key"),
		"--kubelet-client-certificate=" + l.PKI("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + l.PKI("apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + l.PKI("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + l.PKI("service-account.pub"),
		"--service-account-signing-key-file=" + l.PKI("service-account.key"),
		"--requestheader-client-ca-file=" + l.PKI("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + l.PKI("front-proxy-client.crt"),
		"--proxy-client-key-file=" + l.PKI("front-proxy-client.key"),
		// The quickstart profiles the API server.
		"--profiling=true",
	}
}

func controllerManagerArguments(l layout.Layout) []string {
	return append(loopbackAuthentication(l, "controller-manager"),
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+l.PKI("service-account.key"),
		"--root-ca-file="+l.PKI("ca.crt"),
		"--cluster-signing-cert-file="+l.PKI("ca.crt"), "--cluster-signing-key-file="+l.PKI("ca.key"),
		"--allocate-node-cidrs=true", "--cluster-cidr="+layout.PodNetwork,
		"--service-cluster-ip-range="+layout.ServiceNetwork,
		"--node-monitor-grace-period=20s",
	)
}

func loopbackAuthentication(l layout.Layout, user string) []string {
	kubeconfig := l.Kubeconfig(user)
	return []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig, "--bind-address=127.0.0.1",
	}
}

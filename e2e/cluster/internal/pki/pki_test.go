package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

func written(t *testing.T) layout.Layout {
	t.Helper()
	l, err := layout.New(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(l); err != nil {
		t.Fatal(err)
	}
	return l
}

func authorities(t *testing.T, l layout.Layout, file string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(l.PKI(file))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatalf("%s holds no certificate", file)
	}
	return pool
}

func leaf(t *testing.T, l layout.Layout, name string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(l.PKI(name+".crt"), l.PKI(name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func TestServersAreKnownByTheirNames(t *testing.T) {
	l := written(t)
	for name, host := range map[string]string{
		"apiserver":       layout.APIServiceAddress,
		"kubelet-serving": layout.NodeAddress,
	} {
		options := x509.VerifyOptions{Roots: authorities(t, l, "ca.crt"), DNSName: host}
		if _, err := leaf(t, l, name).Verify(options); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheFrontProxyHasAnAuthorityOfItsOwn(t *testing.T) {
	l := written(t)
	client := leaf(t, l, "front-proxy-client")
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := client.Verify(x509.VerifyOptions{Roots: authorities(t, l, "front-proxy-ca.crt"), KeyUsages: usages}); err != nil {
		t.Error(err)
	}
	if _, err := client.Verify(x509.VerifyOptions{Roots: authorities(t, l, "ca.crt"), KeyUsages: usages}); err == nil {
		t.Error("the cluster's authority vouches for the front proxy")
	}
}

func TestEveryUserHasAKubeconfig(t *testing.T) {
	l := written(t)
	for _, u := range users {
		config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig(u.name))
		if err != nil {
			t.Fatalf("%s: %v", u.name, err)
		}
		if config.Host != layout.APIServerURL {
			t.Errorf("%s talks to %s", u.name, config.Host)
		}
		if subject := leaf(t, l, u.name).Subject.CommonName; subject != u.commonName {
			t.Errorf("%s is %s", u.name, subject)
		}
	}
}

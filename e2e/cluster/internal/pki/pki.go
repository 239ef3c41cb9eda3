// Package pki makes the keys, certificates and kubeconfigs of a cluster.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

const validity = 10 * 365 * 24 * time.Hour

// user is a client of the API server; its kubeconfig is named after it.
type user struct{ name, commonName, organization string }

var users = []user{
	{"admin", "admin", "system:masters"},
	{"controller-manager", "system:kube-controller-manager", ""},
	{"scheduler", "system:kube-scheduler", ""},
	{"proxy", "system:kube-proxy", ""},
	{"kubelet", "system:node:" + layout.NodeName, "system:nodes"},
	{"coredns", "system:coredns", ""},
}

// Write makes everything anew in the layout's PKI folder.
func Write(l layout.Layout) error {
	if err := os.MkdirAll(l.PKIDir(), 0o700); err != nil {
		return fmt.Errorf("create the folder of certificates: %w", err)
	}
	ca, err := newAuthority(l, "ca")
	if err != nil {
		return err
	}
	front, err := newAuthority(l, "front-proxy-ca")
	if err != nil {
		return err
	}
	if err := writeServiceAccountKey(l); err != nil {
		return err
	}
	if err := writeServers(l, ca); err != nil {
		return err
	}
	if err := front.issueClient(l, "front-proxy-client", pkix.Name{CommonName: "front-proxy-client"}); err != nil {
		return err
	}
	subject := pkix.Name{CommonName: "apiserver-kubelet-client", Organization: []string{"system:masters"}}
	if err := ca.issueClient(l, "apiserver-kubelet-client", subject); err != nil {
		return err
	}
	for _, u := range users {
		if err := writeUser(l, ca, u); err != nil {
			return err
		}
	}
	return nil
}

type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(l layout.Layout, name string) (*authority, error) {
	template, err := newTemplate(pkix.Name{CommonName: name})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	key, cert, err := sign(l, name, template, nil)
	if err != nil {
		return nil, err
	}
	return &authority{key: key, cert: cert}, nil
}

func (a *authority) issueClient(l layout.Layout, name string, subject pkix.Name) error {
	template, err := newTemplate(subject)
	if err != nil {
		return err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	_, _, err = sign(l, name, template, a)
	return err
}

func (a *authority) issueServer(l layout.Layout, name string, subject pkix.Name, dns []string, addresses ...string) error {
	template, err := newTemplate(subject)
	if err != nil {
		return err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = dns
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	_, _, err = sign(l, name, template, a)
	return err
}

func writeServers(l layout.Layout, ca *authority) error {
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"}
	err := ca.issueServer(l, "apiserver", pkix.Name{CommonName: "kube-apiserver"}, names,
		"127.0.0.1", layout.NodeAddress, layout.APIServiceAddress)
	if err != nil {
		return err
	}
	return ca.issueServer(l, "kubelet-serving", pkix.Name{CommonName: layout.NodeName}, []string{layout.NodeName},
		"127.0.0.1", layout.NodeAddress)
}

func writeUser(l layout.Layout, ca *authority, u user) error {
	subject := pkix.Name{CommonName: u.commonName}
	if u.organization != "" {
		subject.Organization = []string{u.organization}
	}
	if err := ca.issueClient(l, u.name, subject); err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, file := range []string{"ca.crt", u.name + ".crt", u.name + ".key"} {
		data, err := os.ReadFile(l.PKI(file))
		if err != nil {
			return fmt.Errorf("read back a certificate: %w", err)
		}
		files[file] = data
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[l.Name] = &clientcmdapi.Cluster{Server: layout.APIServerURL, CertificateAuthorityData: files["ca.crt"]}
	config.AuthInfos[u.name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: files[u.name+".crt"], ClientKeyData: files[u.name+".key"]}
	config.Contexts[l.Name] = &clientcmdapi.Context{Cluster: l.Name, AuthInfo: u.name}
	config.CurrentContext = l.Name
	if err := clientcmd.WriteToFile(*config, l.Kubeconfig(u.name)); err != nil {
		return fmt.Errorf("write kubeconfig of %s: %w", u.name, err)
	}
	return nil
}

func writeServiceAccountKey(l layout.Layout) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service account key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode the service account key: %w", err)
	}
	if err := writePEM(l.PKI("service-account.pub"), "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(l.PKI("service-account.key"), key)
}

func newTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		// An hour of slack for a clock that was just set back.
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}, nil
}

// sign writes name.key and name.crt; without an issuer the certificate signs itself.
func sign(l layout.Layout, name string, template *x509.Certificate, issuer *authority) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key %s: %w", name, err)
	}
	if issuer == nil {
		issuer = &authority{key: key, cert: template}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("parse certificate %s: %w", name, err)
	}
	if err := writePEM(l.PKI(name+".crt"), "CERTIFICATE", der); err != nil {
		return nil, nil, err
	}
	return key, cert, writeKey(l.PKI(name+".key"), key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key %s: %w", path, err)
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

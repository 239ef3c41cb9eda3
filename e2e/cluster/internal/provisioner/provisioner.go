// Package provisioner makes PersistentVolumes of folders on the one node.
package provisioner

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// Program is the name under which the executable starts as the provisioner.
const Program = "provisioner"

const (
	interval       = 300 * time.Millisecond
	passTimeout    = 20 * time.Second
	provisionedBy  = "pv.kubernetes.io/provisioned-by"
	selectedNode   = "volume.kubernetes.io/selected-node"
	anyUserMayRead = 0o777
)

// Main provisions until the process ends.
func Main() int {
	flags := flag.NewFlagSet(Program, flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "credentials")
	dir := flags.String("dir", "", "folder of the volumes")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return 2
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Print(err)
		return 1
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Print(err)
		return 1
	}
	p := &provisioner{client: client, dir: filepath.Clean(*dir)}
	for {
		if err := p.pass(); err != nil {
			log.Print(err)
		}
		time.Sleep(interval)
	}
}

type provisioner struct {
	client kubernetes.Interface
	dir    string
}

// pass makes the volumes that claims wait for and deletes those that were released.
func (p *provisioner) pass() error {
	ctx, cancel := context.WithTimeout(context.Background(), passTimeout)
	defer cancel()
	policies, err := p.policies(ctx)
	if err != nil {
		return err
	}
	return errors.Join(p.provision(ctx, policies), p.reclaim(ctx))
}

// policies maps each StorageClass of this provisioner to its reclaim policy.
func (p *provisioner) policies(ctx context.Context) (map[string]corev1.PersistentVolumeReclaimPolicy, error) {
	classes, err := p.client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("list storage classes: %w", err)
	}
	policies := map[string]corev1.PersistentVolumeReclaimPolicy{}
	for _, class := range classes.Items {
		if class.Provisioner != layout.ProvisionerName {
			continue
		}
		policies[class.Name] = corev1.PersistentVolumeReclaimDelete
		if class.ReclaimPolicy != nil {
			policies[class.Name] = *class.ReclaimPolicy
		}
	}
	return policies, nil
}

func (p *provisioner) provision(ctx context.Context, policies map[string]corev1.PersistentVolumeReclaimPolicy) error {
	claims, err := p.client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("list claims: %w", err)
	}
	errs := []error{}
	for _, claim := range claims.Items {
		if claim.Spec.StorageClassName == nil || claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil {
			continue
		}
		policy, ours := policies[*claim.Spec.StorageClassName]
		if !ours || claim.Annotations[selectedNode] == "" {
			continue
		}
		errs = append(errs, p.create(ctx, &claim, policy))
	}
	return errors.Join(errs...)
}

func (p *provisioner) create(ctx context.Context, claim *corev1.PersistentVolumeClaim, policy corev1.PersistentVolumeReclaimPolicy) error {
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(p.dir, name+"_"+claim.Namespace+"_"+claim.Name)
	if err := os.MkdirAll(path, anyUserMayRead); err != nil {
		return fmt.Errorf("create volume: %w", err)
	}
	if err := os.Chmod(path, anyUserMayRead); err != nil { // past the umask
		return fmt.Errorf("open volume to all users: %w", err)
	}
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volume(claim, name, path, policy), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create volume object of claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

func volume(claim *corev1.PersistentVolumeClaim, name, path string, policy corev1.PersistentVolumeReclaimPolicy) *corev1.PersistentVolume {
	mode := corev1.PersistentVolumeFilesystem
	if claim.Spec.VolumeMode != nil {
		mode = *claim.Spec.VolumeMode
	}
	node := corev1.NodeSelectorRequirement{
		Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{claim.Annotations[selectedNode]},
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: layout.ProvisionerName}},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    &mode,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			StorageClassName:              *claim.Spec.StorageClassName,
			PersistentVolumeReclaimPolicy: policy,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{node}}},
			}},
		},
	}
}

func (p *provisioner) reclaim(ctx context.Context) error {
	volumes, err := p.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("list volumes: %w", err)
	}
	errs := []error{}
	for _, volume := range volumes.Items {
		if p.isReleased(&volume) {
			errs = append(errs, p.delete(ctx, &volume))
		}
	}
	return errors.Join(errs...)
}

// isReleased also makes sure that the folder to delete is one of ours.
func (p *provisioner) isReleased(volume *corev1.PersistentVolume) bool {
	return volume.Annotations[provisionedBy] == layout.ProvisionerName &&
		volume.Status.Phase == corev1.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete &&
		volume.Spec.Local != nil && filepath.Dir(volume.Spec.Local.Path) == p.dir
}

func (p *provisioner) delete(ctx context.Context, volume *corev1.PersistentVolume) error {
	if err := os.RemoveAll(volume.Spec.Local.Path); err != nil {
		return fmt.Errorf("delete volume: %w", err)
	}
	err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete volume object %s: %w", volume.Name, err)
	}
	return nil
}

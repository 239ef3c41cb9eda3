// Package image writes container images of one layer as OCI tars, without a container engine.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"sort"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxBytes bounds the files of an image: layer and tar are put together in memory.
const maxBytes = 1 << 30

// Spec is an image FROM scratch.
type Spec struct {
	// Reference names the image, such as pyroscope:dev.
	Reference  string
	Entrypoint []string
	// User is the user or user:group that runs the entrypoint; numbers need no /etc/passwd.
	User   string
	Files  []File
	Labels map[string]string
}

// File is copied from the machine into the image with mode 0755 if executable, else 0644.
type File struct{ Source, Target string }

// ParseFile reads "SOURCE=/target".
func ParseFile(text string) (File, error) {
	source, target, found := strings.Cut(text, "=")
	if !found || source == "" || !path.IsAbs(target) {
		return File{}, fmt.Errorf("file %q: want SOURCE=/absolute/path", text)
	}
	return File{Source: source, Target: path.Clean(target)}, nil
}

// Build writes the image to `output`. The same input gives the same bytes.
func Build(spec Spec, output string) error {
	named, err := reference.ParseDockerRef(spec.Reference)
	if err != nil {
		return fmt.Errorf("image name %q: %w", spec.Reference, err)
	}
	layer, err := layerOf(spec.Files)
	if err != nil {
		return err
	}
	blobs := blobs{}
	manifest, err := manifestOf(spec, layer, blobs)
	if err != nil {
		return err
	}
	manifest.Annotations = map[string]string{
		"io.containerd.image.name": named.String(), // the name that the kubelet asks for
		ocispec.AnnotationRefName:  tagOf(named),
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{manifest}}
	data, err := archive(index, blobs)
	if err != nil {
		return err
	}
	return replace(output, data)
}

type blobs map[digest.Digest][]byte

func (b blobs) add(mediaType string, data []byte) ocispec.Descriptor {
	sum := digest.FromBytes(data)
	b[sum] = data
	return ocispec.Descriptor{MediaType: mediaType, Digest: sum, Size: int64(len(data))}
}

func (b blobs) addJSON(mediaType string, value any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("encode %s: %w", mediaType, err)
	}
	return b.add(mediaType, data), nil
}

func manifestOf(spec Spec, layer []byte, blobs blobs) (ocispec.Descriptor, error) {
	layerDescriptor := blobs.add(ocispec.MediaTypeImageLayer, layer)
	config, err := blobs.addJSON(ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: ocispec.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		Config: ocispec.ImageConfig{
			Entrypoint: spec.Entrypoint, User: spec.User, Env: []string{"PATH=/"}, WorkingDir: "/", Labels: spec.Labels},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layerDescriptor.Digest}},
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return blobs.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layerDescriptor},
	})
}

func tagOf(named reference.Named) string {
	if tagged, ok := named.(reference.Tagged); ok {
		return tagged.Tag()
	}
	return "latest"
}

// layerOf packs the files with their parent folders, an empty /tmp and nothing else.
func layerOf(files []File) ([]byte, error) {
	buffer := &bytes.Buffer{}
	writer := tar.NewWriter(buffer)
	if err := writeDirs(writer, files); err != nil {
		return nil, err
	}
	total := int64(0)
	for _, file := range files {
		info, err := os.Stat(file.Source)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file.Source, err)
		}
		if total += info.Size(); total > maxBytes {
			return nil, fmt.Errorf("files of more than %d bytes do not fit into an image", int64(maxBytes))
		}
		data, err := os.ReadFile(file.Source)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file.Source, err)
		}
		if err := writeEntry(writer, strings.TrimPrefix(file.Target, "/"), data, modeOf(info)); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("pack layer: %w", err)
	}
	return buffer.Bytes(), nil
}

func writeDirs(writer *tar.Writer, files []File) error {
	dirs := map[string]int64{"tmp": 0o1777}
	for _, file := range files {
		for dir := path.Dir(file.Target); dir != "/"; dir = path.Dir(dir) {
			dirs[strings.TrimPrefix(dir, "/")] = 0o755
		}
	}
	names := []string{}
	for name := range dirs {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: dirs[name], ModTime: time.Unix(0, 0)}
		if err := writer.WriteHeader(header); err != nil {
			return fmt.Errorf("pack folder %s: %w", name, err)
		}
	}
	return nil
}

func modeOf(info fs.FileInfo) int64 {
	if info.Mode()&0o111 != 0 {
		return 0o755
	}
	return 0o644
}

func archive(index ocispec.Index, blobs blobs) ([]byte, error) {
	indexJSON, err := json.Marshal(index)
	if err != nil {
		return nil, fmt.Errorf("encode index: %w", err)
	}
	layoutJSON, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return nil, fmt.Errorf("encode layout: %w", err)
	}
	files := map[string][]byte{ocispec.ImageLayoutFile: layoutJSON, ocispec.ImageIndexFile: indexJSON}
	for sum, data := range blobs {
		files["blobs/"+sum.Algorithm().String()+"/"+sum.Encoded()] = data
	}
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	buffer := &bytes.Buffer{}
	writer := tar.NewWriter(buffer)
	for _, name := range names {
		if err := writeEntry(writer, name, files[name], 0o644); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("pack image: %w", err)
	}
	return buffer.Bytes(), nil
}

func writeEntry(writer *tar.Writer, name string, data []byte, mode int64) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: time.Unix(0, 0)}
	if err := writer.WriteHeader(header); err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	if _, err := writer.Write(data); err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	return nil
}

// replace writes beside the target first, so that no reader sees half an image.
func replace(target string, data []byte) error {
	if err := os.MkdirAll(path.Dir(target), 0o755); err != nil {
		return fmt.Errorf("create folder of image: %w", err)
	}
	sum := sha256.Sum256(data)
	partial := target + "." + hex.EncodeToString(sum[:4])
	if err := os.WriteFile(partial, data, 0o644); err != nil {
		return errors.Join(fmt.Errorf("write image: %w", err), os.Remove(partial))
	}
	if err := os.Rename(partial, target); err != nil {
		return fmt.Errorf("put image in place: %w", err)
	}
	return nil
}

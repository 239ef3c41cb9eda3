package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func build(t *testing.T, spec Spec) map[string][]byte {
	t.Helper()
	output := filepath.Join(t.TempDir(), "out", "image.tar")
	if err := Build(spec, output); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return untar(t, data)
}

func untar(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for reader := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = content
	}
}

func parse[T any](t *testing.T, data []byte) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestImageLeadsFromIndexToFile(t *testing.T) {
	files := build(t, Spec{
		Reference: "app:1", Entrypoint: []string{"/bin/app"}, User: "10001:10001",
		Files: []File{{Source: program(t), Target: "/bin/app"}},
	})
	blob := func(descriptor ocispec.Descriptor) []byte {
		data := files["blobs/sha256/"+descriptor.Digest.Encoded()]
		if int64(len(data)) != descriptor.Size {
			t.Fatalf("%s has %d bytes, want %d", descriptor.Digest, len(data), descriptor.Size)
		}
		return data
	}
	index := parse[ocispec.Index](t, files["index.json"])
	if name := index.Manifests[0].Annotations["io.containerd.image.name"]; name != "docker.io/library/app:1" {
		t.Errorf("image is named %q, which the kubelet would not find", name)
	}
	manifest := parse[ocispec.Manifest](t, blob(index.Manifests[0]))
	config := parse[ocispec.Image](t, blob(manifest.Config))
	if config.Config.User != "10001:10001" || config.Config.Entrypoint[0] != "/bin/app" {
		t.Errorf("config is %+v", config.Config)
	}
	if config.RootFS.DiffIDs[0] != manifest.Layers[0].Digest {
		t.Errorf("diff id %s, layer %s", config.RootFS.DiffIDs[0], manifest.Layers[0].Digest)
	}
	layer := untar(t, blob(manifest.Layers[0]))
	if string(layer["bin/app"]) != "#!" {
		t.Errorf("layer holds %v", layer)
	}
	if _, found := layer["tmp/"]; !found {
		t.Error("layer has no /tmp")
	}
}

func TestSameInputGivesSameBytes(t *testing.T) {
	spec := Spec{Reference: "app:1", Entrypoint: []string{"/app"}, Files: []File{{Source: program(t), Target: "/app"}}}
	first, second := build(t, spec), build(t, spec)
	if !bytes.Equal(first["index.json"], second["index.json"]) {
		t.Errorf("%s\n%s", first["index.json"], second["index.json"])
	}
}

func TestBadSpecsAreRefused(t *testing.T) {
	good := File{Source: program(t), Target: "/app"}
	for name, spec := range map[string]Spec{
		"name":   {Reference: "Not A Name", Files: []File{good}},
		"source": {Reference: "app:1", Files: []File{{Source: "/does/not/exist", Target: "/app"}}},
	} {
		if err := Build(spec, filepath.Join(t.TempDir(), "image.tar")); err == nil {
			t.Errorf("%s: built", name)
		}
	}
	for _, text := range []string{"", "source", "=/target", "source=relative"} {
		if file, err := ParseFile(text); err == nil {
			t.Errorf("%q parsed as %+v", text, file)
		}
	}
}

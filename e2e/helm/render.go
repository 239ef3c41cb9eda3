package main

import (
	"fmt"
	"io"
	"path"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/strvals"
)

// render is one rendering of a chart as a first installation.
type render struct {
	release, chart, namespace, kubeVersion string
	// Files first, then assignments; the later wins.
	valueFiles, assignments []string
	includeCRDs             bool
}

// write renders and prints the manifests in the order of installation, hooks last.
func (r render) write(output io.Writer) error {
	loaded, err := loader.Load(r.chart)
	if err != nil {
		return fmt.Errorf("load chart: %w", err)
	}
	files, capabilities, err := r.execute(loaded)
	if err != nil {
		return err
	}
	hooks, manifests, err := releaseutil.SortManifests(files, capabilities.APIVersions, releaseutil.InstallOrder)
	if err != nil {
		return fmt.Errorf("sort manifests: %w", err)
	}
	if r.includeCRDs {
		for _, crd := range loaded.CRDObjects() {
			fmt.Fprintf(output, "---\n# Source: %s\n%s\n", crd.Filename, crd.File.Data)
		}
	}
	for _, manifest := range manifests {
		fmt.Fprintf(output, "---\n# Source: %s\n%s\n", manifest.Name, manifest.Content)
	}
	for _, hook := range hooks {
		fmt.Fprintf(output, "---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return nil
}

// execute runs the templates and drops what is not a manifest.
func (r render) execute(loaded *chart.Chart) (map[string]string, *chartutil.Capabilities, error) {
	capabilities := chartutil.DefaultCapabilities.Copy()
	version, err := chartutil.ParseKubeVersion(r.kubeVersion)
	if err != nil {
		return nil, nil, fmt.Errorf("kube version %q: %w", r.kubeVersion, err)
	}
	capabilities.KubeVersion = *version
	given, err := r.values()
	if err != nil {
		return nil, nil, err
	}
	if err := chartutil.ProcessDependenciesWithMerge(loaded, given); err != nil {
		return nil, nil, fmt.Errorf("process dependencies: %w", err)
	}
	options := chartutil.ReleaseOptions{Name: r.release, Namespace: r.namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(loaded, given, options, capabilities)
	if err != nil {
		return nil, nil, fmt.Errorf("check values: %w", err)
	}
	files, err := engine.Render(loaded, all)
	if err != nil {
		return nil, nil, fmt.Errorf("render: %w", err)
	}
	for name := range files {
		if base := path.Base(name); base == "NOTES.txt" || strings.HasPrefix(base, "_") {
			delete(files, name)
		}
	}
	return files, capabilities, nil
}

func (r render) values() (chartutil.Values, error) {
	merged := map[string]any{}
	for _, file := range r.valueFiles {
		read, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return nil, fmt.Errorf("read values %s: %w", file, err)
		}
		merged = chartutil.MergeTables(read, merged)
	}
	for _, assignment := range r.assignments {
		if err := strvals.ParseInto(assignment, merged); err != nil {
			return nil, fmt.Errorf("set %q: %w", assignment, err)
		}
	}
	return merged, nil
}

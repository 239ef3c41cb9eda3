package main

import (
	"strings"
	"testing"
)

const chartDir = "../../charts/pyroscope-operator"

func rendered(t *testing.T, args ...string) string {
	t.Helper()
	output := &strings.Builder{}
	if err := run(append([]string{"template", "release", chartDir}, args...), output); err != nil {
		t.Fatal(err)
	}
	return output.String()
}

func TestAssignmentsReachTheTemplates(t *testing.T) {
	text := rendered(t, "--namespace", "elsewhere", "--set", "image.repository=registry.example/op,image.tag=v9")
	for _, want := range []string{"namespace: elsewhere", "registry.example/op:v9", "kind: Deployment"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestDefinitionsComeOnRequest(t *testing.T) {
	const definition = "kind: CustomResourceDefinition"
	if strings.Contains(rendered(t), definition) {
		t.Error("rendered without being asked for")
	}
	if !strings.Contains(rendered(t, "--include-crds"), definition) {
		t.Error("not rendered")
	}
}

func TestMistakesAreErrors(t *testing.T) {
	for _, args := range [][]string{
		{}, {"install", "a", chartDir}, {"template", "a"}, {"template", "a", "/no/chart"},
		{"template", "a", chartDir, "--no-such-flag"}, {"template", "a", chartDir, "--set", "image.tag["},
	} {
		if err := run(args, &strings.Builder{}); err == nil {
			t.Errorf("%q succeeded", args)
		}
	}
}

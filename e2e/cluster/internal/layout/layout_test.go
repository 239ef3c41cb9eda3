package layout

import "testing"

func TestNamesThatAreNoLabelsAreRefused(t *testing.T) {
	for _, name := range []string{"", "..", "a/b", "Dev", "-a", "a-", "a.b", "a123456789012345678901234567890123"} {
		if l, err := New(t.TempDir(), name); err == nil {
			t.Errorf("%q gives %+v", name, l)
		}
	}
}

func TestCgroupsOfTwoCheckoutsDiffer(t *testing.T) {
	first, err := New(t.TempDir(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	second, err := New(t.TempDir(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	if first.Cgroup() == second.Cgroup() {
		t.Error(first.Cgroup())
	}
}

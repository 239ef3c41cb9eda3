package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissingControllersAreNamed(t *testing.T) {
	if err := requireControllers([]string{"cpu", "cpuset", "memory", "pids", "io"}); err != nil {
		t.Error(err)
	}
	err := requireControllers([]string{"cpu", "cpuset"})
	if err == nil || !strings.Contains(err.Error(), "memory, pids") {
		t.Errorf("error is %v", err)
	}
}

func TestTreesAreRemovedFromTheLeaves(t *testing.T) {
	top := filepath.Join(t.TempDir(), "group")
	if err := os.MkdirAll(filepath.Join(top, "kubepods", "burstable", "pod1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(top); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(top); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	if err := removeTree(top); err != nil {
		t.Errorf("removing nothing: %v", err)
	}
}

func TestOnlyKnownKernelSettingsAreRestored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sysctls.json")
	if err := RestoreSysctls(path); err != nil {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"../../etc/hostname": "x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RestoreSysctls(path); err != nil {
		t.Errorf("unknown setting: %v", err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if RestoreSysctls(path) == nil {
		t.Error("half a file was accepted")
	}
}

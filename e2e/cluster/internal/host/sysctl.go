package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// kubeletSysctls are the machine-wide settings that the kubelet changes when it starts.
var kubeletSysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// SaveSysctls writes to `path` the settings that the kubelet is going to change. A setting that
// has the kubelet's value already (perhaps from a second cluster) is left out.
func SaveSysctls(path string) error {
	saved := map[string]string{}
	for name, wanted := range kubeletSysctls {
		data, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil {
			continue // not in this kernel
		}
		if value := strings.TrimSpace(string(data)); value != wanted {
			saved[name] = value
		}
	}
	data, err := json.MarshalIndent(saved, "", "  ")
	if err != nil {
		return fmt.Errorf("encode kernel settings: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("save kernel settings: %w", err)
	}
	return nil
}

// RestoreSysctls puts back what SaveSysctls wrote; without that file it does nothing.
func RestoreSysctls(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read saved kernel settings: %w", err)
	}
	saved := map[string]string{}
	if err := json.Unmarshal(data, &saved); err != nil {
		return fmt.Errorf("parse saved kernel settings %s: %w", path, err)
	}
	errs := []error{}
	for name, value := range saved {
		if _, known := kubeletSysctls[name]; known {
			errs = append(errs, os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0))
		}
	}
	return errors.Join(errs...)
}

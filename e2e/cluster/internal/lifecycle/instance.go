// Package lifecycle brings clusters up and down and reaches into them from outside.
package lifecycle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

// ErrDown says that no cluster of that name runs.
var ErrDown = errors.New("cluster is not up")

// instance is the process that is PID 1 inside a cluster. The start time tells it from a later
// process with the same number.
type instance struct {
	PID       int    `json:"pid"`
	StartTime string `json:"startTime"`
}

// find returns the running cluster, or ErrDown.
func find(l layout.Layout) (instance, error) {
	data, err := os.ReadFile(l.Init())
	if errors.Is(err, fs.ErrNotExist) {
		return instance{}, fmt.Errorf("%w: %s; start it with `cluster up`", ErrDown, l.Name)
	}
	if err != nil {
		return instance{}, fmt.Errorf("read the cluster's record: %w", err)
	}
	var recorded instance
	if err := json.Unmarshal(data, &recorded); err != nil {
		return instance{}, fmt.Errorf("parse %s: %w", l.Init(), err)
	}
	if !recorded.alive() {
		return instance{}, fmt.Errorf("%w: %s has ended; see %s, then `cluster up`", ErrDown, l.Name, l.LogDir())
	}
	return recorded, nil
}

func record(l layout.Layout, pid int) (instance, error) {
	_, startTime, err := processStat(pid)
	if err != nil {
		return instance{}, err
	}
	started := instance{PID: pid, StartTime: startTime}
	data, err := json.Marshal(started)
	if err != nil {
		return instance{}, fmt.Errorf("encode the cluster's record: %w", err)
	}
	if err := os.WriteFile(l.Init(), data, 0o644); err != nil {
		return instance{}, fmt.Errorf("write the cluster's record: %w", err)
	}
	return started, nil
}

// alive is false also for a zombie: all processes of its namespace have ended by then.
func (i instance) alive() bool {
	state, startTime, err := processStat(i.PID)
	return err == nil && startTime == i.StartTime && state != "Z" && state != "X"
}

// namespace is the path of one of the cluster's namespaces, such as net.
func (i instance) namespace(kind string) string { return fmt.Sprintf("/proc/%d/ns/%s", i.PID, kind) }

// inside is a path as the cluster's own mounts show it.
func (i instance) inside(path string) string { return fmt.Sprintf("/proc/%d/root%s", i.PID, path) }

// processStat reads state and start time, fields 3 and 22 of /proc/PID/stat (proc(5)). The second
// field, the name in parentheses, may itself contain spaces and parentheses.
func processStat(pid int) (state, startTime string, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", "", fmt.Errorf("read process %d: %w", pid, err)
	}
	_, rest, _ := cutLast(string(data), ")")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return "", "", fmt.Errorf("read process %d: unknown format of stat", pid)
	}
	return fields[0], fields[19], nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	index := strings.LastIndex(text, separator)
	if index < 0 {
		return "", "", false
	}
	return text[:index], text[index+len(separator):], true
}

// lock keeps a second `up` or `down` of the same cluster waiting.
func lock(l layout.Layout) (unlock func(), err error) {
	file, err := os.OpenFile(l.Lock(), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the cluster's state: %w", err), file.Close())
	}
	return func() { file.Close() }, nil
}

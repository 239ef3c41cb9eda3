package lifecycle

import (
	"errors"
	"os"
	"testing"

	"pyroscope-operator.test/e2e/cluster/internal/layout"
)

func TestAnInstanceIsKnownByNumberAndStart(t *testing.T) {
	l, err := layout.New(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := find(l); !errors.Is(err, ErrDown) {
		t.Errorf("never started: %v", err)
	}
	if err := os.MkdirAll(l.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := record(l, os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if found, err := find(l); err != nil || found.PID != os.Getpid() {
		t.Errorf("found %+v, %v", found, err)
	}
	reused := instance{PID: os.Getpid(), StartTime: "1"}
	if reused.alive() {
		t.Error("a later process with the same number counts as the cluster")
	}
}

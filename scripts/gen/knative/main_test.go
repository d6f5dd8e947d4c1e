package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFilesAreUpToDate(t *testing.T) {
	made := t.TempDir()
	if err := generate(made); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"functions.yaml", "routes.yaml"} {
		want, err := os.ReadFile(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../../..", output, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: go run ./scripts/gen/knative writes it (-want +got):\n%s", name, diff)
		}
	}
}

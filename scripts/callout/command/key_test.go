package command_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (w *world) publicKey() string {
	w.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(signingKeys()[0].Public())
	if err != nil {
		w.t.Fatal(err)
	}
	return w.write("public.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestKeys(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		file := w.publicKey()
		if out := w.ok("key", "add", "beta", "--file", file); out != "target   beta (t2)\nkey      k1\ncreated  2000-01-01T00:00:03Z\n" {
			t.Errorf("printed %q", out)
		}
		wantSaid(t, w.ok("key", "add", "beta", "--file", file, "--activate", "--expires-in", "1h"), "k2", "active since  2000-01-01T00:00:03Z")
		state := func() (lines []string) {
			for line := range strings.Lines(w.ok("key", "list", "beta")) {
				f := strings.Fields(line)
				lines = append(lines, f[0]+" "+f[1]+" "+f[3])
			}
			return lines
		}
		if diff := cmp.Diff([]string{"KEY ACTIVE EXPIRES", "k1 no -", "k2 yes 2000-01-01T01:00:03Z"}, state()); diff != "" {
			t.Errorf("list (-want +got):\n%s", diff)
		}
		wantSaid(t, w.ok("key", "activate", "beta", "k1"), "target   beta (t2)\nkey      k1\nchanged  2000")
		wantSaid(t, strings.Join(state(), "\n"), "k1 yes", "k2 no")
		w.ok("key", "deactivate", "beta", "k1")
		wantSaid(t, strings.Join(state(), "\n"), "k1 no", "k2 no")
		wantSaid(t, w.ok("key", "remove", "beta", "k1"), "removed  2000-01-01T00:00:03Z")
		if got := state(); len(got) != 2 {
			t.Errorf("left are %v", got)
		}
		w.fails(2, []string{"key", "add", "beta"}, `"file"`)
		w.fails(2, []string{"key", "add", "beta", "--file", file, "--expires-in", "0s"}, "--expires-in")
		w.fails(1, []string{"key", "add", "beta", "--file", w.write("no.pem", []byte("x"))}, "Must be a PEM")
		w.fails(1, []string{"key", "list", "gamma"}, `"gamma"`)
	})
}

func TestTargetRotate(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		before := w.targets.get("alpha")
		out := w.ok("target", "rotate", "alpha")
		after := w.targets.get("alpha")
		wantSaid(t, out, "signs too for 24h0m0s", string(after.SigningKeys[0].Value))
		if before.SigningKeys[0].Value == after.SigningKeys[0].Value || len(after.SigningKeys) != 2 || after.Name != before.Name {
			t.Errorf("after it are %v", after)
		}
		w.ok("target", "rotate", "alpha", "--grace", "0s")
		if n := len(w.targets.get("alpha").SigningKeys); n != 1 {
			t.Errorf("%d keys are left", n)
		}
		w.fails(2, []string{"target", "rotate", "alpha", "--grace", (169 * time.Hour).String()}, "0s to 168h0m0s")
		w.fails(2, []string{"target", "rotate", "alpha", "--grace", "-1s"}, "--grace")
	})
}

func TestYAML(t *testing.T) {
	inWorld(t, func(w *world) {
		w.ok("target", "create", "--name", "yes", "--endpoint", "http://x/")
		want := `---
pagination:
    totalResult: "1"
    appliedLimit: "1000"
targets:
    - id: t1
      creationDate: "2000-01-01T00:00:00Z"
      changeDate: "2000-01-01T00:00:00Z"
      name: "yes"
`
		if out := w.ok("target", "list", "-o", "yaml"); !strings.HasPrefix(out, want) {
			t.Errorf("printed\n%s", out)
		}
		w.fails(2, []string{"target", "list", "-o", "xml"}, "table, json, yaml")
	})
}

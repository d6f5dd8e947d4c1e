package command_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/logging"
)

const (
	sealK1 = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	sealK2 = "k2:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
)

// installed is a whole installation in memory but for its data, and the command line beside it.
type installed struct {
	*world
	environ []string
}

// install runs an installation with these seal keys, and a test of it.
func install(t *testing.T, data, sealKeys string, test func(i installed)) {
	t.Helper()
	w := &world{t: t, data: data, env: map[string]string{}, listeners: map[string]*memnet.Listener{}}
	n := 0
	l, err := local.Start(t.Context(), local.Config{
		Listen: apiAddress, Firestore: "127.0.0.1:8081", PubSub: pubsubAddress, Issuer: issuerAddress, Data: data, EgressAllow: local.DefaultEgressAllow,
		Log: logging.Discard(), NewListener: func(address string) (net.Listener, error) { return w.listen(t.Context(), "tcp", address) },
		NewKey:  func() (*rsa.PrivateKey, error) { n++; return signingKeys()[n%2], nil },
		Environ: []string{"CALLOUT_SEAL_KEYS=" + sealKeys},
	})
	if err != nil {
		t.Fatal(err)
	}
	test(installed{w, []string{"GOOGLE_CLOUD_PROJECT=" + local.Project, "FIRESTORE_EMULATOR_HOST=127.0.0.1:8081", "PUBSUB_EMULATOR_HOST=" + pubsubAddress,
		"CALLOUT_SEAL_KEYS=" + sealKeys, "CALLOUT_EGRESS_ALLOW=" + local.DefaultEgressAllow}})
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// reseal runs the command.
func (i installed) reseal(args ...string) result {
	var out, errs bytes.Buffer
	p, _, _ := i.process("", append([]string{"reseal"}, args...)...)
	p.Environ, p.Out, p.Err = i.environ, &out, &errs
	code := command.Run(i.t.Context(), p)
	return result{code, out.String(), errs.String()}
}

func wantResult(t *testing.T, got, want result) {
	t.Helper()
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestReseal replaces a seal key as the documentation says, and no signing key is lost by it.
func TestReseal(t *testing.T) {
	signingKeys()
	synctest.Test(t, func(t *testing.T) {
		data := t.TempDir()
		var created string
		keyOf := func(i installed) string {
			for line := range strings.Lines(i.ok("target", "get", "a", "--show-key")) {
				if key, ok := strings.CutPrefix(line, "signing key"); ok {
					return strings.TrimSpace(key)
				}
			}
			return ""
		}
		install(t, data, sealK1, func(i installed) {
			wantResult(t, i.reseal(), result{out: "KEY ID  VALUES FOUND\n0 documents, 0 values sealed anew, 0 cannot be opened\n"})
			i.ok("target", "create", "--name", "a", "--endpoint", "http://127.0.0.1:9000/")
			i.ok("target", "create", "--name", "b", "--endpoint", "http://127.0.0.1:9000/")
			created = keyOf(i)
			wantResult(t, i.reseal("--dry-run"), result{out: "KEY ID  VALUES FOUND\nk1      2\n2 documents, 0 values to be sealed anew, 0 cannot be opened\n"})
		})
		install(t, data, sealK1+","+sealK2, func(i installed) { keyOf(i) })
		install(t, data, sealK2+","+sealK1, func(i installed) {
			keyOf(i)
			wantResult(t, i.reseal("--dry-run"), result{out: "KEY ID  VALUES FOUND\nk1      2\n2 documents, 2 values to be sealed anew, 0 cannot be opened\n"})
			i.ok("target", "rotate", "b", "--grace", "1h")
			wantResult(t, i.reseal(), result{out: "KEY ID  VALUES FOUND\nk1      1\nk2      2\n2 documents, 1 values sealed anew, 0 cannot be opened\n"})
			wantResult(t, i.reseal("--dry-run"), result{out: "KEY ID  VALUES FOUND\nk2      3\n2 documents, 0 values to be sealed anew, 0 cannot be opened\n"})
			if key := keyOf(i); key != created {
				t.Errorf("the signing key is %q, and was %q", key, created)
			}
			without := i
			without.environ = []string{"GOOGLE_CLOUD_PROJECT=" + local.Project, "FIRESTORE_EMULATOR_HOST=127.0.0.1:8081", "CALLOUT_SEAL_KEYS=" + sealK1}
			got := without.reseal("-o", "json")
			want := "{\n  \"documents\": 2,\n  \"keys\": {\n    \"k2\": 3\n  },\n  \"stale\": 0,\n  \"unreadable\": 3,\n  \"dryRun\": false\n}\n"
			if got.code != command.ExitFailed || got.out != want {
				t.Errorf("without the key: %+v", got)
			}
			wantSaid(t, got.err, "callout: instances/default/targets/", `no seal key has the id "k2"`, "3 values cannot be opened")
		})
		install(t, data, sealK2, func(i installed) {
			if key := keyOf(i); created == "" || key != created {
				t.Errorf("the signing key is %q in the end, and was %q", key, created)
			}
		})
	})
}

func TestResealWantsAnEnvironment(t *testing.T) {
	for name, tt := range map[string]struct {
		environ []string
		says    string
	}{
		"nothing":     {nil, "GOOGLE_CLOUD_PROJECT and CALLOUT_SEAL_KEYS must be set"},
		"no keys":     {[]string{"GOOGLE_CLOUD_PROJECT=p"}, "CALLOUT_SEAL_KEYS must be set"},
		"broken keys": {[]string{"GOOGLE_CLOUD_PROJECT=p", "CALLOUT_SEAL_KEYS=" + sealK1 + "," + sealK1}, "its id is given twice"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs bytes.Buffer
			code := command.Run(t.Context(), command.Process{Args: []string{"reseal"}, Err: &errs, Getenv: func(string) string { return "" }, Environ: tt.environ})
			if code != command.ExitUsage {
				t.Errorf("exit %d", code)
			}
			wantSaid(t, errs.String(), tt.says)
			if strings.Contains(errs.String(), sealK1[3:]) {
				t.Errorf("a key is told: %s", &errs)
			}
		})
	}
}

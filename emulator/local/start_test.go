package local_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/logging"
)

// quiet is an installation without any port but the API's.
func quiet(data string) local.Config {
	n := newNetwork()
	return local.Config{Listen: apiAddress, Data: data, Log: logging.Discard(), NewListener: n.listen, NewKey: nextKey()}
}

// What cannot be started says why in words, and leaves the folder as it is.
func TestStartRefuses(t *testing.T) {
	started := func(t *testing.T) string {
		t.Helper()
		data := filepath.Join(t.TempDir(), "data")
		l, err := local.Start(t.Context(), quiet(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		return data
	}
	tests := []struct {
		name   string
		config func(t *testing.T) local.Config
		want   string
	}{
		{"a lost seal key", func(t *testing.T) local.Config {
			data := started(t)
			if err := os.Remove(filepath.Join(data, "seal.key")); err != nil {
				t.Fatal(err)
			}
			return quiet(data)
		}, "seal.key is missing"},
		{"a damaged seal key", func(t *testing.T) local.Config {
			data := started(t)
			if err := os.WriteFile(filepath.Join(data, "seal.key"), []byte("k1:short"), 0o600); err != nil {
				t.Fatal(err)
			}
			return quiet(data)
		}, "put the right key back"},
		{"a damaged issuer file", func(t *testing.T) local.Config {
			data := started(t)
			if err := os.WriteFile(filepath.Join(data, "issuer.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			return quiet(data)
		}, "issuer.json"},
		{"a folder of another format", func(t *testing.T) local.Config {
			data := t.TempDir()
			if err := os.WriteFile(filepath.Join(data, "FORMAT"), []byte("something else\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return quiet(data)
		}, "unknown data format"},
		{"a folder in use", func(t *testing.T) local.Config {
			data := filepath.Join(t.TempDir(), "data")
			l, err := local.Start(t.Context(), quiet(data))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close(context.Background()) })
			return quiet(data)
		}, "in use by another process"},
		{"a bad variable", func(*testing.T) local.Config {
			c := quiet("")
			c.Environ = []string{"CALLOUT_SHARDS=none"}
			return c
		}, "CALLOUT_SHARDS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := local.Start(t.Context(), tt.config(t))
			if err == nil {
				_ = l.Close(context.Background())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}

func TestTakenPortIsAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := quiet("")
	c.NewListener, c.Listen, c.Firestore = nil, "127.0.0.1:0", taken.Addr().String()
	l, err := local.Start(t.Context(), c)
	if err == nil {
		_ = l.Close(context.Background())
	}
	if err == nil || !strings.Contains(err.Error(), "firestore: listen tcp") {
		t.Errorf("got %v", err)
	}
}

// Keys from the environment stand in for the file, and no file is made then.
func TestSealKeysFromTheEnvironment(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for range 2 {
		c := quiet(data)
		c.Environ = []string{"CALLOUT_SEAL_KEYS=k9:" + strings.Repeat("A", 43) + "="}
		l, err := local.Start(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(data, "seal.key")); !os.IsNotExist(err) {
		t.Errorf("seal.key: %v", err)
	}
}

// Another key than the data was sealed with is found out at the start, not by the first delivery.
func TestWrongSealKeyIsFoundAtTheStart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	withKey := func(letter string) local.Config {
		c := quiet(data)
		c.Issuer, c.EgressAllow = "127.0.0.1:8082", local.DefaultEgressAllow
		c.Environ = []string{"CALLOUT_SEAL_KEYS=k1:" + strings.Repeat(letter, 43) + "="}
		return c
	}
	first := withKey("A")
	n := newNetwork()
	first.NewListener = n.listen
	l, err := local.Start(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: n.dial}
	defer transport.CloseIdleConnections()
	api := caller{l.Info.API, tokenClient(t.Context(), &http.Client{Transport: transport}, l.Info, "admin")}
	api.route(t, endpoint(), orders)
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	l, err = local.Start(t.Context(), withKey("E"))
	if err == nil {
		_ = l.Close(context.Background())
	}
	if err == nil || !strings.Contains(err.Error(), "seal key") {
		t.Errorf("got %v", err)
	}
	if l, err = local.Start(t.Context(), withKey("A")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestInMemoryLeavesNothingBehind(t *testing.T) {
	l, err := local.Start(t.Context(), quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(l.File); err != nil {
		t.Error(err)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(l.File)); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", filepath.Dir(l.File), err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, change := range map[string]func(*local.Config){
		"-history":   func(c *local.Config) { c.History = -1 },
		"-functions": func(c *local.Config) { c.Functions = "bogus" },
	} {
		c := quiet("")
		change(&c)
		l, err := local.Start(t.Context(), c)
		if err == nil {
			_ = l.Close(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
}

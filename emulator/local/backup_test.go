package local_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/backup"
)

// askBackup asks for a backup with its token, as change wants it.
func (i *installation) askBackup(t *testing.T, change func(*http.Request)) (int, string, *http.Response) {
	t.Helper()
	request := bearerRequest(t, i.Info.Backup.URL, i.Info.Backup.Token)
	if change != nil {
		change(request)
	}
	response, err := i.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK {
		return response.StatusCode, "", response
	}
	defer response.Body.Close()
	var refusal struct {
		Message string `json:"message"`
	}
	if err := json.NewDecoder(response.Body).Decode(&refusal); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, refusal.Message, nil
}

func (i *installation) readBackup(t *testing.T, change func(*http.Request)) backup.Manifest {
	t.Helper()
	status, message, response := i.askBackup(t, change)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, message)
	}
	defer response.Body.Close()
	m, err := backup.Read(response.Body, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func inFolder(data string, more func(*local.Config)) func(*local.Config) {
	return func(c *local.Config) {
		c.Data = data
		if more != nil {
			more(c)
		}
	}
}

// A backup is for who has its own token, and for nothing that a browser sends.
func TestBackupIsGuarded(t *testing.T) {
	inBubble(t, inFolder(t.TempDir(), nil), func(t *testing.T, i *installation) {
		admin := i.token(t, "admin")
		header := func(name, value string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set(name, value) }
		}
		tests := map[string]struct {
			change func(*http.Request)
			status int
			says   string
		}{
			"no token":           {func(r *http.Request) { r.Header.Del("Authorization") }, 401, "local.json"},
			"a token of the API": {header("Authorization", "Bearer "+admin), 401, "local.json"},
			"half a token":       {header("Authorization", "Bearer "+i.Info.Backup.Token[:20]), 401, "local.json"},
			"another scheme":     {header("Authorization", "Basic "+i.Info.Backup.Token), 401, "local.json"},
			"a page":             {header("Origin", "http://127.0.0.1:8080"), 403, "browsers"},
			"a browser":          {header("Sec-Fetch-Site", "none"), 403, "browsers"},
			"another method":     {func(r *http.Request) { r.Method = http.MethodPost }, 405, ""},
			"another query":      {func(r *http.Request) { r.URL.RawQuery = "sealKey=0" }, 400, "sealKey=false"},
			"a path below":       {func(r *http.Request) { r.URL.Path += "/x" }, 404, ""},
		}
		for name, tt := range tests {
			if status, message, _ := i.askBackup(t, tt.change); status != tt.status || !strings.Contains(message, tt.says) {
				t.Errorf("%s: %d %q", name, status, message)
			}
		}
		preflight := func(r *http.Request) {
			r.Method = http.MethodOptions
			r.Header.Set("Origin", "http://x")
			r.Header.Set("Access-Control-Request-Method", "GET")
		}
		if status, _, _ := i.askBackup(t, preflight); status != http.StatusForbidden {
			t.Errorf("a preflight: %d", status)
		}
	})
}

// What is in it, and whether the seal key is.
func TestWhatABackupHolds(t *testing.T) {
	const given = "CALLOUT_SEAL_KEYS=k9:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=,k8:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
	tests := []struct {
		name     string
		config   func(*local.Config)
		change   func(*http.Request)
		included bool
		ids      string
	}{
		{"all of it", nil, nil, true, "k1"},
		{"without the seal key", nil, func(r *http.Request) { r.URL.RawQuery = "sealKey=false" }, false, "k1"},
		{"keys of the environment", func(c *local.Config) { c.Environ = []string{given} }, nil, false, "k9,k8"},
		{"functions elsewhere", func(c *local.Config) { c.Functions = "http://127.0.0.1:9090" }, nil, true, "k1"},
		{"no port but the API's", func(c *local.Config) { c.Firestore, c.PubSub, c.Issuer = "", "", "" }, nil, true, "k1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := t.TempDir()
			inBubble(t, inFolder(data, tt.config), func(t *testing.T, i *installation) {
				m := i.readBackup(t, tt.change)
				if m.SealKey.Included != tt.included || strings.Join(m.SealKey.IDs, ",") != tt.ids {
					t.Errorf("the seal key: %+v", m.SealKey)
				}
				if m.Callout == "" || m.Issuer == "" || m.API == "" || !m.Created.Equal(time.Now()) {
					t.Errorf("%+v", m)
				}
				if _, err := os.Stat(filepath.Join(data, "backup.tmp")); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("a copy is left: %v", err)
				}
			})
		})
	}
}

func TestNoBackupOfMemory(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		if status, message, _ := i.askBackup(t, nil); status != http.StatusConflict || !strings.Contains(message, "-data=") {
			t.Errorf("%d %q", status, message)
		}
	})
}

// fill makes a backup larger than what is under way on a connection.
func (i *installation) fill(t *testing.T) {
	t.Helper()
	api := caller{i.Info.API, i.as(t.Context(), "admin")}
	for range 3 {
		api.must(t, 202, "POST", "/v1/events", map[string]any{"event_type": "big.one", "event_payload": strings.Repeat(rand.Text(), 4000) + rand.Text()})
		noise := make([]byte, 200_000)
		_, _ = rand.Read(noise)
		api.must(t, 202, "POST", "/v1/events", map[string]any{"event_type": "big.one", "event_payload": noise})
	}
}

// One at a time, and each has an end: a client that stalls is left, and one that leaves is gone.
func TestBackupHasAnEnd(t *testing.T) {
	data := t.TempDir()
	inBubble(t, inFolder(data, nil), func(t *testing.T, i *installation) {
		i.fill(t)
		_, _, stalled := i.askBackup(t, nil)
		settle(50 * time.Second)
		if status, message, _ := i.askBackup(t, nil); status != http.StatusConflict || !strings.Contains(message, "another backup") {
			t.Errorf("a second one: %d %q", status, message)
		}
		settle(11 * time.Second)
		wantBrokenOff(t, data, stalled)

		ctx, leave := context.WithCancel(t.Context())
		if status, _, _ := i.askBackup(t, func(r *http.Request) { *r = *r.WithContext(ctx) }); status != http.StatusOK {
			t.Fatalf("after one that was broken off: %d", status)
		}
		leave()
		synctest.Wait()
		i.readBackup(t, nil)
	})
}

// Who stops the installation does not wait for a client that has stalled.
func TestStopBreaksABackupOff(t *testing.T) {
	data := t.TempDir()
	if _, err := keys(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c, n := quiet(data), newNetwork()
		c.NewListener, c.Issuer = n.listen, "127.0.0.1:8082"
		l, err := local.Start(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{DialContext: n.dial}
		defer transport.CloseIdleConnections()
		i := &installation{Local: l, net: n, client: &http.Client{Transport: transport}}
		i.fill(t)
		_, _, last := i.askBackup(t, nil)
		began := time.Now()
		if err := l.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop waited %v for a backup", took)
		}
		wantBrokenOff(t, data, last)
	})
}

// wantBrokenOff reads what came to its end, and wants no copy in the folder.
func wantBrokenOff(t *testing.T, data string, response *http.Response) {
	t.Helper()
	if _, err := backup.Read(response.Body, nil); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("read to its end: %v", err)
	}
	response.Body.Close()
	synctest.Wait()
	if _, err := os.Stat(filepath.Join(data, "backup.tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a copy is left: %v", err)
	}
}

// What a crash left is gone after the next start.
func TestBackupIsSweptAtTheStart(t *testing.T) {
	data := t.TempDir()
	left := filepath.Join(data, "backup.tmp", "store")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "000001.sst"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inBubble(t, inFolder(data, nil), func(t *testing.T, i *installation) {
		if _, err := os.Stat(filepath.Dir(left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it is left: %v", err)
		}
	})
}

// A restore that was killed has everything but FORMAT.
func TestStartRefusesHalfARestore(t *testing.T) {
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "FORMAT.new"), []byte("callout-data 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := local.Start(t.Context(), quiet(data))
	if err == nil {
		_ = l.Close(context.Background())
	}
	if err == nil || !strings.Contains(err.Error(), "restore again") {
		t.Errorf("got %v", err)
	}
}

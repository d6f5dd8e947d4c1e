package command_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/backup"
	"github.com/callout-dev/callout/shared/logging"
)

// machine is an installation on a data folder, in a network of its own, and a receiver that is ill or well.
type machine struct {
	*world
	well atomic.Bool

	mu  sync.Mutex
	got map[string]bool // ids of the events that were answered with 200
}

// onMachine runs an installation while test does.
func onMachine(t *testing.T, data string, environ []string, test func(m *machine)) {
	t.Helper()
	m := &machine{world: &world{t: t, data: data, env: map[string]string{}, listeners: map[string]*memnet.Listener{}}, got: map[string]bool{}}
	targets := &http.Transport{DialContext: m.dial}
	defer targets.CloseIdleConnections()
	n := 0
	l, err := local.Start(t.Context(), local.Config{
		Listen: apiAddress, Issuer: issuerAddress, Data: data, EgressAllow: local.DefaultEgressAllow, Log: logging.Discard(), Environ: environ,
		NewListener: func(address string) (net.Listener, error) { return m.listen(t.Context(), "tcp", address) },
		NewKey:      func() (*rsa.PrivateKey, error) { n++; return signingKeys()[n%2], nil },
		Targets:     &http.Client{Transport: targets},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	m.serve(listenAddress, http.HandlerFunc(m.receive))
	test(m)
}

func (m *machine) receive(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ill" && !m.well.Load() {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got[r.Header.Get("webhook-id")] = true
}

func (m *machine) has(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got[id]
}

// counts are the deliveries by state.
func (m *machine) counts(token string) map[string]int {
	m.t.Helper()
	request, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, "http://"+apiAddress+"/v1/deliveries/search", strings.NewReader(`{"counts":true,"pageSize":1}`))
	if err != nil {
		m.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DialContext: m.dial}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Counts map[string]int `json:"counts"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		m.t.Fatal(response.Status, err)
	}
	return answer.Counts
}

// TestBackupAndRestore backs up an installation to which events come all the time, restores it elsewhere and starts it: it is the same
// installation, it has all that was acknowledged before the backup began, and it delivers what was still to be delivered.
func TestBackupAndRestore(t *testing.T) {
	signingKeys()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		data, file, keyless := filepath.Join(dir, "data"), filepath.Join(dir, "b"), filepath.Join(dir, "keyless")
		var token, key string
		var acked []string
		onMachine(t, data, nil, func(m *machine) {
			m.ok("target", "create", "--name", "good", "--endpoint", "http://"+listenAddress+"/")
			m.ok("target", "create", "--name", "ill", "--endpoint", "http://"+listenAddress+"/ill")
			m.ok("execution", "set", "event/order.created", "good", "ill")
			token, key = strings.TrimSpace(m.ok("token")), m.ok("target", "get", "good", "--show-key")
			publish := func(id string) { m.ok("event", "publish", "order.created", "--id", id, "--token", token) }
			for n := range 8 {
				acked = append(acked, fmt.Sprint("o", n))
				publish(acked[n])
			}
			time.Sleep(20 * time.Second)
			var more sync.WaitGroup
			stop := make(chan struct{})
			for w := range 2 {
				more.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						default:
							publish(fmt.Sprint("more", w, "-", n))
						}
					}
				})
			}
			made := m.run("backup", file)
			close(stop)
			more.Wait()
			wantKey(t, made, true)
			wantKey(t, m.run("backup", keyless, "--without-seal-key"), false)
		})
		sealKey, err := os.ReadFile(filepath.Join(data, "seal.key"))
		if err != nil {
			t.Fatal(err)
		}
		nowhere := &world{t: t, env: map[string]string{}}
		restore := func(file, name string, included bool, says ...string) string {
			to := filepath.Join(dir, name)
			r := nowhere.run("restore", file, "--data", to)
			wantKey(t, r, included)
			wantSaid(t, r.out, append(says, "-data "+to, "-issuer "+issuerAddress)...)
			return to
		}
		onMachine(t, restore(file, "restored", true), nil, func(m *machine) {
			if again := m.ok("target", "get", "good", "--show-key", "--token", token); again != key {
				t.Errorf("the target was\n%s\nand is\n%s", key, again)
			}
			m.well.Store(true)
			time.Sleep(20 * time.Minute)
			counts := m.counts(strings.TrimSpace(m.ok("token")))
			if counts["pending"]+counts["retrying"]+counts["dead"]+counts["skipped"] > 0 || counts["delivered"] < 2*len(acked) || counts["delivered"]%2 > 0 {
				t.Errorf("the ledger: %v", counts)
			}
			for _, id := range acked {
				if !m.has(id) { // from the target that was ill
					t.Errorf("%s was not delivered after the restore", id)
				}
			}
		})
		environ := []string{"CALLOUT_SEAL_KEYS=" + strings.TrimSpace(string(sealKey))}
		onMachine(t, restore(keyless, "with a key", false, "put the seal key into", "CALLOUT_SEAL_KEYS"), environ, func(m *machine) {
			if again := m.ok("target", "get", "good", "--show-key"); again != key {
				t.Errorf("the target was\n%s\nand with its key from the environment is\n%s", key, again)
			}
		})
	})
}

// wantKey wants a result to say whether the seal key is in a backup.
func wantKey(t *testing.T, r result, included bool) {
	t.Helper()
	if r.code != command.ExitFine {
		t.Fatalf("%+v", r)
	}
	if included {
		wantSaid(t, r.out, "The seal key is in it (key k1)")
	} else {
		wantSaid(t, r.err, "THE SEAL KEY IS NOT IN THIS BACKUP", "without key k1")
	}
}

// aBackup is one of an installation of which there is nothing but that.
func aBackup(t *testing.T) []byte {
	t.Helper()
	var file bytes.Buffer
	about := backup.Manifest{Callout: "0.1.0", Created: time.Now(), API: "http://" + apiAddress, Issuer: "http://" + issuerAddress, SealKey: backup.SealKey{IDs: []string{"k1"}}}
	folder := fstest.MapFS{"FORMAT": {Data: []byte("callout-data 1\n")}, "issuer.json": {Data: []byte("{}")}, "seal.key": {Data: []byte("k1:x\n")},
		"store/MANIFEST-000001": {Data: []byte(strings.Repeat("x", 1000))}}
	if err := backup.Write(&file, about, folder); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// serving is a machine whose emulator is only a handler.
func serving(t *testing.T, handler http.HandlerFunc) *world {
	t.Helper()
	w := &world{t: t, data: t.TempDir(), env: map[string]string{}, listeners: map[string]*memnet.Listener{}}
	w.serve(apiAddress, handler)
	w.writeLocal(map[string]any{"backup": map[string]string{"url": "http://" + apiAddress + "/emulator/v1/backup", "token": "secret"}})
	return w
}

// Whatever goes wrong, there is no file afterwards, under any name, and it says why.
func TestBackupFails(t *testing.T) {
	file := aBackup(t)
	answer := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); fmt.Fprint(w, text) }
	}
	flipped := bytes.Clone(file)
	flipped[len(file)/2] ^= 1
	tests := []struct {
		name   string
		answer http.HandlerFunc
		says   string
	}{
		{"refused", answer(http.StatusConflict, `{"code":10,"message":"another backup is being made"}`), "another backup is being made"},
		{"an older emulator", answer(http.StatusNotFound, `{"code":5,"message":"Not Found"}`), "makes no backups"},
		{"another program", answer(http.StatusBadGateway, "<html>"), "makes no backups"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/", http.StatusFound)
		}, "makes no backups"},
		{"something else", answer(http.StatusOK, "hello"), "damaged or incomplete"},
		{"nothing", answer(http.StatusOK, ""), "damaged or incomplete"},
		{"half, and an end", answer(http.StatusOK, string(file[:len(file)/2])), "damaged or incomplete"},
		{"changed", answer(http.StatusOK, string(flipped)), "damaged or incomplete"},
		{"half, and no end", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(file[:len(file)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "broke off"},
		{"half, and then silence", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(file[:len(file)/2])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "does not answer in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				w := serving(t, tt.answer)
				w.fails(command.ExitFailed, []string{"backup", filepath.Join(dir, "b")}, tt.says)
				w.fails(command.ExitFailed, []string{"backup", "-"}, tt.says)
				wantEmpty(t, dir)
			})
		})
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v %v is left", err, left)
	}
}

func TestBackupToWhereItCannot(t *testing.T) {
	file := aBackup(t)
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		w := serving(t, func(w http.ResponseWriter, r *http.Request) {
			asked++
			if r.Header.Get("Authorization") != "Bearer secret" || r.URL.RawQuery != "" && r.URL.RawQuery != "sealKey=false" {
				t.Errorf("%s %s", r.URL, r.Header)
			}
			_, _ = w.Write(file)
		})
		dir := t.TempDir()
		there := filepath.Join(dir, "there")
		if err := os.WriteFile(there, []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.fails(command.ExitFailed, []string{"backup", there}, "overwrites nothing")
		w.fails(command.ExitFailed, []string{"backup", filepath.Join(dir, "none", "b")}, "no such file")
		if text, err := os.ReadFile(there); err != nil || string(text) != "kept" || asked > 0 {
			t.Errorf("%q %v, asked %d times", text, err, asked)
		}
		full, _, errs := w.process("", "backup", "-")
		full.Out = writerFunc(func([]byte) (int, error) { return 0, errors.New("no space left on device") })
		if code := command.Run(t.Context(), full); code != command.ExitFailed {
			t.Errorf("exit %d", code)
		}
		wantSaid(t, errs.String(), "no space left on device")

		r := w.run("backup", "-", "--without-seal-key")
		if r.code != command.ExitFine || r.out != string(file) {
			t.Errorf("exit %d, %d bytes of %d", r.code, len(r.out), len(file))
		}
		wantSaid(t, r.err, "The backup is whole", "The seal key is in it") // as the file says, and not as was asked
		t.Chdir(dir)
		wantSaid(t, w.ok("backup"), "callout-20000101T000000Z.tar.zst is whole")
		info, err := os.Stat("callout-20000101T000000Z.tar.zst")
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 2 {
			t.Errorf("there is %v", left)
		}
		w.data = t.TempDir()
		w.fails(command.ExitFailed, []string{"backup", "c"}, "there is no "+w.data)
		w.writeLocal(map[string]any{"api": "http://" + apiAddress, "issuer": "x"})
		w.fails(command.ExitFailed, []string{"backup", "c"}, "says nothing about backups")
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Who interrupts a backup or a restore has nothing of it.
func TestInterrupted(t *testing.T) {
	file := aBackup(t)
	synctest.Test(t, func(t *testing.T) {
		w := serving(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(file[:len(file)/2])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		dir := t.TempDir()
		for _, args := range [][]string{{"backup", filepath.Join(dir, "b")}, {"restore", "-", "--data", filepath.Join(dir, "d")}} {
			ctx, stop := context.WithCancel(t.Context())
			p, _, errs := w.process("", args...)
			parts := make(chan []byte, 3)
			parts <- file[:len(file)/3]
			p.In = readerFunc(func(b []byte) (int, error) { return copy(b, <-parts), nil })
			done := make(chan int)
			go func() { done <- command.Run(ctx, p) }()
			synctest.Wait()
			stop()
			parts <- file[len(file)/3 : len(file)/2]
			parts <- file[len(file)/2:]
			if code := <-done; code != command.ExitFailed {
				t.Errorf("exit %d", code)
			}
			wantSaid(t, errs.String(), "interrupted")
			wantEmpty(t, dir)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestRestore(t *testing.T) {
	w := &world{t: t, data: filepath.Join(t.TempDir(), "data"), env: map[string]string{}}
	dir := t.TempDir()
	whole, half := filepath.Join(dir, "whole"), filepath.Join(dir, "half")
	file := aBackup(t)
	for name, content := range map[string][]byte{whole: file, half: file[:len(file)-1]} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, more := range [][]string{nil, {"--verify"}} {
		w.fails(command.ExitFailed, append([]string{"restore", half}, more...), "damaged or incomplete")
		w.fails(command.ExitUsage, append([]string{"restore", filepath.Join(dir, "none")}, more...), "no such file")
	}
	wantSaid(t, w.ok("restore", "--verify", whole), "whole is whole", "The seal key is in it")
	if _, err := os.Stat(w.data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v", w.data, err)
	}
	var told struct {
		Files   int            `json:"files"`
		SealKey backup.SealKey `json:"sealKey"`
	}
	if err := json.Unmarshal([]byte(w.ok("restore", whole, "-o", "json")), &told); err != nil || told.Files != 4 || !told.SealKey.Included {
		t.Errorf("%+v %v", told, err)
	}
	if key, err := os.ReadFile(filepath.Join(w.data, "seal.key")); err != nil || string(key) != "k1:x\n" {
		t.Errorf("%q %v", key, err)
	}
	w.fails(command.ExitFailed, []string{"restore", whole}, "is not empty")
	if r := w.runWith(string(file), "restore", "-", "--data", filepath.Join(dir, "piped")); r.code != command.ExitFine {
		t.Errorf("%+v", r)
	}
}

// Package node_test is what Node's official clients of Firestore and Pub/Sub ask of the embedded servers, and the reference system's Node
// clients of the API, over TCP: testdata has the tests.
package node_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/shared/logging"
)

// TestNodesClients needs Node.js and packages that are not Go's, so it is CALLOUT_NODE_CLIENTS=1 that runs it.
func TestNodesClients(t *testing.T) {
	if os.Getenv("CALLOUT_NODE_CLIENTS") == "" {
		t.Skip("set CALLOUT_NODE_CLIENTS=1; it needs node and npm, and downloads packages")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts")
	tests := []struct {
		name, file string
		register   func(t *testing.T, store *storage.Store, g *grpc.Server)
		host       string
		env        []string
	}{
		{"Firestore", "firestore.test.js", registerFirestore(false), "FIRESTORE_EMULATOR_HOST", nil},
		{"Firestore that wants production's indexes", "firestore.test.js", registerFirestore(true), "FIRESTORE_EMULATOR_HOST", []string{"STRICT=1"}},
		{"Pub/Sub", "pubsub.test.js", registerPubSub, "PUBSUB_EMULATOR_HOST", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := listen(t, tt.register)
			run(t, dir, append(tt.env, tt.host+"="+address), "node", "--test", "--test-reporter=spec", tt.file)
		})
	}
	t.Run("The API, by the reference's clients", func(t *testing.T) { apiTests(t, dir) })
	t.Run("Standard Webhooks", func(t *testing.T) {
		vectors, err := filepath.Abs("../../../shared/signature/testdata/vectors.json")
		if err != nil {
			t.Fatal(err)
		}
		run(t, dir, []string{"CALLOUT_VECTORS=" + vectors}, "node", "--test", "--test-reporter=spec", "webhooks.test.mjs")
	})
}

// apiTests are those of the reference system's clients: a service account's key file from the local issuer is all that they are given.
func apiTests(t *testing.T, dir string) {
	l, err := local.Start(t.Context(), local.Config{Listen: "127.0.0.1:0", Issuer: "127.0.0.1:0", Data: t.TempDir(), EgressAllow: local.DefaultEgressAllow, Log: logging.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	env := []string{"CALLOUT_API=" + l.Info.API, "CALLOUT_ISSUER=" + l.Info.Issuer, "CALLOUT_KEY_FILE=" + l.Info.ServiceAccount}
	run(t, dir, env, "node", "--test", "--test-reporter=spec", "zitadel.test.mjs")
}

// run runs a command for five minutes at most, and logs what it printed.
func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	timer := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func registerFirestore(strict bool) func(*testing.T, *storage.Store, *grpc.Server) {
	return func(t *testing.T, store *storage.Store, g *grpc.Server) {
		s, err := firestore.New(firestore.Options{Store: store, Strict: strict, Indexes: new(firestore.Indexes), History: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		s.Register(g)
		t.Cleanup(s.Close)
	}
}

func registerPubSub(t *testing.T, store *storage.Store, g *grpc.Server) {
	s, err := pubsub.New(store, pubsub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Register(g)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// listen serves on a port until the test ends.
func listen(t *testing.T, register func(*testing.T, *storage.Store, *grpc.Server)) string {
	t.Helper()
	store, err := storage.Open(storage.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	g := grpc.NewServer(grpc.MaxRecvMsgSize(pubsub.MaxRequestBytes), grpc.MaxSendMsgSize(pubsub.MaxRequestBytes))
	register(t, store, g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	return l.Addr().String()
}

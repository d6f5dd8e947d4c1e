package firestore_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	server "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/storage"
)

const googlesModule = "cloud.google.com/go/firestore"

// What Google's suite does not pass on any emulator, and why.
var (
	// It skips query profiling wherever FIRESTORE_EMULATOR_HOST is set.
	googleSkips = []string{"AggregationQueries_WithRunOptions", "GetAll_WithRunOptions", "Query_WithRunOptions", "RunTransaction_WithRunOptions"}
	// It wants a client with a missing credentials file to be an error, but where that variable is set NewClient brings its own
	// connection, and the file is not looked for. No request leaves the client.
	googleFails = []string{"NewClientWithDatabase"}
)

// TestGooglesSuite runs the integration tests that Google has for its client, as they are in the module cache. They need modules that
// this one does not, so it is CALLOUT_GOOGLE_SUITE=1 that runs it.
func TestGooglesSuite(t *testing.T) {
	if os.Getenv("CALLOUT_GOOGLE_SUITE") == "" {
		t.Skip("set CALLOUT_GOOGLE_SUITE=1; it downloads modules")
	}
	address := os.Getenv("FIRESTORE_EMULATOR_HOST")
	if ours {
		address = listen(t, googleIndexes())
	}
	dir := t.TempDir()
	list, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", googlesModule).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(strings.TrimSpace(string(list)))); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "test", "-mod=mod", "-json", "-count=1", "-timeout=9m", "-run=^TestIntegration_DefaultDB$", ".")
	run.Dir = dir
	run.Env = append(os.Environ(), "FIRESTORE_EMULATOR_HOST="+address, "GCLOUD_TESTS_GOLANG_FIRESTORE_PROJECT_ID="+project(),
		"GCLOUD_TESTS_GOLANG_FIRESTORE_KEY="+serviceAccount(t))
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, _ := run.Output() // that a test failed is in there
	ended, said := map[string][]string{}, map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var e struct{ Action, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		said[e.Test] += e.Output
		if _, name, ok := strings.Cut(e.Test, "/"); ok && !strings.Contains(name, "/") {
			ended[e.Action] = append(ended[e.Action], name)
		}
	}
	slices.Sort(ended["skip"])
	t.Logf("%d pass, skipped: %v, failed: %v", len(ended["pass"]), ended["skip"], ended["fail"])
	if len(ended["run"]) != 52 {
		t.Fatalf("%d tests ran, want 52\n%s%s", len(ended["run"]), &stderr, said[""])
	}
	for action, want := range map[string][]string{"skip": googleSkips, "fail": googleFails} {
		if diff := cmp.Diff(want, ended[action]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", action, diff)
		}
	}
	for _, name := range ended["fail"] {
		t.Logf("%s", said["TestIntegration_DefaultDB/"+name])
	}
}

// googleIndexes are the composite indexes of the project that Google runs the suite in; without any other, as one test wants, queries
// are refused.
func googleIndexes() *server.Indexes {
	x := new(server.Indexes)
	for _, fields := range [][]string{{"updatedAt", "weight", "height"}, {"weight", "height"}, {"x", "testNull", "q"}, {"x", "testNaN", "q"}} {
		c := server.Composite{Collection: "indexed_collection", Scope: server.CollectionScope}
		for _, f := range fields {
			c.Fields = append(c.Fields, server.IndexField{Path: f, Mode: server.Ascending})
		}
		x.Composites = append(x.Composites, c)
	}
	return x
}

// listen starts a strict server on a port.
func listen(t *testing.T, indexes *server.Indexes) string {
	t.Helper()
	store, err := storage.Open(storage.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Store: store, Indexes: indexes, Strict: true, History: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(11 << 20))
	s.Register(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		s.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// serviceAccount is a file of one that nobody knows.
func serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": project(), "private_key_id": "1", "client_email": "test@" + project() + ".iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "http://127.0.0.1:1/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(file, account, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

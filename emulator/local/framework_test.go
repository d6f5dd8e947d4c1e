package local_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/logging"
)

// A function that the functions framework serves, as it does where a platform builds from source: registered by its import, named by
// FUNCTION_TARGET, configured by the environment, clients opened when the first request comes.
func TestFunctionsFrameworkServesAFunction(t *testing.T) {
	const free = "127.0.0.1:0"
	data := filepath.Join(t.TempDir(), "data")
	l, err := local.Start(t.Context(), local.Config{
		Listen: free, Firestore: free, PubSub: free, Issuer: free, Data: data, Functions: "http://127.0.0.1:1", Log: logging.Discard(), NewKey: nextKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	sealKey, err := os.ReadFile(filepath.Join(data, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range l.Environment() {
		name, value, _ := strings.Cut(variable, "=")
		if name == "CALLOUT_SEAL_KEYS" {
			value = strings.TrimSpace(string(sealKey))
		}
		t.Setenv(name, value)
	}
	t.Setenv("FUNCTION_TARGET", "targets")
	port := freePort(t)
	go func() { _ = funcframework.StartHostPort("127.0.0.1", port) }() // it has no way to stop

	api := caller{"http://127.0.0.1:" + port, tokenClient(t.Context(), http.DefaultClient, l.Info, "admin")}
	waitForPort(t, port)
	created := api.must(t, 200, "POST", "/v2/actions/targets", map[string]any{
		"name": "framework", "restAsync": map[string]any{}, "timeout": "1s", "endpoint": "https://192.0.2.1/",
	})
	got := api.must(t, 200, "GET", "/v2/actions/targets/"+created["id"].(string), nil)["target"].(map[string]any)
	if got["name"] != "framework" || got["signingKey"] != created["signingKey"] {
		t.Errorf("got %v", got)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func waitForPort(t *testing.T, port string) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(30 * time.Second)
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("nobody listens on %s: %v", port, err)
		}
	}
}

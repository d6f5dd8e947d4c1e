package local_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/local"
)

// The official client and HTTP/1.1 meet the same database on the same port.
func TestFirestorePort(t *testing.T) {
	c := quiet("")
	c.NewListener, c.Listen, c.Firestore = nil, "127.0.0.1:0", "127.0.0.1:0"
	l, err := local.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient(l.Info.Firestore, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client, err := firestore.NewClient(t.Context(), "another", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if _, err := client.Doc("c/x").Set(t.Context(), map[string]any{"n": 1}); err != nil {
		t.Fatal(err)
	}
	ask := func(method, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Info.Firestore+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if code, body := ask("GET", "/"); code != http.StatusOK || body != "Ok\n" {
		t.Errorf("/: got %d, %q", code, body)
	}
	if code, body := ask("GET", "/metrics"); code != http.StatusOK || !strings.Contains(body, `firestore_calls_total{code="OK",method="Commit"} `) {
		t.Errorf("/metrics: got %d, %s", code, body)
	}
	const documents = "/emulator/v1/projects/another/databases/(default)/documents"
	if code, body := ask("DELETE", documents); code != http.StatusOK {
		t.Errorf("clear: got %d, %s", code, body)
	}
	if _, err := client.Doc("c/x").Get(t.Context()); status.Code(err) != codes.NotFound {
		t.Errorf("after the clear: %v", err)
	}
}

package local_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// received is one request that a target got.
type received struct {
	Path   string
	Header http.Header
	Body   []byte
}

// event reads the body as the reference's event payload.
func (r received) event(t *testing.T) eventBody {
	t.Helper()
	var e eventBody
	if err := json.Unmarshal(r.Body, &e); err != nil {
		t.Fatalf("body is not JSON: %v: %q", err, r.Body)
	}
	return e
}

type eventBody struct {
	AggregateID   string          `json:"aggregateID"`
	AggregateType string          `json:"aggregateType"`
	InstanceID    string          `json:"instanceID"`
	Type          string          `json:"event_type"`
	CreatedAt     string          `json:"created_at"`
	Payload       json.RawMessage `json:"event_payload"`
}

// verify checks every signature header with nothing but the standard library, from the specification's words.
func (r received) verify(key string) error {
	reference := r.Header.Get("ZITADEL-Signature")
	if reference == "" || reference != r.Header.Get("X-ZITADEL-Signature") {
		return fmt.Errorf("the two reference headers differ or are missing")
	}
	var stamp, v1 string
	if _, err := fmt.Sscanf(strings.Replace(reference, ",", " ", 1), "t=%s v1=%s", &stamp, &v1); err != nil {
		return fmt.Errorf("reference header %q: %v", reference, err)
	}
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s.%s", stamp, r.Body)
	if want := hex.EncodeToString(mac.Sum(nil)); v1 != want {
		return fmt.Errorf("reference signature %s, want %s", v1, want)
	}
	mac = hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), r.Body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
		return fmt.Errorf("standard signature %s, want %s", r.Header.Get("webhook-signature"), want)
	}
	return nil
}

// receiver is a target that keeps what it gets. Answer decides the status; nil means 200.
type receiver struct {
	Answer func(n int, r received) int

	mu  sync.Mutex
	got []received
	all chan received
}

// receive serves a receiver on a listener until the test ends.
func receive(t *testing.T, l net.Listener, answer func(n int, r received) int) *receiver {
	t.Helper()
	r := &receiver{Answer: answer, all: make(chan received, 10_000)}
	server := &http.Server{Handler: r}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	got := received{Path: request.URL.Path, Header: request.Header.Clone(), Body: body}
	r.mu.Lock()
	r.got = append(r.got, got)
	n := len(r.got)
	r.mu.Unlock()
	status := http.StatusOK
	if r.Answer != nil {
		status = r.Answer(n, got)
	}
	w.WriteHeader(status)
	r.all <- got
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

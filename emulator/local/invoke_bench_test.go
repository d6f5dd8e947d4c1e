package local_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/hook"
	"github.com/callout-dev/callout/shared/signature"
)

// BenchmarkInvoke calls one target through the function invoke, beside a bare signed POST to it, and beside two programs in invoke's place, in
// turn. The relay only passes a POST on, signed. The floor does besides what nothing in this place can leave out: it knows the caller by the
// token's hash, reads the question, and writes the answer; it is asked with the same client. x is how many times the bare one's median invoke
// takes, and floor-x how many times the floor's. The bar is a floor-x of 1.5. The floor alone takes 2.2 times what a bare POST does, so that
// few microseconds are left between it and a bar of 2.3 for x: for routes, deadlines, limits, checks of the answer, request ids, logs, metrics
// and traces. Host, installation, the programs and the target are a process each, as they are in life, and speak over loopback TCP.
func BenchmarkInvoke(b *testing.B) {
	emulator, data := filepath.Join(b.TempDir(), "emulator"), filepath.Join(b.TempDir(), "data")
	compile(b, emulator, "github.com/callout-dev/callout/emulator")
	const free = "127.0.0.1:0"
	launch(b, nil, "Callout is ready", emulator, "-data", data, "-listen", free, "-firestore", free, "-pubsub", free, "-issuer", free)
	h := hookingOf(b, readInfo(b, data), part(b, "target"))
	token, err := h.tokens.Token()
	if err != nil {
		b.Fatal(err)
	}
	relay := part(b, "relay", "CALLOUT_KEY="+h.key, "CALLOUT_TARGET="+h.target)
	floor := hook.Remote(part(b, "floor", "CALLOUT_KEY="+h.key, "CALLOUT_TARGET="+h.target, "CALLOUT_TOKEN="+token.AccessToken), h.tokens, poster())
	client, relayed := poster(), poster()
	ways := []func() error{
		func() error { return h.invoke(b.Context(), "Fast") },
		func() error { return h.post(b.Context(), client, h.target+"/fast") },
		func() error { return h.post(b.Context(), relayed, relay) },
		func() error { return askHook(b.Context(), floor, "Fast") },
	}
	took := make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, way := range ways {
			began := time.Now()
			if err := way(); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	invoke, bare, relay50, floor50 := at(took[0], 50), at(took[1], 50), at(took[2], 50), at(took[3], 50)
	b.ReportMetric(float64(invoke.Microseconds()), "invoke-p50-µs")
	b.ReportMetric(float64(bare.Microseconds()), "bare-p50-µs")
	b.ReportMetric(float64(invoke)/float64(bare), "x")
	b.ReportMetric(float64(relay50)/float64(bare), "relay/bare-x")
	b.ReportMetric(float64(floor50)/float64(bare), "floor/bare-x")
	b.ReportMetric(float64(invoke)/float64(floor50), "floor-x")
}

// part starts this program once more, as one of the parts of BenchmarkInvoke, and returns its URL.
func part(b *testing.B, name string, environ ...string) string {
	return launch(b, append(environ, "CALLOUT_PART="+name), "http://", os.Args[0], "-test.run=^TestPart$").line
}

// TestPart is the target, the relay or the floor of BenchmarkInvoke, in a process of its own.
func TestPart(t *testing.T) {
	h := hooking{key: os.Getenv("CALLOUT_KEY"), target: os.Getenv("CALLOUT_TARGET")}
	parts := map[string]http.Handler{
		"target": http.HandlerFunc(answerHook),
		"relay":  &relay{h, poster()},
		"floor":  &floor{h, poster(), map[[sha256.Size]byte]bool{sha256.Sum256([]byte("Bearer " + os.Getenv("CALLOUT_TOKEN"))): true}},
	}
	handler, ok := parts[os.Getenv("CALLOUT_PART")]
	if !ok {
		t.Skip("runs within BenchmarkInvoke")
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	server := httptest.NewServer(handler)
	defer server.Close()
	fmt.Println(server.URL)
	<-ctx.Done()
}

func poster() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
}

// post is a signed POST of what a target gets.
func (h *hooking) post(ctx context.Context, client *http.Client, url string) error {
	_, err := h.exchange(ctx, client, url, frame(kim))
	return err
}

// frame is what stands around a message.
func frame(message string) []byte {
	return []byte(`{"fullMethod":"/a.Fast/M","instanceID":"default","request":` + message + `}`)
}

// exchange sends a body and returns the answer's.
func (h *hooking) exchange(ctx context.Context, client *http.Client, url string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	signature.Sign(r.Header, []string{h.key}, "msg_1", time.Now(), body)
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(response.Body)
}

// relay passes a POST on.
type relay struct {
	hooking
	client *http.Client
}

func (p *relay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if err := p.post(r.Context(), p.client, p.target+"/fast"); err != nil {
		w.WriteHeader(http.StatusBadGateway)
	}
	_, _ = io.WriteString(w, `{"username":"lee"}`)
}

// floor answers questions of package hook with one call of the target.
type floor struct {
	hooking
	client *http.Client
	known  map[[sha256.Size]byte]bool
}

func (p *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := p.answer(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/proto")
	_, _ = w.Write(answer)
}

func (p *floor) answer(r *http.Request) ([]byte, error) {
	if !p.known[sha256.Sum256([]byte(r.Header.Get("Authorization")))] {
		return nil, errors.New("an unknown caller")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var question calloutv1.InvokeRequest
	if err := proto.Unmarshal(body, &question); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	message, err := p.exchange(ctx, p.client, p.target+"/fast", frame(question.GetRequest().GetRequestJson()))
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&calloutv1.InvokeResponse{Message: &calloutv1.InvokeResponse_RequestJson{RequestJson: string(message)}})
}

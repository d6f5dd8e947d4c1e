package local_test

import (
	"bytes"
	"context"
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

	"github.com/callout-dev/callout/shared/signature"
)

// BenchmarkInvoke calls one target through the function invoke, beside a bare signed POST to it and a relay that does nothing but pass such a
// POST on, in turn: x is how many times the bare one's median it takes, and relay-x how many times the relay's, which is the least that
// anything between the two can take. Host, installation, relay and target are a process each, as they are in life, and speak over loopback TCP.
func BenchmarkInvoke(b *testing.B) {
	emulator, data := filepath.Join(b.TempDir(), "emulator"), filepath.Join(b.TempDir(), "data")
	compile(b, emulator, "github.com/callout-dev/callout/emulator")
	const free = "127.0.0.1:0"
	launch(b, nil, "Callout is ready", emulator, "-data", data, "-listen", free, "-firestore", free, "-pubsub", free, "-issuer", free)
	h := hookingOf(b, readInfo(b, data), part(b, "target"))
	relay := part(b, "relay", "CALLOUT_KEY="+h.key, "CALLOUT_TARGET="+h.target)
	client, relayed := poster(), poster()
	ways := []func() error{
		func() error { return h.invoke(b.Context(), "Fast") },
		func() error { return h.post(b.Context(), client, h.target+"/fast") },
		func() error { return h.post(b.Context(), relayed, relay) },
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
	invoke, bare, relay50 := at(took[0], 50), at(took[1], 50), at(took[2], 50)
	b.ReportMetric(float64(invoke.Microseconds()), "invoke-p50-µs")
	b.ReportMetric(float64(bare.Microseconds()), "bare-p50-µs")
	b.ReportMetric(float64(invoke)/float64(bare), "x")
	b.ReportMetric(float64(relay50)/float64(bare), "relay/bare-x")
	b.ReportMetric(float64(invoke)/float64(relay50), "relay-x")
}

// part starts this program once more, as one of the parts of BenchmarkInvoke, and returns its URL.
func part(b *testing.B, name string, environ ...string) string {
	return launch(b, append(environ, "CALLOUT_PART="+name), "http://", os.Args[0], "-test.run=^TestPart$").line
}

// TestPart is the target or the relay of BenchmarkInvoke, in a process of its own.
func TestPart(t *testing.T) {
	h := hooking{key: os.Getenv("CALLOUT_KEY"), target: os.Getenv("CALLOUT_TARGET")}
	client := poster()
	parts := map[string]http.HandlerFunc{
		"target": answerHook,
		"relay": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if err := h.post(r.Context(), client, h.target+"/fast"); err != nil {
				w.WriteHeader(http.StatusBadGateway)
			}
			_, _ = io.WriteString(w, `{"username":"lee"}`)
		},
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
	body := []byte(`{"fullMethod":"/a.Fast/M","instanceID":"default","request":` + kim + `}`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	signature.Sign(r.Header, []string{h.key}, "msg_1", time.Now(), body)
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

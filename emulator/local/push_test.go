package local

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/emulator/memnet"
)

func pushTo(t *testing.T, transport *pushTransport, ctx context.Context, url string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	return transport.RoundTrip(r)
}

func TestPushesWaitForTheFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workers := memnet.NewWorkers()
		defer workers.Close()
		transport := newPushTransport(Config{}, workers)
		var got string
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = r.Host + r.URL.Path + " " + string(body)
			w.WriteHeader(http.StatusAccepted)
		})
		go func() {
			time.Sleep(time.Second)
			if err := transport.open("http://127.0.0.1:8080", handler); err != nil {
				t.Error(err)
			}
		}()
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := pushTo(t, transport, impatient, "http://127.0.0.1:8080/push/a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("before the functions are there: %v", err)
		}
		moved := make(chan error, 1)
		go func() {
			_, err := pushTo(t, transport, t.Context(), "http://127.0.0.1:7070/push/a")
			moved <- err
		}()
		start := time.Now()
		response, err := pushTo(t, transport, t.Context(), "http://127.0.0.1:8080/push/a")
		if err != nil || response.StatusCode != http.StatusAccepted || got != "127.0.0.1:8080/push/a body" || time.Since(start) < 900*time.Millisecond {
			t.Errorf("%v %v, handler saw %q, after %v", response, err, got, time.Since(start))
		}
		if err := <-moved; !errors.Is(err, errMoved) {
			t.Errorf("an endpoint of the last start: %v", err)
		}
	})
}

// A handler that does not heed its context must not hold up the pusher: the push ends with its deadline.
func TestPushEndsThoughItsHandlerDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workers := memnet.NewWorkers()
		defer workers.Close()
		transport := newPushTransport(Config{}, workers)
		err := transport.open("http://127.0.0.1:8080", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) }))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if _, err := pushTo(t, transport, ctx, "http://127.0.0.1:8080/push/a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		time.Sleep(time.Hour)
	})
}

// An endpoint that answers with megabytes of headers fails; 256 of these answers at once would be gigabytes.
func TestPushAnswerOfManyHeaders(t *testing.T) {
	endpoint := memnet.Listen("endpoint")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", len(r.URL.Query().Get("n"))<<10))
	})}
	go func() { _ = server.Serve(endpoint) }()
	defer server.Close()
	workers := memnet.NewWorkers()
	defer workers.Close()
	transport := newPushTransport(Config{}, workers)
	transport.outside.DialContext = endpoint.DialContext
	if err := transport.open("http://functions", http.NotFoundHandler()); err != nil {
		t.Fatal(err)
	}
	for kilobytes, ok := range map[int]bool{8: true, 1 << 10: false} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://endpoint/?n="+strings.Repeat("1", kilobytes), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(r)
		if (err == nil) != ok {
			t.Errorf("%d KiB of headers: %v", kilobytes, err)
		}
		if err == nil {
			res.Body.Close()
		}
	}
}

package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/signature"
)

// listening is `callout listen` while it runs.
type listening struct {
	w    *world
	stop context.CancelFunc
	done chan int

	out, err *buffer
}

// buffer may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Reset()
}

func (w *world) listening(args ...string) *listening {
	p, _, _ := w.process("", append([]string{"listen"}, args...)...)
	l := &listening{w: w, done: make(chan int, 1), out: &buffer{}, err: &buffer{}}
	p.Out, p.Err = l.out, l.err
	var ctx context.Context
	ctx, l.stop = context.WithCancel(w.t.Context())
	go func() { l.done <- command.Run(ctx, p) }()
	synctest.Wait()
	return l
}

// end stops it and wants a good end.
func (l *listening) end() {
	l.w.t.Helper()
	l.stop()
	l.wait(command.ExitFine)
}

func (l *listening) wait(code int) {
	l.w.t.Helper()
	if got := <-l.done; got != code {
		l.w.t.Errorf("listen ends with %d, want %d: %s", got, code, l.err)
	}
}

const orderCreated = `{"aggregateID":"1","event_type":"order.created","event_payload":{"id":1}}`

// call sends a signed event and gives the answer's status.
func (l *listening) call(key, body string, change func(*http.Request)) int {
	l.w.t.Helper()
	request, err := http.NewRequestWithContext(l.w.t.Context(), http.MethodPost, "http://"+listenAddress+"/any/path", strings.NewReader(body))
	if err != nil {
		l.w.t.Fatal(err)
	}
	signature.Sign(request.Header, []string{key}, "e1", time.Now(), []byte(body))
	request.Header.Set("callout-delivery", "d1")
	request.Header.Set("callout-attempt", "2")
	if change != nil {
		change(request)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: l.w.dial, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		l.w.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		l.w.t.Fatal(err)
	}
	return response.StatusCode
}

func (l *listening) wantCall(status int, key, body string, change func(*http.Request)) {
	l.w.t.Helper()
	if got := l.call(key, body, change); got != status {
		l.w.t.Errorf("the answer is %d, want %d; it prints %s", got, status, l.out)
	}
}

func TestListenPrintsWhatArrives(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		l := w.listening()
		wantSaid(t, l.err.String(), "listening on http://127.0.0.1:9000/, 3 signing keys known")
		l.wantCall(200, "key-of-beta", orderCreated, nil)
		l.end()
		line, body, _ := strings.Cut(l.out.String(), "\n")
		if _, rest, _ := strings.Cut(line, "  "); rest != "order.created  delivery d1 attempt 2  verified, beta" {
			t.Errorf("the line is %q", line)
		}
		if want := "{\n  \"aggregateID\": \"1\",\n  \"event_type\": \"order.created\",\n  \"event_payload\": {\n    \"id\": 1\n  }\n}\n"; body != want {
			t.Errorf("the body is %q", body)
		}
	})
}

func TestListenRefusesWhatDoesNotVerify(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		l := w.listening("--quiet")
		l.wantCall(401, "key-of-nobody", orderCreated, nil)
		l.wantCall(401, "key-of-beta", orderCreated, func(r *http.Request) {
			changed := strings.Replace(orderCreated, `1}`, `2}`, 1)
			r.Body = io.NopCloser(strings.NewReader(changed))
		})
		l.wantCall(401, "key-of-beta", orderCreated, func(r *http.Request) { r.Header = http.Header{} })
		l.wantCall(405, "key-of-beta", orderCreated, func(r *http.Request) { r.Method = http.MethodPut })
		l.wantCall(413, "key-of-beta", strings.Repeat("x", 1<<20+1), nil)
		l.end()
		wantSaid(t, l.out.String(), "REFUSED with 401: no signature matches", "REFUSED with 401: the request has no signature header",
			"REFUSED with 405: ", "REFUSED with 413: ")
		if got := strings.Count(l.out.String(), "\n"); got != 5 {
			t.Errorf("%d lines, want 5: %s", got, l.out)
		}
	})
}

func TestListenLearnsKeysOfNewTargets(t *testing.T) {
	inWorld(t, func(w *world) {
		l := w.listening("-q")
		wantSaid(t, l.err.String(), "0 signing keys known; those of new targets are learnt when they call")
		for _, name := range []string{"first", "second"} { // the second comes too soon for another look, and waits for it
			w.ok("target", "create", "--name", name, "--endpoint", "http://"+listenAddress+"/")
			l.wantCall(200, "key-of-"+name, orderCreated, nil)
			wantSaid(t, l.out.String(), "verified, "+name+"\n")
		}
		l.end()
	})
}

func TestListenWithGivenKeysAsksNoAPI(t *testing.T) {
	inWorld(t, func(w *world) {
		w.env["CALLOUT_DATA"] = "/nowhere"
		for _, key := range []string{"secret", signature.WebhookSecret("secret")} {
			l := w.listening("--key", "other", "--key", key, "-q")
			l.wantCall(200, "secret", orderCreated, nil)
			l.wantCall(401, "unknown", orderCreated, nil)
			l.end()
			w.listeners[listenAddress] = nil
		}
		w.env["CALLOUT_SIGNING_KEY"] = "secret"
		l := w.listening()
		l.wantCall(200, "secret", orderCreated, nil)
		l.end()
	})
}

func TestListenOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		l := w.listening("--once", "2", "-q")
		l.wantCall(200, "key-of-beta", orderCreated, nil)
		l.wantCall(401, "key-of-nobody", orderCreated, nil) // does not count
		l.wantCall(200, "key-of-beta", orderCreated, nil)
		l.wait(command.ExitFine)
	})
}

func TestListenAnswersTheWantedStatus(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		l := w.listening("--status", "503", "-o", "json")
		l.wantCall(503, "key-of-beta", orderCreated, nil)
		l.end()
		var got struct {
			Kind, Target, Delivery, Attempt, WebhookID string
			Verified                                   bool
			Status                                     int
			Body                                       json.RawMessage
		}
		if err := json.Unmarshal([]byte(l.out.String()), &got); err != nil || strings.Count(l.out.String(), "\n") != 1 {
			t.Fatalf("%v in %q", err, l.out)
		}
		if got.Kind != "order.created" || got.Target != "beta" || got.Delivery != "d1" || got.Attempt != "2" || got.WebhookID != "e1" ||
			!got.Verified || got.Status != 503 || string(got.Body) != orderCreated {
			t.Errorf("got %+v", got)
		}
	})
}

func TestListenCannotStart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.fails(2, []string{"listen", "--status", "99"}, "200 to 599")
		w.fails(2, []string{"listen", "--once", "-1"}, "--once")
		w.fails(2, []string{"listen", "--key", "whsec_!"}, "base64")
		w.fails(2, []string{"listen", "--key", ""}, "--key")
		w.fails(1, []string{"listen", "--addr", apiAddress}, "address already in use", "--addr")
		w.fails(1, []string{"listen", "--client", "nobody"}, "membership not found (AUTHZ-cdgFk)")
		w.targets.all = []action.Target{{ID: "t1", Name: "hidden"}}
		w.fails(1, []string{"listen"}, "shows no signing keys", "--key")
	})
}

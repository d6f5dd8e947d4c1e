package call_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/call"
	"github.com/callout-dev/callout/shared/egress"
	"github.com/callout-dev/callout/shared/signature"
	"github.com/callout-dev/callout/shared/signature/envelope"
)

// inBubble serves handler in memory, in a bubble of virtual time, and calls it.
func inBubble(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, c call.Caller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := memnet.Listen("target.test")
		server := &http.Server{Handler: handler}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(listener)
		}()
		client := egress.NewClient(new(egress.Policy))
		client.Transport.(*http.Transport).DialContext = listener.DialContext
		test(t, call.Caller{Client: client, UserAgent: "Callout/test"})
		client.CloseIdleConnections()
		_ = server.Shutdown(context.Background()) // waits for handlers
		<-served
	})
}

func target() action.Target {
	return action.Target{ID: "t1", Endpoint: "http://target.test/hook?x=1", Timeout: 10 * time.Second,
		SigningKeys: []action.SigningKey{{Value: "newnewnewnewnewnewnewnewnewnewnewnew"}, {Value: "oldoldoldoldoldoldoldoldoldoldoldold", Expires: time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)}}}
}

func TestWhatATargetReceives(t *testing.T) {
	var got *http.Request
	var body []byte
	handler := func(w http.ResponseWriter, r *http.Request) {
		got, body = r, nil
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	}
	inBubble(t, handler, func(t *testing.T, c call.Caller) {
		request := call.Request{Target: target(), Body: []byte(`{"a":"<ü>"}`), WebhookID: "evt_1", Delivery: "d1", Attempt: 3, Keep: 100}
		result := c.Call(t.Context(), request)
		want := call.Result{Start: time.Now(), Status: 204, Outcome: action.Success, Answer: []byte{}}
		if diff := cmp.Diff(want, result, cmpopts.EquateErrors()); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
		if got.Method != "POST" || got.URL.String() != "/hook?x=1" || got.Host != "target.test" || !bytes.Equal(body, request.Body) {
			t.Errorf("got %s %s for %s: %s", got.Method, got.URL, got.Host, body)
		}
		trace := got.Header.Get("Traceparent")
		if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`).MatchString(trace) {
			t.Errorf("traceparent %q", trace)
		}
		for _, key := range request.Target.SigningKeys {
			library, err := standardwebhooks.NewWebhookRaw([]byte(key.Value))
			if err != nil {
				t.Fatal(err)
			}
			if err := library.Verify(body, got.Header); err != nil {
				t.Errorf("a receiver with the key %s: %v", string(key.Value), err)
			}
		}
		reference := got.Header.Get("Zitadel-Signature")
		for _, name := range []string{"Traceparent", "Webhook-Signature", "Zitadel-Signature", "X-Zitadel-Signature"} {
			got.Header.Del(name)
		}
		wantHeader := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"Callout/test"}, "Webhook-Id": {"evt_1"},
			"Webhook-Timestamp": {fmt.Sprint(time.Now().Unix())}, "Callout-Delivery": {"d1"}, "Callout-Attempt": {"3"}, "Content-Length": {"12"}}
		if diff := cmp.Diff(wantHeader, got.Header); diff != "" {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
		if strings.Count(reference, ",v1=") != 2 {
			t.Errorf("two keys sign, but the header is %q", reference)
		}

		time.Sleep(time.Hour) // the old key expires
		c.Call(t.Context(), call.Request{Target: target(), WebhookID: "m", Keep: 1})
		if n := strings.Count(got.Header.Get("Zitadel-Signature"), "v1="); n != 1 {
			t.Errorf("%d signatures after the old key's end", n)
		}
		if got.Header.Get("Callout-Delivery") != "" || got.Header.Get("Callout-Attempt") != "" || got.Header.Get("Traceparent") == trace {
			t.Errorf("a call that is no delivery has %v", got.Header)
		}
	})
}

// webKey signs, or is not there.
type webKey struct {
	key *ecdsa.PrivateKey
	err error
}

func (w webKey) Signing(context.Context, action.InstanceID) (action.WebKey, error) {
	return action.WebKey{ID: "w1", Algorithm: "ES256", Private: action.Hide(w.key)}, w.err
}

// TestBodyInTheTargetsForm: headers sign what is sent, whatever its form; what cannot be made is not sent.
func TestBodyInTheTargetsForm(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var got *http.Request
	var body []byte
	handler := func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}
	inBubble(t, handler, func(t *testing.T, c call.Caller) {
		request := call.Request{Target: target(), Body: []byte(`{"a":1}`), WebhookID: "m"}
		request.Target.PayloadType = action.PayloadJWT
		c.Payload.Keys = webKey{key: key}
		if result := c.Call(t.Context(), request); result.Outcome != action.Success {
			t.Fatalf("%+v", result)
		}
		if err := signature.Verify(got.Header, []string{string(request.Target.SigningKey())}, time.Now(), 0, body); err != nil {
			t.Error(err)
		}
		keys := envelope.KeySet{"w1": {Public: &key.PublicKey, Algorithm: "ES256"}}
		if payload, err := envelope.VerifyJWT(t.Context(), body, keys); string(payload) != `{"a":1}` || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s as %s, %v", payload, got.Header.Get("Content-Type"), err)
		}
		got = nil
		request.Target.PayloadType = action.PayloadJWE // and no public key
		refused := c.Call(t.Context(), request)
		down := errors.New("the database is down")
		c.Payload.Keys, request.Target.PayloadType = webKey{err: down}, action.PayloadJWT
		failed := c.Call(t.Context(), request)
		for _, result := range []call.Result{refused, failed} {
			if result.Outcome != action.Failed || result.Error != action.ErrorPayload || result.Status != 0 || result.Start.IsZero() || got != nil {
				t.Errorf("%+v", result)
			}
		}
		if !errors.Is(failed.Cause, down) || !strings.Contains(refused.Cause.Error(), "EXEC-2n8fhs7g") {
			t.Errorf("causes are %v and %v", refused.Cause, failed.Cause)
		}
	})
}

func TestResults(t *testing.T) {
	answer := func(status int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    call.Result
	}{
		{"200 with a body", answer(200, "hello"), call.Result{Status: 200, Outcome: action.Success, Answer: []byte("hello")}},
		{"299", answer(299, ""), call.Result{Status: 299, Outcome: action.Success}},
		{"as much as is kept", answer(200, "12345678"), call.Result{Status: 200, Outcome: action.Success, Answer: []byte("12345678")}},
		{"more than is kept", answer(200, "123456789"), call.Result{Status: 200, Outcome: action.Success, Answer: []byte("12345678"), Cut: true}},
		{"far more than is kept", answer(200, strings.Repeat("1", 1<<20)), call.Result{Status: 200, Outcome: action.Success, Answer: []byte("11111111"), Cut: true}},
		{"301 is a failure", answer(301, "", "Location", "http://elsewhere.test/"), call.Result{Status: 301, Outcome: action.Failed, Error: action.ErrorRedirect}},
		{"308 without a location", answer(308, ""), call.Result{Status: 308, Outcome: action.Failed, Error: action.ErrorRedirect}},
		{"304", answer(304, ""), call.Result{Status: 304, Outcome: action.Failed, Error: action.ErrorRedirect}},
		{"400", answer(400, "no"), call.Result{Status: 400, Outcome: action.Failed, Error: action.ErrorStatus, Answer: []byte("no")}},
		{"410", answer(410, ""), call.Result{Status: 410, Outcome: action.Failed, Error: action.ErrorStatus}},
		{"599", answer(599, ""), call.Result{Status: 599, Outcome: action.Failed, Error: action.ErrorStatus}},
		{"429 with seconds", answer(429, "", "Retry-After", "120"), call.Result{Status: 429, Outcome: action.Failed, Error: action.ErrorStatus, RetryAfter: 2 * time.Minute}},
		{"503 with a date", answer(503, "", "Retry-After", "Sat, 01 Jan 2000 00:10:00 GMT"), call.Result{Status: 503, Outcome: action.Failed, Error: action.ErrorStatus, RetryAfter: 10 * time.Minute}},
		{"a date that has passed", answer(503, "", "Retry-After", "Fri, 31 Dec 1999 00:00:00 GMT"), call.Result{Status: 503, Outcome: action.Failed, Error: action.ErrorStatus}},
		{"more than a day", answer(503, "", "Retry-After", "86401"), call.Result{Status: 503, Outcome: action.Failed, Error: action.ErrorStatus, RetryAfter: 24 * time.Hour}},
		{"more seconds than a number holds", answer(503, "", "Retry-After", strings.Repeat("9", 40)), call.Result{Status: 503, Outcome: action.Failed, Error: action.ErrorStatus, RetryAfter: 24 * time.Hour}},
		{"a year far away", answer(503, "", "Retry-After", "Fri, 31 Dec 9999 00:00:00 GMT"), call.Result{Status: 503, Outcome: action.Failed, Error: action.ErrorStatus, RetryAfter: 24 * time.Hour}},
		{"negative seconds", answer(503, "", "Retry-After", "-5"), call.Result{Status: 503, Outcome: action.Failed, Error: action.ErrorStatus}},
		{"nonsense to wait for", answer(503, "", "Retry-After", "soon"), call.Result{Status: 503, Outcome: action.Failed, Error: action.ErrorStatus}},
		{"compressed bytes stay as they came", answer(200, "\x1f\x8b", "Content-Encoding", "gzip"), call.Result{Status: 200, Outcome: action.Success, Answer: []byte("\x1f\x8b")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, tt.handler, func(t *testing.T, c call.Caller) {
				tt.want.Start = time.Now()
				got := c.Call(t.Context(), call.Request{Target: target(), WebhookID: "m", Keep: 8})
				if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTimeouts(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Second)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		keep    int64
		status  int
	}{
		{"no answer", hang, 8, 0},
		{"an answer drop by drop", drip, 4096, 200},
		{"an answer drop by drop, beyond what is kept", drip, 2, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, tt.handler, func(t *testing.T, c call.Caller) {
				got := c.Call(t.Context(), call.Request{Target: target(), WebhookID: "m", Keep: tt.keep})
				if got.Outcome != action.Timeout || got.Error != action.ErrorTimeout || got.Took != 10*time.Second || got.Status != tt.status || got.Cause == nil {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
	inBubble(t, hang, func(t *testing.T, c call.Caller) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := c.Call(ctx, call.Request{Target: target()}); got.Outcome != action.Timeout || got.Took != time.Second {
			t.Errorf("the caller's time counts too: %+v", got)
		}
		gone, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		if got := c.Call(gone, call.Request{Target: target()}); !errors.Is(got.Cause, context.Canceled) || got.Outcome != action.Failed {
			t.Errorf("the caller went away: %+v", got)
		}
	})
}

func TestKindsOfFailure(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer broken.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	allowed, err := egress.NewPolicy("127.0.0.0/8", "")
	if err != nil {
		t.Fatal(err)
	}
	trusting := egress.NewClient(allowed)
	trusting.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	tests := []struct {
		name, endpoint string
		client         *http.Client
		want           action.ErrorKind
		status         int
	}{
		{"a refused address", broken.URL, egress.NewClient(new(egress.Policy)), action.ErrorDenied, 0},
		{"nobody listens", closed.URL, egress.NewClient(allowed), action.ErrorConnection, 0},
		{"a name that does not exist", "http://nobody.invalid/", egress.NewClient(allowed), action.ErrorName, 0},
		{"an unknown authority", secure.URL, egress.NewClient(allowed), action.ErrorTLS, 0},
		{"a handshake that the target ends", secure.URL, trusting, action.ErrorTLS, 0},
		{"half an answer", broken.URL, egress.NewClient(allowed), action.ErrorConnection, 200},
		{"no endpoint", "http://%zz", egress.NewClient(allowed), action.ErrorConnection, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer tt.client.CloseIdleConnections()
			to := target()
			to.Endpoint = tt.endpoint
			got := call.Caller{Client: tt.client}.Call(t.Context(), call.Request{Target: to, Keep: 100})
			if got.Outcome != action.Failed || got.Error != tt.want || got.Status != tt.status || got.Cause == nil {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// An answer that takes the connection over (101) has a body that no context ends: it must not be read. One that drips for ever ends with
// the target's time.
func TestAnswersWithoutEnd(t *testing.T) {
	takeOver := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			_, _ = buffered.WriteString(answer)
			_ = buffered.Flush()
			for range 1000 {
				time.Sleep(time.Second)
				if _, err := conn.Write([]byte("x")); err != nil {
					return
				}
			}
		}
	}
	tests := []struct {
		name, answer string
		outcome      action.Outcome
		kind         action.ErrorKind
		status       int
		took         time.Duration
	}{
		{"switching protocols", "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", action.Failed, action.ErrorStatus, 101, 0},
		{"a body that drips", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", action.Timeout, action.ErrorTimeout, 200, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, takeOver(tt.answer), func(t *testing.T, c call.Caller) {
				r := target()
				r.Timeout = 10 * time.Second
				result := c.Call(t.Context(), call.Request{Target: r, Body: []byte("{}"), WebhookID: "1", Keep: 4096})
				if result.Outcome != tt.outcome || result.Error != tt.kind || result.Status != tt.status || result.Took != tt.took {
					t.Errorf("%s %s, status %d, after %v: %v", result.Outcome, result.Error, result.Status, result.Took, result.Cause)
				}
				time.Sleep(2 * time.Second) // the target notices that nobody reads
			})
		})
	}
}

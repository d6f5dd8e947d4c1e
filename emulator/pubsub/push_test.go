package pubsub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

const hook = "http://hook.test/push?x=1"

func TestPushWrapped(t *testing.T) {
	e := &endpoint{}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		g.topic(topicD)
		g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook), DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topicD}})
		at := time.Now()
		id := g.publish(&pubsubpb.PubsubMessage{Data: []byte("<é>\x00"), Attributes: map[string]string{"k": `"v"`}, OrderingKey: "key"})[0]
		synctest.Wait()
		pushes := e.got()
		if len(pushes) != 1 {
			g.Fatalf("%d pushes", len(pushes))
		}
		if d := pushes[0].at.Sub(at); d != 0 {
			g.Errorf("pushed %v after the publish", d)
		}
		var got, want any
		if err := json.Unmarshal([]byte(pushes[0].body), &got); err != nil {
			g.Fatal(err)
		}
		_ = json.Unmarshal(fmt.Appendf(nil, `{"message":{"data":"PMOpPgA=","attributes":{"k":"\"v\""},"messageId":%q,"message_id":%q,
			"publishTime":"2000-01-01T00:00:00.000Z","publish_time":"2000-01-01T00:00:00.000Z","orderingKey":"key"},
			"subscription":%q,"deliveryAttempt":1}`, id, id, subS), &want)
		if diff := cmp.Diff(want, got); diff != "" {
			g.Errorf("body (-want +got):\n%s", diff)
		}
		if h := pushes[0].header; h.Get("Content-Type") != "application/json" || h.Get("Authorization") != "" {
			g.Errorf("headers: %v", h)
		}
		time.Sleep(time.Hour)
		if n := len(e.got()); n != 1 {
			g.Errorf("pushed %d times after it was accepted", n)
		}
	})
}

func TestPushUnwrapped(t *testing.T) {
	for _, metadata := range []bool{false, true} {
		t.Run(fmt.Sprintf("metadata %t", metadata), func(t *testing.T) {
			e := &endpoint{}
			bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
				conf := pushTo(hook)
				conf.Wrapper = &pubsubpb.PushConfig_NoWrapper_{NoWrapper: &pubsubpb.PushConfig_NoWrapper{WriteMetadata: metadata}}
				g.subscribe(&pubsubpb.Subscription{PushConfig: conf})
				id := g.publish(&pubsubpb.PubsubMessage{Data: []byte("raw"), OrderingKey: "key", Attributes: map[string]string{
					"Ce-Type": "order", "content-type": "text/x", "host": "evil", "Transfer-Encoding": "chunked", "no header": "x", "bad": "a\r\nb",
				}})[0]
				synctest.Wait()
				got := e.got()[0]
				want := http.Header{"User-Agent": {"CloudPubSub-Google"}}
				if metadata {
					want = http.Header{
						"User-Agent": {"CloudPubSub-Google"}, "Ce-Type": {"order"}, "Content-Type": {"text/x"},
						"X-Goog-Pubsub-Subscription-Name": {subS}, "X-Goog-Pubsub-Message-Id": {id},
						"X-Goog-Pubsub-Publish-Time": {"2000-01-01T00:00:00Z"}, "X-Goog-Pubsub-Ordering-Key": {"key"},
					}
				}
				if diff := cmp.Diff(want, got.header); diff != "" || got.body != "raw" {
					g.Errorf("body %q, headers (-want +got):\n%s", got.body, diff)
				}
			})
		})
	}
}

func TestPushAnswers(t *testing.T) {
	tests := []struct {
		name   string
		status int
		err    error
		acked  bool
	}{
		{"100", 100, nil, false}, {"102", 102, nil, true}, {"200", 200, nil, true}, {"201", 201, nil, true}, {"202", 202, nil, true},
		{"203", 203, nil, false}, {"204", 204, nil, true}, {"206", 206, nil, false}, {"301", 301, nil, false}, {"400", 400, nil, false},
		{"429", 429, nil, false}, {"500", 500, nil, false}, {"no connection", 0, errNoAnswer, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &endpoint{answer: func(*http.Request, []byte) (int, error) { return tt.status, tt.err }}
			bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
				g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook)})
				g.publish(data("x"))
				time.Sleep(150 * time.Millisecond)
				if again := len(e.got()) > 1; again == tt.acked {
					g.Errorf("pushed %d times", len(e.got()))
				}
			})
		})
	}
}

// Over a socket, with the server's own transport, redirects are not followed.
func TestPushOverASocket(t *testing.T) {
	moved := make(chan struct{}, 10)
	arrived := make(chan string, 10)
	mux := http.NewServeMux()
	mux.HandleFunc("/old", func(w http.ResponseWriter, r *http.Request) {
		moved <- struct{}{}
		http.Redirect(w, r, "/new", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/new", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- string(body)
	})
	hook := httptest.NewServer(mux)
	defer hook.Close()
	store, err := storage.Open(storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	g := start(t, store, pubsub.Options{})
	defer g.stop()
	g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook.URL + "/old")})
	g.publish(data("x"))
	<-moved
	<-moved // it is tried again, so the redirect was a refusal
	if len(arrived) > 0 {
		t.Error("a redirect was followed")
	}
	if _, err := g.sub.ModifyPushConfig(t.Context(), &pubsubpb.ModifyPushConfigRequest{Subscription: subS, PushConfig: pushTo(hook.URL + "/new")}); err != nil {
		t.Fatal(err)
	}
	if body := <-arrived; !strings.Contains(body, `"data":"eA=="`) {
		t.Errorf("body: %s", body)
	}
}

func TestPushTimesOut(t *testing.T) {
	var mu sync.Mutex
	var took []time.Duration
	e := &endpoint{answer: func(r *http.Request, _ []byte) (int, error) {
		begin := time.Now()
		<-r.Context().Done()
		mu.Lock()
		defer mu.Unlock()
		took = append(took, time.Since(begin))
		return 0, r.Context().Err()
	}}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook), AckDeadlineSeconds: 33})
		g.publish(data("x"))
		time.Sleep(67 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]time.Duration{33 * time.Second, 33 * time.Second}, took); diff != "" {
			g.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A transport that does not heed its context holds a place in the window, but not the message.
func TestPushThatNeverEnds(t *testing.T) {
	var release chan struct{} // of the bubble
	var calls atomic.Int32
	e := &endpoint{answer: func(*http.Request, []byte) (int, error) {
		if calls.Add(1) == 1 {
			<-release
		}
		return 200, nil
	}}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		release = make(chan struct{})
		g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook)})
		g.publish(data("x"))
		time.Sleep(10 * time.Second)
		if n := calls.Load(); n != 1 {
			g.Errorf("%d pushes within the deadline", n)
		}
		time.Sleep(2 * time.Second)
		if n := calls.Load(); n != 2 {
			g.Errorf("%d pushes after the deadline, want 2", n)
		}
		close(release)
		time.Sleep(time.Hour)
		if n := calls.Load(); n != 2 {
			g.Errorf("%d pushes in the end, want 2", n)
		}
	})
}

// The back-off of a retry policy doubles from its minimum to its maximum.
func TestPushBacksOff(t *testing.T) {
	tests := []struct {
		name   string
		policy *pubsubpb.RetryPolicy
		want   []time.Duration
	}{
		{"as the policy says", &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(7 * time.Second), MaximumBackoff: durationpb.New(30 * time.Second)}, []time.Duration{7e9, 14e9, 28e9, 30e9, 30e9}},
		{"defaults of a policy", &pubsubpb.RetryPolicy{}, []time.Duration{10e9, 20e9, 40e9, 80e9, 160e9, 320e9, 600e9, 600e9}},
		{"without a policy", nil, []time.Duration{1e8, 2e8, 4e8, 8e8, 16e8, 32e8, 64e8, 128e8, 256e8, 512e8, 60e9, 60e9}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &endpoint{answer: func(*http.Request, []byte) (int, error) { return 503, nil }}
			bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
				g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook), RetryPolicy: tt.policy})
				g.publish(data("x"))
				for len(e.got()) <= len(tt.want) {
					time.Sleep(time.Second)
				}
				var gaps []time.Duration
				pushes := e.got()
				for i := range tt.want {
					gaps = append(gaps, pushes[i+1].at.Sub(pushes[i].at))
				}
				if diff := cmp.Diff(tt.want, gaps); diff != "" {
					g.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestPushWindow(t *testing.T) {
	var under, most atomic.Int32
	e := &endpoint{answer: func(*http.Request, []byte) (int, error) {
		most.Store(max(most.Load(), under.Add(1)))
		time.Sleep(time.Second)
		under.Add(-1)
		return 200, nil
	}}
	bubble(t, pubsub.Options{Transport: e, PushWindow: 5}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook)})
		for range 50 {
			g.publish(data("x"))
		}
		time.Sleep(11 * time.Second)
		if len(e.got()) != 50 || most.Load() != 5 {
			g.Errorf("%d pushes, at most %d at once", len(e.got()), most.Load())
		}
	})
}

// issuer counts the tokens it makes.
type issuer struct {
	made atomic.Int32
	err  atomic.Pointer[error]
}

func (i *issuer) Token(_ context.Context, audience, email string) (string, time.Time, error) {
	if err := i.err.Load(); err != nil {
		return "", time.Time{}, *err
	}
	time.Sleep(time.Second)
	return fmt.Sprintf("%s|%s|%d", audience, email, i.made.Add(1)), time.Now().Add(time.Hour), nil
}

func TestPushToken(t *testing.T) {
	e, tokens := &endpoint{}, &issuer{}
	bubble(t, pubsub.Options{Transport: e, Tokens: tokens}, func(g *ground) {
		conf := pushTo(hook)
		conf.AuthenticationMethod = &pubsubpb.PushConfig_OidcToken_{OidcToken: &pubsubpb.PushConfig_OidcToken{ServiceAccountEmail: "a@b"}}
		g.subscribe(&pubsubpb.Subscription{PushConfig: conf})
		last := func() string {
			synctest.Wait()
			pushes := e.got()
			return pushes[len(pushes)-1].header.Get("Authorization")
		}
		for range 20 {
			g.publish(data("x"))
		}
		time.Sleep(2 * time.Second)
		if got, want := last(), "Bearer "+hook+"|a@b|1"; got != want || tokens.made.Load() != 1 {
			g.Errorf("%q after %d tokens, want %q after 1", got, tokens.made.Load(), want)
		}
		time.Sleep(54 * time.Minute)
		g.publish(data("x"))
		if got := last(); !strings.HasSuffix(got, "|1") {
			g.Errorf("after 54 minutes: %q", got)
		}
		time.Sleep(2 * time.Minute) // less than five minutes are left
		g.publish(data("x"))
		time.Sleep(2 * time.Second)
		if got := last(); !strings.HasSuffix(got, "|2") {
			g.Errorf("after 56 minutes: %q", got)
		}
		failure := errors.New("issuer down")
		tokens.err.Store(&failure)
		time.Sleep(57 * time.Minute)
		g.publish(data("x"))
		if got := last(); !strings.HasSuffix(got, "|2") {
			g.Errorf("the issuer is down and the token valid for three minutes: %q", got)
		}
		time.Sleep(10 * time.Minute)
		before := len(e.got())
		g.publish(data("x"))
		time.Sleep(10 * time.Second)
		if n := len(e.got()); n != before {
			g.Error("pushed without a valid token")
		}
		tokens.err.Store(nil)
		time.Sleep(time.Minute)
		if n := len(e.got()); n != before+1 {
			g.Errorf("%d pushes after the issuer came back", n-before)
		}
	})
}

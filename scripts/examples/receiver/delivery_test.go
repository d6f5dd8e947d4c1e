package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2/clientcredentials"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/logging"
)

// TestDeliveries: what an installation sends is taken, also while the target's key rotates, and what somebody changed under way is not.
func TestDeliveries(t *testing.T) {
	i := newInstallation(t)
	inEachLanguage(t, func(t *testing.T, l language) {
		name := strings.ToLower(strings.ReplaceAll(l.name, ".", "")) // of the events, and of the target
		way := &way{answers: make(chan string, 10)}
		server := httptest.NewServer(way)
		t.Cleanup(server.Close)
		created := i.call(t, "POST", "/v2/actions/targets", map[string]any{"name": name, "restWebhook": map[string]any{}, "timeout": "10s", "endpoint": server.URL})
		id, key := created["id"].(string), created["signingKey"].(string)
		i.call(t, "PUT", "/v2/actions/executions", map[string]any{"condition": map[string]any{"event": map[string]any{"group": name}}, "targets": []string{id}})
		former := l.start(t, setting{[]string{key}, 5 * time.Minute})
		steps := []struct {
			what, to string
			change   bool
			want     int
		}{
			{"the target's key", former, false, 204},
			{"a changed body", former, true, 401},
			{"the former key, while both sign", former, false, 204},
			{"the next key, while both sign", "", false, 204},
		}
		for n, s := range steps {
			if n == 2 {
				next := i.call(t, "POST", "/v2/actions/targets/"+id, map[string]any{"expirationSigningKey": "3600s"})["signingKey"].(string)
				steps[3].to = l.start(t, setting{[]string{next}, 5 * time.Minute})
			}
			way.lead(t, steps[n].to, s.change)
			i.call(t, "POST", "/v1/events", map[string]any{"event_type": name + ".happened", "event_payload": map[string]any{"n": n, "text": "ü<&>"}})
			if got, want := <-way.answers, fmt.Sprint(n, " ", s.want); got != want {
				t.Errorf("%s: got %q, want %q", s.what, got, want)
			}
		}
	})
}

// way lies between an installation and a receiver, tells what was answered to the first attempt of each event, and may change the body.
type way struct {
	answers chan string

	mu     sync.Mutex
	to     http.Handler
	change bool
}

func (w *way) lead(t *testing.T, to string, change bool) {
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to, w.change = httputil.NewSingleHostReverseProxy(u), change
}

func (w *way) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var event struct {
		Payload struct {
			N int `json:"n"`
		} `json:"event_payload"`
	}
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	if err != nil || r.Header.Get("Callout-Attempt") != "1" {
		http.Error(answer, "not the first attempt of an event", http.StatusGone)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.change {
		body = bytes.Replace(body, []byte("happened"), []byte("happens!"), 1)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	recorder := httptest.NewRecorder()
	w.to.ServeHTTP(recorder, r)
	w.answers <- fmt.Sprint(event.Payload.N, " ", recorder.Code)
	answer.WriteHeader(recorder.Code)
}

type installation struct {
	api    string
	client *http.Client
}

func newInstallation(t *testing.T) installation {
	t.Helper()
	// An hour until a second attempt: there is none while the test runs.
	environ := []string{"CALLOUT_RETRY_SCHEDULE=1h"}
	l, err := local.Start(t.Context(), local.Config{Listen: "127.0.0.1:0", Issuer: "127.0.0.1:0", EgressAllow: local.DefaultEgressAllow,
		Environ: environ, Log: logging.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	admin := l.Info.Clients["admin"]
	config := clientcredentials.Config{ClientID: admin.ID, ClientSecret: admin.Secret, TokenURL: l.Info.Issuer + "/oauth/v2/token",
		Scopes: []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"}}
	return installation{l.Info.API, config.Client(context.WithoutCancel(t.Context()))}
}

func (i installation) call(t *testing.T, method, path string, body map[string]any) (answer map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, i.api+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := i.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %v %v", method, path, response.StatusCode, answer, err)
	}
	return answer
}

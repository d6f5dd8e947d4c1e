package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

const opaque = "opaque+token/of~an_issuer.x=="

// questions counts what an introspection endpoint was asked, and answers as a test decides.
type questions struct {
	mu     sync.Mutex
	n      int
	answer func(w http.ResponseWriter, r *http.Request)
}

func (q *questions) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}

func (q *questions) set(answer func(http.ResponseWriter, *http.Request)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.answer = answer
}

func (q *questions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	q.n++
	answer := q.answer
	q.mu.Unlock()
	answer(w, r)
}

// active says of every token what claimSet says, with edits.
func active(edits ...func(map[string]any)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		claims := claimSet(edits...)
		if _, ok := claims["active"]; !ok {
			claims["active"] = true
		}
		_ = json.NewEncoder(w).Encode(claims)
	}
}

func inactive(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"active":false}`) }

func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// withIntrospection runs a test with an issuer that introspects and a guard that asks it.
func withIntrospection(t *testing.T, test func(t *testing.T, i *issuer, q *questions, g *auth.Guard)) {
	t.Helper()
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		q := &questions{answer: active()}
		i.set(func(i *issuer) { i.endpoint, i.introspect = issuerURL+"/introspect", q.ServeHTTP })
		g := guard(client)
		g.Introspector = auth.NewIntrospector(g.Verifier, g.Roles, "api:1", "s3cret ü")
		test(t, i, q, g)
	})
}

func TestIntrospectedTokens(t *testing.T) {
	const roles = "urn:zitadel:iam:org:project:roles"
	tests := []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		kind   errs.Kind
	}{
		{"active", active(), ""},
		{"one audience of several", active(with("aud", []string{"other", audience})), ""},
		{"without exp and iss", active(without("exp"), without("iss")), ""},
		{"a type in another case", active(with("token_type", "bearer")), ""},
		{"inactive", inactive, errs.Unauthenticated},
		{"inactive with all claims", active(with("active", false)), errs.Unauthenticated},
		{"nothing said of active", says(200, `{"aud":"callout","sub":"user-1"}`), errs.Unauthenticated},
		{"expired", active(with("exp", 946684799)), errs.Unauthenticated}, // a bubble's time begins a second later
		{"expires now", active(with("exp", 946684800)), errs.Unauthenticated},
		{"not yet begun", active(with("nbf", 946684800+3600)), errs.Unauthenticated},
		{"another audience", active(with("aud", "other")), errs.Unauthenticated},
		{"no audience", active(without("aud")), errs.Unauthenticated},
		{"another issuer", active(with("iss", "https://evil.test")), errs.Unauthenticated},
		{"no subject", active(without("sub")), errs.Unauthenticated},
		{"bound to a key", active(with("token_type", "DPoP")), errs.Unauthenticated},
		{"a refresh token", active(with("token_type", "refresh_token")), errs.Unauthenticated},
		{"roles that are a number", active(with(roles, 7)), errs.Unauthenticated},
		{"active in a text", active(with("active", "true")), errs.Unavailable},
		{"no object", says(200, `[]`), errs.Unavailable},
		{"no JSON", says(200, `<html>`), errs.Unavailable},
		{"an endless answer", says(200, `{"active":true,"x":"`+strings.Repeat("x", 1<<20)+`"}`), errs.Unavailable},
		{"our own secret is refused", says(401, `{"error":"invalid_client"}`), errs.Unavailable},
		{"an error", says(500, `{"active":true}`), errs.Unavailable},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.test/introspect", http.StatusTemporaryRedirect)
		}, errs.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withIntrospection(t, func(t *testing.T, _ *issuer, q *questions, g *auth.Guard) {
				q.set(tt.answer)
				caller, err := g.Authenticate(t.Context(), "Bearer "+opaque, "")
				if tt.kind != "" {
					id := map[errs.Kind]string{errs.Unauthenticated: invalid}[tt.kind]
					wantError(t, err, tt.kind, id)
					if strings.Contains(err.Error(), opaque) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "user-1") {
						t.Errorf("the log learns %v", err)
					}
					return
				}
				if err != nil || caller.Subject != "user-1" || caller.Instance != action.DefaultInstance || caller.Allow(auth.TargetWrite) != nil {
					t.Errorf("got %+v, %v", caller, err)
				}
			})
		})
	}
}

func TestPermissionsOfIntrospectedTokens(t *testing.T) {
	withIntrospection(t, func(t *testing.T, _ *issuer, q *questions, g *auth.Guard) {
		g.ScopePermissions = true
		const roles = "urn:zitadel:iam:org:project:roles"
		for token, tt := range map[string]struct {
			edit        func(map[string]any)
			write, read errs.Kind
		}{
			"owner":  {with(roles, []string{"IAM_OWNER"}), "", ""},
			"viewer": {with(roles, map[string]any{"IAM_OWNER_VIEWER": nil}), errs.PermissionDenied, ""},
			"nobody": {without(roles), errs.NotFound, errs.NotFound},
			"scoped": {func(c map[string]any) { delete(c, roles); c["scope"] = "openid action.target.write" }, "", errs.PermissionDenied},
		} {
			q.set(active(tt.edit))
			for range 2 { // asked and remembered
				caller, err := g.Authenticate(t.Context(), "Bearer "+token, "")
				if err != nil {
					t.Fatal(err)
				}
				for p, want := range map[auth.Permission]errs.Kind{auth.TargetWrite: tt.write, auth.TargetRead: tt.read} {
					if err := caller.Allow(p); err == nil != (want == "") || err != nil && errs.KindOf(err) != want {
						t.Errorf("%s, %s: %v", token, p, err)
					}
				}
			}
		}
	})
}

// TestWhatIsAsked: opaque tokens alone go to the issuer, with our id and secret encoded as RFC 6749 wants it.
func TestWhatIsAsked(t *testing.T) {
	withIntrospection(t, func(t *testing.T, _ *issuer, q *questions, g *auth.Guard) {
		q.set(func(w http.ResponseWriter, r *http.Request) {
			id, secret, _ := r.BasicAuth()
			if id != "api%3A1" || secret != "s3cret+%C3%BC" || r.Method != http.MethodPost || r.URL.RawQuery != "" ||
				r.PostFormValue("token") != opaque || r.PostFormValue("token_type_hint") != "access_token" {
				t.Errorf("%s %s as %s %s, %v", r.Method, r.URL, id, secret, r.PostForm)
			}
			active()(w, r)
		})
		if _, err := g.Authenticate(t.Context(), "Bearer "+opaque, ""); err != nil {
			t.Error(err)
		}
		for _, token := range []string{"a.b.c", "..", "täken", "a token", "a,b", `a"b`, "a=b", strings.Repeat("x", 16<<10+1)} {
			_, err := g.Authenticate(t.Context(), "Bearer "+token, "")
			wantError(t, err, errs.Unauthenticated, invalid)
		}
		if err := authenticate(t, g, "rsa", "rsa"); err != nil {
			t.Error(err)
		}
		if q.count() != 1 {
			t.Errorf("asked %d times", q.count())
		}
	})
}

// TestHowLongFindingsAreKept: an active token for 30 s, never beyond its exp; one that is refused for 5 s; a failure not at all.
func TestHowLongFindingsAreKept(t *testing.T) {
	soon := func(c map[string]any) { c["exp"] = time.Now().Add(10 * time.Second).Unix() }
	tests := []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		kept   time.Duration
	}{
		{"active", active(), 30 * time.Second},
		{"active without exp", active(without("exp")), 30 * time.Second},
		{"active for ten seconds", active(soon), 10 * time.Second},
		{"inactive", inactive, 5 * time.Second},
		{"for another audience", active(with("aud", "other")), 5 * time.Second},
		{"unknown, for the issuer fails", says(503, ""), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withIntrospection(t, func(t *testing.T, _ *issuer, q *questions, g *auth.Guard) {
				q.set(tt.answer)
				_, first := g.Authenticate(t.Context(), "Bearer "+opaque, "")
				q.set(says(500, "")) // what is kept needs no issuer
				if tt.kept > 0 {
					time.Sleep(tt.kept - time.Millisecond)
					if _, err := g.Authenticate(t.Context(), "Bearer "+opaque, ""); fmt.Sprint(err) != fmt.Sprint(first) || q.count() != 1 {
						t.Errorf("at the end of its time: %v, first %v; asked %d times", err, first, q.count())
					}
					if _, err := g.Authenticate(t.Context(), "Bearer x"+opaque, ""); !errs.Is(err, errs.Unavailable) {
						t.Errorf("another token: %v", err)
					}
					time.Sleep(time.Millisecond)
				}
				asked := q.count()
				if _, err := g.Authenticate(t.Context(), "Bearer "+opaque, ""); !errs.Is(err, errs.Unavailable) || q.count() != asked+1 {
					t.Errorf("after its time: %v, asked %d times more", err, q.count()-asked)
				}
				q.set(active())
				if _, err := g.Authenticate(t.Context(), "Bearer "+opaque, ""); err != nil {
					t.Errorf("the issuer is back: %v", err)
				}
			})
		})
	}
}

// TestOneQuestionForManyCallers: and each waits as long as it likes; who leaves takes nothing from the others.
func TestOneQuestionForManyCallers(t *testing.T) {
	withIntrospection(t, func(t *testing.T, _ *issuer, q *questions, g *auth.Guard) {
		q.set(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Second)
			active()(w, r)
		})
		var wait sync.WaitGroup
		wait.Go(func() { // the first one, who asks
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			if _, err := g.Authenticate(ctx, "Bearer "+opaque, ""); !errs.Is(err, errs.Unavailable) || time.Since(start) != time.Second {
				t.Errorf("left after %v: %v", time.Since(start), err)
			}
		})
		time.Sleep(500 * time.Millisecond)
		for range 100 {
			wait.Go(func() {
				if _, err := g.Authenticate(t.Context(), "Bearer "+opaque, ""); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if q.count() != 1 {
			t.Errorf("asked %d times", q.count())
		}
	})
}

// TestIssuerThatHangsOnQuestions: nobody waits longer than for one question.
func TestIssuerThatHangsOnQuestions(t *testing.T) {
	withIntrospection(t, func(t *testing.T, _ *issuer, q *questions, g *auth.Guard) {
		q.set(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or the server would not see that the caller went
			<-r.Context().Done()
		})
		start := time.Now()
		_, err := g.Authenticate(t.Context(), "Bearer "+opaque, "")
		wantError(t, err, errs.Unavailable, "")
		if time.Since(start) > 10*time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
	})
}

// TestFloodOfOpaqueTokens: made-up tokens do not drive out what is known of good ones.
func TestFloodOfOpaqueTokens(t *testing.T) {
	withIntrospection(t, func(t *testing.T, _ *issuer, q *questions, g *auth.Guard) {
		if _, err := g.Authenticate(t.Context(), "Bearer "+opaque, ""); err != nil {
			t.Fatal(err)
		}
		q.set(inactive)
		for n := range 10100 {
			_, err := g.Authenticate(t.Context(), fmt.Sprint("Bearer ", n), "")
			wantError(t, err, errs.Unauthenticated, invalid)
		}
		asked := q.count()
		if _, err := g.Authenticate(t.Context(), "Bearer "+opaque, ""); err != nil || q.count() != asked {
			t.Errorf("the good one: %v, asked %d times", err, q.count()-asked)
		}
		if _, err := g.Authenticate(t.Context(), "Bearer 0", ""); err == nil || q.count() != asked+1 {
			t.Error("everything is remembered")
		}
	})
}

func TestIntrospectionEndpoints(t *testing.T) {
	for endpoint, good := range map[string]bool{issuerURL + "/introspect": true, "": false, "/introspect": false, "http://issuer.test/introspect": false, "ftp://issuer.test": false, "https://": false} {
		withIntrospection(t, func(t *testing.T, i *issuer, q *questions, g *auth.Guard) {
			i.set(func(i *issuer) { i.endpoint = endpoint })
			if _, err := g.Authenticate(t.Context(), "Bearer "+opaque, ""); good && err != nil || !good && !errs.Is(err, errs.Unavailable) {
				t.Errorf("%q: %v", endpoint, err)
			}
			if !good && q.count() > 0 {
				t.Errorf("%q: token and secret were sent", endpoint)
			}
		})
	}
}

package engine_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/errs"
)

// ending is a way in which the call of a target ends, and what it means (actions-v2.md sections 5.1 and 5.4). What it tells matters where the
// target interrupts; sync is for a target that is waited for.
type ending struct {
	name    string
	prepare func(*site, *action.Target) http.HandlerFunc
	sync    engine.Outcome
	tells   string
	// onlyCall: the body matters, and so it is no failure for a webhook.
	onlyCall bool
	// async is what a target that nobody waits for meets; empty means queued.
	async engine.Outcome
	// forms are those that it is about; nil means all.
	forms []action.PayloadType
}

func answers(status int, body string) func(*site, *action.Target) http.HandlerFunc {
	return func(*site, *action.Target) http.HandlerFunc { return says(status, body) }
}

func forwards(code int, message string) func(*site, *action.Target) http.HandlerFunc {
	return answers(200, fmt.Sprintf(`{"forwardedStatusCode":%d,"forwardedErrorMessage":%q}`, code, message))
}

func endings() []ending {
	const status = "failed_precondition EXEC-dra6yamk98: Execution failed"
	const noAnswer = "unknown EXEC-n0answ3r01: Execution failed: no answer from the target"
	all := []ending{
		{name: "empty", prepare: answers(200, ""), sync: engine.Success},
		{name: "no content", prepare: answers(204, ""), sync: engine.Success},
		{name: "no JSON", prepare: answers(200, "thanks"), sync: engine.Failed, onlyCall: true},
		{name: "a forwarded message without a code", prepare: forwards(0, "no"), sync: engine.Rejected, tells: "failed_precondition EXEC-bmhNhpcqpF: no"},
		{name: "a forwarded code without a message", prepare: forwards(403, ""), sync: engine.Rejected, tells: "permission_denied EXEC-reUaUZCzCp: "},
		{name: "a forwarded 308", prepare: forwards(308, "no"), sync: engine.Rejected, tells: "failed_precondition EXEC-bmhNhpcqpF: no"},
		{name: "a forwarded 500", prepare: forwards(500, "no"), sync: engine.Rejected, tells: "failed_precondition EXEC-bmhNhpcqpF: no"},
		{name: "a forwarded code that is a text", prepare: answers(200, `{"forwardedStatusCode":"403"}`), sync: engine.Success},
		{name: "forwarding with a status that is none", prepare: answers(403, `{"forwardedStatusCode":403}`), sync: engine.Failed, tells: status},
		{name: "a redirect", prepare: func(*site, *action.Target) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://target.test/elsewhere")
				w.WriteHeader(http.StatusTemporaryRedirect)
			}
		}, sync: engine.Failed, tells: status},
		{name: "400", prepare: answers(400, "secret"), sync: engine.Failed, tells: status},
		{name: "500", prepare: answers(500, ""), sync: engine.Failed, tells: status},
		{name: "it hangs", prepare: func(*site, *action.Target) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		}, sync: engine.Timeout, tells: "unknown EXEC-t1me0ut001: Execution failed: no answer from the target in time"},
		{name: "it hangs in its answer", prepare: func(*site, *action.Target) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, `{"a":`)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
		}, sync: engine.Timeout, tells: "unknown EXEC-t1me0ut001: Execution failed: no answer from the target in time"},
		{name: "it hangs up", prepare: func(*site, *action.Target) http.HandlerFunc {
			return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		}, sync: engine.Failed, tells: noAnswer},
		{name: "an address that is refused", prepare: func(_ *site, to *action.Target) http.HandlerFunc {
			to.Endpoint = "http://user:s3cret@target.test/"
			return nil
		}, sync: engine.Failed, tells: noAnswer},
		{name: "more than may be", prepare: answers(200, strings.Repeat(" ", engine.MaxMessage)+"{}"), sync: engine.Failed, tells: "unknown EXEC-t00large01: Execution failed: the target's answer is too large", onlyCall: true},
		{name: "its keys cannot be read", prepare: func(s *site, _ *action.Target) http.HandlerFunc {
			s.routes.route.Destinations[0].Err = errBroken
			return nil
		}, sync: engine.Failed, tells: "internal EXEC-thiiCh5b: An internal error occurred", async: engine.Failed},
		{name: "no key to encrypt to", forms: []action.PayloadType{action.PayloadJWE}, prepare: func(_ *site, to *action.Target) http.HandlerFunc {
			to.PublicKey = action.PublicKey{}
			return says(200, "")
		}, sync: engine.Failed, tells: "internal EXEC-2n8fhs7g: No encryption key found for target"},
		{name: "no key to sign with", forms: []action.PayloadType{action.PayloadJWT, action.PayloadJWE}, prepare: func(s *site, _ *action.Target) http.HandlerFunc {
			s.signs = errs.New(errs.Unavailable, "KEYS-1", "try again")
			return says(200, "")
		}, sync: engine.Failed, tells: "unavailable KEYS-1: try again"},
		{name: "a queue that takes nothing", prepare: func(s *site, _ *action.Target) http.HandlerFunc {
			s.queueErr = errBroken
			return says(200, "")
		}, sync: engine.Success, async: engine.Failed},
	}
	for code, kind := range map[int]string{
		400: "invalid_argument", 401: "unauthenticated", 403: "permission_denied", 404: "not_found", 409: "already_exists", 429: "resource_exhausted", 418: "unknown", 499: "unknown",
	} {
		all = append(all, ending{name: fmt.Sprint("a forwarded ", code), prepare: forwards(code, "no"), sync: engine.Rejected, tells: kind + " EXEC-reUaUZCzCp: no"})
	}
	return all
}

// TestEveryEnding: target type x ending x interruptOnError x kind of condition x payload type. A target that interrupts ends the call with its
// error, any other lets the next one be called.
func TestEveryEnding(t *testing.T) {
	keys := newForms(t)
	hooks := []engine.Hook{request(`{"a":0}`), response(`{"a":0}`), function(`{}`)}
	for _, e := range endings() {
		if e.forms == nil {
			e.forms = []action.PayloadType{action.PayloadJSON, action.PayloadJWT, action.PayloadJWE}
		}
		for _, kind := range []action.TargetType{action.Webhook, action.Call, action.Async, "newer"} {
			for _, interrupts := range []bool{true, false} {
				for _, hook := range hooks {
					for _, form := range e.forms {
						t.Run(fmt.Sprintf("%s/%s/interrupts %t/%s/%s", e.name, kind, interrupts, hook.Kind, form), func(t *testing.T) {
							inBubble(t, func(t *testing.T, s *site) {
								s.use(keys)
								e.check(t, s, keys, kind, interrupts, hook, form)
							})
						})
					}
				}
			}
		}
	}
}

// check runs a hook with a target that ends in this way, and one behind it.
func (e ending) check(t *testing.T, s *site, keys forms, kind action.TargetType, interrupts bool, hook engine.Hook, form action.PayloadType) {
	to := s.target(kind, interrupts, nil)
	to.PayloadType, to.PublicKey = form, action.PublicKey{ID: receiverID, Active: true, PEM: keys.public}
	s.handlers["t0"] = e.prepare(s, to)
	s.target(action.Webhook, true, says(200, ""))
	start := time.Now()
	result, err := s.engine.Run(t.Context(), hook)

	outcome, tells := e.expected(kind, hook.Kind)
	want := []engine.Outcome{outcome}
	if !interrupts || tells == "" {
		tells = ""
		want = append(want, engine.Success)
	}
	var got []engine.Outcome
	for _, c := range result.Calls {
		got = append(got, c.Outcome)
	}
	if diff := cmp.Diff(want, got); diff != "" || told(err) != tells {
		t.Errorf("told %q, want %q; outcomes (-want +got):\n%s", told(err), tells, diff)
	}
	if took := time.Since(start); took > time.Second || outcome == engine.Timeout && took != time.Second {
		t.Errorf("took %s", took)
	}
	if text := s.log.String(); strings.Contains(text, "s3cret") || outcome != engine.Success && outcome != engine.Queued && !strings.Contains(text, "target failed") {
		t.Errorf("log: %s", text)
	}
	if sent := s.sent(); len(sent) == len(want) && result.Calls[0].Status != 0 {
		if body, err := keys.open(t.Context(), form, sent[0]); err != nil || !json.Valid(body) {
			t.Errorf("received %q as %s: %v", sent[0], form, err)
		}
	}
}

// expected is how the call of a target of a type ends, and what it tells where it interrupts.
func (e ending) expected(kind action.TargetType, condition action.Kind) (outcome engine.Outcome, tells string) {
	switch {
	case kind == "newer" && e.async != "" && e.name != "a queue that takes nothing":
		return engine.Failed, e.tells
	case kind == "newer":
		return engine.Failed, "internal EXEC-auqnansr2m: An internal error occurred"
	case kind == action.Async && e.async != "":
		return e.async, ""
	case kind == action.Async:
		return engine.Queued, ""
	case kind == action.Webhook && e.onlyCall:
		return engine.Success, ""
	case e.name == "no JSON" && condition == action.Function:
		return e.sync, "failed_precondition ACTION-4m9s2: Response is not valid JSON"
	case e.name == "no JSON":
		return e.sync, "unknown EXEC-m3ssage001: Execution failed: the target's answer cannot be the message"
	}
	return e.sync, e.tells
}

package engine_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/engine"
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
		{name: "a JWE without a key to encrypt to", prepare: func(_ *site, to *action.Target) http.HandlerFunc {
			to.PayloadType = action.PayloadJWE
			return says(200, "")
		}, sync: engine.Failed, tells: "internal EXEC-2n8fhs7g: No encryption key found for target"},
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

// TestEveryEnding: target type x ending x interruptOnError x kind of condition. A target that interrupts ends the call with its error, any
// other lets the next one be called.
func TestEveryEnding(t *testing.T) {
	hooks := []engine.Hook{request(`{"a":0}`), response(`{"a":0}`), function(`{}`)}
	for _, e := range endings() {
		for _, kind := range []action.TargetType{action.Webhook, action.Call, action.Async, "newer"} {
			for _, interrupts := range []bool{true, false} {
				for _, hook := range hooks {
					t.Run(fmt.Sprintf("%s/%s/interrupts %t/%s", e.name, kind, interrupts, hook.Kind), func(t *testing.T) {
						inBubble(t, func(t *testing.T, s *site) {
							to := s.target(kind, interrupts, nil)
							s.handlers["t0"] = e.prepare(s, to)
							s.target(action.Webhook, true, says(200, ""))
							start := time.Now()
							result, err := s.engine.Run(t.Context(), hook)

							outcome, tells := e.sync, e.tells
							switch {
							case kind == "newer":
								outcome = engine.Failed
								if e.async == "" || e.name == "a queue that takes nothing" {
									tells = "internal EXEC-auqnansr2m: An internal error occurred"
								}
							case kind == action.Async:
								outcome, tells = e.async, ""
								if outcome == "" {
									outcome = engine.Queued
								}
							case kind == action.Webhook && e.onlyCall:
								outcome, tells = engine.Success, ""
							case e.name == "no JSON" && hook.Kind == action.Function:
								tells = "failed_precondition ACTION-4m9s2: Response is not valid JSON"
							case e.name == "no JSON":
								tells = "unknown EXEC-m3ssage001: Execution failed: the target's answer cannot be the message"
							}
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
						})
					})
				}
			}
		}
	}
}

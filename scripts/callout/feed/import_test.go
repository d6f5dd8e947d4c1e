package feed

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// run imports a text and gives what was refused, as "line: message".
func run(t *testing.T, i *Import, text string) (Result, []string, error) {
	t.Helper()
	var refused []string
	i.Refused = func(line int, message string) { refused = append(refused, fmt.Sprintf("%d: %s", line, message)) }
	result, err := i.Run(t.Context(), NewReader(strings.NewReader(text), "here"))
	return result, refused, err
}

// lines makes one event of each type, with ids e1, e2, …
func lines(types ...string) string {
	var text strings.Builder
	for i, eventType := range types {
		fmt.Fprintf(&text, "{\"type\":%q,\"id\":\"e%d\"}\n", eventType, i+1)
	}
	return text.String()
}

func TestImportBoundsRequests(t *testing.T) {
	tests := map[string]struct {
		text                string
		maxEvents, maxBytes int
		want                []request
	}{
		"by count": {strings.Repeat(lines("a"), 2500), 0, 0, []request{
			{"application/cloudevents-batch+json", 1000*59 + 1, 1000}, {"application/cloudevents-batch+json", 1000*59 + 1, 1000},
			{"application/cloudevents-batch+json", 500*59 + 1, 500}}},
		"by bytes, to the last": {strings.Repeat(lines("a"), 5), 0, 2*58 + 3, []request{
			{"application/cloudevents-batch+json", 2*58 + 3, 2}, {"application/cloudevents-batch+json", 2*58 + 3, 2}, {"application/cloudevents-batch+json", 60, 1}}},
		"by bytes, one short": {strings.Repeat(lines("a"), 3), 0, 2*58 + 2, []request{
			{"application/cloudevents-batch+json", 60, 1}, {"application/cloudevents-batch+json", 60, 1}, {"application/cloudevents-batch+json", 60, 1}}},
		"one that is alone too large is for the API to refuse": {lines("a"), 0, 10, []request{{"application/cloudevents-batch+json", 60, 1}}},
		"one form at a time": {lines("a", "a") + `{"event_type":"r","id":"1"}` + "\n" + lines("a"), 0, 0, []request{
			{"application/cloudevents-batch+json", 2*58 + 3, 2}, {"application/json", 40, 1}, {"application/cloudevents-batch+json", 60, 1}}},
		"nothing": {"\n\n", 0, 0, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				_, refused, err := run(t, &Import{Client: s.start(t), MaxEvents: test.maxEvents, MaxBytes: test.maxBytes}, test.text)
				if diff := cmp.Diff(test.want, s.requests, cmp.AllowUnexported(request{})); diff != "" || err != nil || refused != nil {
					t.Errorf("%v, %q; requests (-want +got):\n%s", err, refused, diff)
				}
			})
		})
	}
}

func TestImportReportsRefusedLines(t *testing.T) {
	text := lines("a", "bad", "a", "a", "bad") + "garbage\n" + `{"event_type":"bad ref","id":"r"}` + "\n" + `{"event_type":"r","id":"e8"}`
	tests := map[string]struct {
		keepGoing, anonymous bool
		accepted, refused    []string
	}{
		"and goes on": {true, false, []string{"e1", "e3", "e4", "e8"},
			[]string{"2: bad is bad", "5: bad is bad", "6: the line is not a JSON object", "7: bad ref is bad"}},
		"and stops": {false, false, []string{"e1"}, []string{"2: bad is bad"}},
		"and goes on where the API does not say which": {true, true, []string{"e1", "e3", "e4", "e8"},
			[]string{"2: something is bad", "5: something is bad", "6: the line is not a JSON object", "7: something is bad"}},
		"and stops where the API does not say which": {false, true, []string{"e1"}, []string{"2: something is bad"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{anonymous: test.anonymous}
				result, refused, err := run(t, &Import{Client: s.start(t), KeepGoing: test.keepGoing}, text)
				if err != nil || result != (Result{len(test.accepted), len(test.refused)}) {
					t.Errorf("%+v, %v", result, err)
				}
				if diff := cmp.Diff(test.accepted, s.accepted); diff != "" {
					t.Errorf("accepted (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.refused, refused); diff != "" {
					t.Errorf("refused (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The API names one bad event in a request: a file of them must not cost a request of very many events for each.
func TestImportOfBadLinesCostsLittle(t *testing.T) {
	for name, types := range map[string][]string{"all bad": {"bad"}, "every other one": {"bad", "a"}, "one in ten": {"bad", "a", "a", "a", "a", "a", "a", "a", "a", "a"}} {
		for _, anonymous := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, anonymous %v", name, anonymous), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var all []string
					for i := range 200 {
						all = append(all, types[i%len(types)])
					}
					s := &server{anonymous: anonymous}
					result, _, err := run(t, &Import{Client: s.start(t), KeepGoing: true, MaxEvents: 64}, lines(all...))
					if want := 200 / len(types); err != nil || result.Refused != want || result.Accepted != 200-want || len(s.accepted) != 200-want {
						t.Errorf("%+v and %d accepted, %v; want %d refused", result, len(s.accepted), err, want)
					}
					if s.sent > 8*200 {
						t.Errorf("%d events were sent for 200", s.sent)
					}
				})
			})
		}
	}
}

func TestImportRepeatsWithTheSameIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{first: []func(http.ResponseWriter){status(503), breakOff, status(429)}}
		result, _, err := run(t, &Import{Client: s.start(t)}, "{\"type\":\"a\"}\n{\"type\":\"a\"}\n")
		if err != nil || result != (Result{2, 0}) || len(s.requests) != 4 {
			t.Fatalf("%+v, %v, %d requests", result, err, len(s.requests))
		}
		for _, r := range s.requests[1:] {
			if r != s.requests[0] {
				t.Errorf("a repeated request is %+v, the first was %+v", r, s.requests[0])
			}
		}
	})
}

func TestImportStopsAtWhatIsNotAboutEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{first: repeat(1, func(w http.ResponseWriter) { refuse(w, 403, "no") })}
		result, refused, err := run(t, &Import{Client: s.start(t), KeepGoing: true}, lines("a", "a"))
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || refusal.Message != "no" || result != (Result{}) || refused != nil {
			t.Errorf("%+v, %q, %v", result, refused, err)
		}
		s.first = repeat(1, func(w http.ResponseWriter) { w.WriteHeader(202); _, _ = w.Write([]byte(`{"ids":["e1"]}`)) })
		if _, _, err = run(t, &Import{Client: s.start(t)}, lines("a", "a")); err == nil || !strings.Contains(err.Error(), "2 events were sent and 1 accepted") {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestImportSaysHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := lines("a", "bad", "a") + "\n"
		var read []int64
		i := &Import{Client: (&server{}).start(t), KeepGoing: true, Progress: func(n int64) { read = append(read, n) }}
		if _, _, err := run(t, i, text); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int64{23, 48, 71}, read); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
	})
}

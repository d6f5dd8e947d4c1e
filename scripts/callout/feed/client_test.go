package feed

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const oneEvent = `{"events":[{"id":"e1","event_type":"a"}]}`

func status(code int, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func breakOff(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func repeat(n int, answer func(http.ResponseWriter)) []func(http.ResponseWriter) {
	var all []func(http.ResponseWriter)
	for range n {
		all = append(all, answer)
	}
	return all
}

func TestPublishTriesAgain(t *testing.T) {
	tests := map[string]struct {
		first    []func(http.ResponseWriter)
		requests int
		// the whole of the pauses
		least, most time.Duration
	}{
		"at once":                     {nil, 1, 0, 0},
		"busy":                        {repeat(1, status(429)), 2, 250 * time.Millisecond, 750 * time.Millisecond},
		"away":                        {[]func(http.ResponseWriter){status(502), status(503), status(504)}, 4, 1750 * time.Millisecond, 5250 * time.Millisecond},
		"busy for a time it names":    {repeat(2, status(429, "Retry-After", "7")), 3, 14 * time.Second, 14 * time.Second},
		"away until a time it names":  {repeat(1, status(503, "Retry-After", "Sat, 01 Jan 2000 00:00:30 GMT")), 2, 30 * time.Second, 30 * time.Second},
		"a connection that breaks":    {repeat(1, breakOff), 2, 250 * time.Millisecond, 750 * time.Millisecond},
		"the last of all the chances": {repeat(7, status(503)), 8, 30 * time.Second, 90 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{first: test.first}
				client := s.start(t)
				var told time.Duration
				client.Again = func(_ error, wait time.Duration) { told += wait }
				began := time.Now()
				ids, err := client.Publish(t.Context(), "application/json", []byte(oneEvent), "")
				if diff := cmp.Diff([]string{"e1"}, ids); diff != "" || err != nil {
					t.Fatalf("%v, ids (-want +got):\n%s", err, diff)
				}
				if took := time.Since(began); took < test.least || took > test.most || took != told {
					t.Errorf("it took %v and told of %v, want %v to %v", took, told, test.least, test.most)
				}
				if len(s.requests) != test.requests {
					t.Errorf("%d requests, want %d", len(s.requests), test.requests)
				}
			})
		})
	}
}

func TestPublishGivesUp(t *testing.T) {
	tests := map[string]struct {
		first    []func(http.ResponseWriter)
		requests int
		says     string
	}{
		"what will not change":          {repeat(1, func(w http.ResponseWriter) { refuse(w, 403, "no (AUTH-AWfge)") }), 1, "no (AUTH-AWfge)"},
		"what is not the API":           {repeat(1, status(404)), 1, "the answer was 404 Not Found"},
		"an answer that is none":        {repeat(1, func(w http.ResponseWriter) { w.WriteHeader(202); _, _ = w.Write([]byte("<html>")) }), 1, "does not answer as a Callout API does"},
		"a pause of hours":              {repeat(1, status(503, "Retry-After", "7200")), 1, "503"},
		"what is away for too long":     {repeat(8, status(503)), 8, "503"},
		"connections that always break": {repeat(8, breakOff), 8, "EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{first: test.first}
				_, err := s.start(t).Publish(t.Context(), "application/json", []byte(oneEvent), "")
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("the error is %v, want %q", err, test.says)
				}
				if len(s.requests) != test.requests {
					t.Errorf("%d requests, want %d", len(s.requests), test.requests)
				}
			})
		})
	}
}

func TestPublishStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := (&server{first: repeat(8, status(503))}).start(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := client.Publish(ctx, "application/json", []byte(oneEvent), "")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestRefusalIndex(t *testing.T) {
	tests := map[string]struct {
		refusal Refusal
		index   int
		message string
		ok      bool
	}{
		"an event":              {Refusal{Status: 400, Message: "events[12]: id: too\nlong"}, 12, "id: too\nlong", true},
		"an event too large":    {Refusal{Status: 413, Message: "events[0]: large"}, 0, "large", true},
		"the whole":             {Refusal{Status: 400, Message: "a batch is an array"}, 0, "", false},
		"not about events":      {Refusal{Status: 500, Message: "events[1]: x"}, 0, "", false},
		"an index that is none": {Refusal{Status: 400, Message: "events[99999999]: x"}, 0, "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			index, message, ok := test.refusal.Index()
			if index != test.index || message != test.message || ok != test.ok {
				t.Errorf("got %d, %q, %v", index, message, ok)
			}
		})
	}
}

package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/callout-dev/callout/emulator/local/localtest"
	"github.com/callout-dev/callout/scripts/examples/setup"
)

// running is the example beside an installation: a login with these X-Forwarded-For gives a status and a body.
func running(t *testing.T, l *localtest.Installation, e example) (p setup.Program, login func(forwarded ...string) (int, string)) {
	t.Helper()
	address, err := setup.Local(l.Data)
	if err != nil {
		t.Fatal(err)
	}
	i, err := setup.Open(t.Context(), address, l.Client)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = e.start(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	return p, func(forwarded ...string) (int, string) {
		body := strings.NewReader(`{"checks":{"user":{"loginName":"kim"}}}`)
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+e.host+createSession, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "X-Forwarded-For": forwarded}
		response, err := l.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
}

func TestLoginIsRefusedByAddress(t *testing.T) {
	tests := []struct {
		name      string
		forwarded []string
		status    int
		says      string
	}{
		{"on the list", []string{"203.0.113.7"}, 200, "sessionId"},
		{"on the list, version 6", []string{"2001:db8::7"}, 200, "sessionId"},
		{"on the list, written as version 6", []string{"::ffff:203.0.113.7"}, 200, "sessionId"},
		{"on the list, by way of another proxy", []string{"198.51.100.7, 203.0.113.7"}, 200, "sessionId"},
		{"not on the list", []string{"198.51.100.7"}, 403, `no login from \"198.51.100.7\"`},
		{"says that it comes from the list", []string{"203.0.113.7, 198.51.100.7"}, 403, "no login from"},
		{"says so in a header of its own", []string{"203.0.113.7", "198.51.100.7"}, 403, "no login from"},
		{"no address", nil, 403, "no login from"},
		{"no address but a name", []string{"localhost"}, 403, "no login from"},
	}
	localtest.Run(t, func(t *testing.T, l *localtest.Installation) {
		e := example{host: "127.0.0.1:9101", target: "127.0.0.1:9102", allow: "203.0.113.0/24, 2001:db8::/32"}
		program, login := running(t, l, e)
		l.Serve(t, e.host, program.Serves[e.host])
		stop := l.Serve(t, e.target, program.Serves[e.target])
		for _, tt := range tests {
			if status, body := login(tt.forwarded...); status != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("%s: %d %s", tt.name, status, body)
			}
		}
		t.Log("somebody else than Callout asks the target")
		response, err := l.Client.Post("http://"+e.target+"/", "application/json", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%d", response.StatusCode)
		}
		t.Log("the target is away")
		stop()
		if status, body := login("203.0.113.7"); status < 400 || strings.Contains(body, "sessionId") {
			t.Errorf("%d %s", status, body)
		}
		t.Log("it comes back after a restart, with another list")
		e.allow = "198.51.100.7/32"
		program, login = running(t, l, e)
		l.Serve(t, e.target, program.Serves[e.target])
		if status, body := login("198.51.100.7"); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
	})
}

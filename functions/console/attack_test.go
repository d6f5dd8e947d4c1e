package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/callout-dev/callout/emulator/local/localtest"
)

// Bytes that are no text are refused as what they are, in every field.
func TestBytesThatAreNoText(t *testing.T) {
	run(t, "admin", func(s *site) {
		s.target("orders")
		s.post(http.StatusOK, "/console/try/event", "type", "order.created", "id", "o-1", "payload", "{}")
		paths, forms := s.crawl("/console/", "/console/explain?source=&id=o-1")
		for _, text := range []string{"a\xff\xc0\x80\xed\xa0\x80b"} {
			for _, path := range paths {
				s.sweep(text, path)
			}
			for _, f := range forms {
				if !strings.HasSuffix(f.action, "/delete") {
					s.fill(text, f)
				}
			}
		}
		s.has(s.post(http.StatusUnprocessableEntity, "/console/targets/new", "name", "a\xffb", "endpoint", "http://127.0.0.1:9000/", "timeout", "5s"),
			"a field has bytes that are no text")
	})
}

func TestLargeForms(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		many := url.Values{"do": {"up 1"}, "target": make([]string, 9_000)}
		for i := range many["target"] {
			many["target"][i] = "x"
		}
		page := s.Post(s.t, s.Info.API+"/console/executions/edit?condition=event", many)
		if page.Status != http.StatusOK || len(page.Body) > 100_000 {
			t.Errorf("9,000 targets: %d, a page of %d bytes", page.Status, len(page.Body))
		}
		many.Set("do", "save")
		s.has(s.want(http.StatusUnprocessableEntity, s.Post(s.t, s.Info.API+"/console/executions/edit?condition=event", many)), "problem")
		many["target"] = make([]string, 100_000) // more than a form is read of
		for _, path := range []string{"/console/try/event", "/console/targets/new", "/console/executions/edit?condition=event"} {
			s.has(s.want(http.StatusRequestEntityTooLarge, s.Post(s.t, s.Info.API+path, many)), "Nothing was changed")
		}
		long := strings.Repeat("A", 30_000)
		for _, path := range []string{"/console/targets?q=", "/console/executions/new?q=", "/console/deliveries?text=", "/console/explain?id=",
			"/console/try?type=", "/console/executions/edit?condition=event%2F", "/console/targets/", "/console/deliveries/"} {
			if page := s.Get(s.t, s.Info.API+path+long); page.Status >= 500 {
				t.Errorf("%s with 30 kB: %d", path, page.Status)
			}
		}
		cookie := s.cookie()
		for _, n := range []int{4_000, 30_000} {
			cookie.Value = long[:n]
			page := s.with(cookie).Get(t, s.Info.API+"/console/targets")
			if !isOut(page) && page.Status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("a cookie of %d bytes: %d", n, page.Status)
			}
		}
	})
}

// No path leads out of the console, or to a page without its headers.
func TestPaths(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		direct := *s.Installation.Client
		direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		cookie := s.cookie()
		for _, path := range []string{"/console//evil.example", "/console//evil.example/%2e%2e", "//evil.example/console/..", "/console/%2f%2fevil.example",
			"/console/%2e%2e/v1/events", "/console/..%2fv1", "/console/targets/%2e%2e", "/console/targets/..%2f..%2fv1", "/console/targets/%00",
			"/console/static/..%2fpage%2fframe.html", "/console/static/%2e%2e/console.go", "/console/static/", "/console/\\evil.example",
			"/console/targets/;a=b", "/console;x", "/console/.", "/console/targets/a%2fb/edit"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Info.API+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.URL.Opaque = "//" + request.URL.Host + path // as it is
			request.AddCookie(&cookie)
			response, err := direct.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			there, err := response.Location()
			if response.StatusCode == http.StatusOK || response.StatusCode >= 500 || err == nil && there.Host != request.URL.Host {
				t.Errorf("%s: %d, to %v", path, response.StatusCode, there)
			}
			// What is not the console's is answered by nobody, in JSON.
			if response.Header.Get("Content-Type") != "application/json" && response.Header.Get("Content-Security-Policy") == "" && err != nil {
				t.Errorf("%s: %d %v without the policy", path, response.StatusCode, response.Header)
			}
		}
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "TRACE", "QUERY"} {
			request, err := http.NewRequestWithContext(t.Context(), method, s.Info.API+"/console/targets", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := direct.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK || response.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %d %v", method, response.StatusCode, response.Header)
			}
		}
	})
}

// Every page behind the sign-in is nobody's but its reader's, whatever its status.
func TestPagesAreNotKept(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		id := s.target("orders")
		paths, _ := s.crawl("/console/")
		for _, path := range append(paths, "/console/targets/none", "/console/none", "/console/targets/"+id+"?x") {
			h := s.Get(s.t, s.Info.API+path).Header
			if h.Get("Cache-Control") != "no-store" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") ||
				h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", path, h)
			}
		}
	})
}

// Two people in one browser, one after the other: nothing of the first is left for the second, and no cookie of one works for the other.
func TestTwoPeople(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		first := s.cookie()
		direct := *s.Installation.Client
		direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		id := s.target("orders")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Info.API+"/console/targets/"+id+"/rotate", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.AddCookie(&first)
		response, err := direct.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		var note *http.Cookie // holds the new key
		for _, c := range response.Cookies() {
			if c.Name == "__Host-callout-note" {
				note = c
			}
		}
		if note == nil || strings.Contains(note.Value, "key") || !note.HttpOnly || !note.Secure || note.MaxAge > 60 {
			t.Fatalf("the note is %+v", note)
		}
		viewer := localtest.NewBrowser(s.Installation.Client)
		viewer.SignIn(t, s.Info.API, "/console/", "viewer", s.Info.Clients["viewer"].Secret)
		viewer.Cookies[s.host()][note.Name] = note
		if page := viewer.Get(t, s.Info.API+"/console/targets"); strings.Contains(page.Body, `class="note"`) {
			t.Error("the note of one session is shown in another")
		}
		s.signIn("viewer", "/console/") // in the browser where somebody else is signed in
		if page := s.with(first).Get(t, s.Info.API+"/console/targets"); !isOut(page) {
			t.Errorf("the session before it goes on: %d", page.Status)
		}
		s.post(http.StatusForbidden, "/console/targets/"+id+"/pause")
	})
}

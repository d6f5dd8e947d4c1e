package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/callout-dev/callout/emulator/local/localtest"
)

// site is an installation and a browser in which somebody has signed in.
type site struct {
	t *testing.T
	*localtest.Installation
	*localtest.Browser
}

// run runs a test in a bubble, as a user who has signed in.
func run(t *testing.T, user string, test func(*site)) {
	t.Helper()
	localtest.Run(t, func(t *testing.T, i *localtest.Installation) {
		s := &site{t: t, Installation: i, Browser: localtest.NewBrowser(i.Client)}
		if page := s.signIn(user, "/console/"); page.Status != http.StatusOK {
			t.Fatalf("signed in: %d %s", page.Status, page.Body)
		}
		test(s)
	})
}

func (s *site) signIn(user, to string) localtest.Page {
	s.t.Helper()
	return s.SignIn(s.t, s.Info.API, to, user, s.Info.Clients[user].Secret)
}

// get opens a page, which must be answered so.
func (s *site) get(status int, path string) localtest.Page {
	s.t.Helper()
	return s.want(status, s.Get(s.t, s.Info.API+path))
}

// post sends a form.
func (s *site) post(status int, path string, fields ...string) localtest.Page {
	s.t.Helper()
	return s.want(status, s.Post(s.t, s.Info.API+path, form(fields)))
}

// form makes a form of names and values in turns.
func form(fields []string) url.Values {
	values := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	return values
}

// quote makes JSON of a text.
func quote(text string) string {
	all, _ := json.Marshal(text) // texts can be encoded
	return string(all)
}

func (s *site) want(status int, page localtest.Page) localtest.Page {
	s.t.Helper()
	if page.Status != status {
		s.t.Fatalf("%s: %d, want %d\n%s", page.URL, page.Status, status, page.Body)
	}
	return page
}

// target makes a target by the form, and gives its id.
func (s *site) target(name string, more ...string) string {
	s.t.Helper()
	fields := append(more, "name", name, "endpoint", "http://127.0.0.1:9000/hook", "timeout", "5s", "kind", "webhook", "payload",
		"json") // the first of a name counts
	page := s.post(http.StatusOK, "/console/targets/new", fields...)
	return strings.TrimPrefix(page.URL.Path, "/console/targets/")
}

// has checks that a page has texts.
func (s *site) has(page localtest.Page, texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(page.Body, text) {
			s.t.Errorf("%s does not have %q:\n%s", page.URL, text, page.Body)
		}
	}
}

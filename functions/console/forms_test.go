package console_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/callout-dev/callout/emulator/local/localtest"
	"github.com/callout-dev/callout/functions/console"
)

// formFound is a form of a page: where it is sent, and its fields with what they have now.
type formFound struct {
	method, action string
	fields         url.Values
}

// crawl goes to all pages that lead to each other, and gives their paths and their forms, each once. Ids in paths count as one.
func (s *site) crawl(from ...string) (paths []string, forms []formFound) {
	s.t.Helper()
	id := regexp.MustCompile(`[a-z0-9]{20,}|condition=[^&]*|page=[^&]*&?|at=[^&]*&?|offset=\d+|id=[^&]*|source=[^&]*`)
	seen := map[string]bool{}
	once := func(what string) bool {
		key := id.ReplaceAllString(what, "ID")
		was := seen[key]
		seen[key] = true
		return !was
	}
	for queue := slices.Clone(from); len(queue) > 0; queue = queue[1:] {
		path := queue[0]
		if !once(path) {
			continue
		}
		paths = append(paths, path)
		links, found := parts(s.get(http.StatusOK, path))
		queue = append(queue, links...)
		for _, f := range found {
			if once(f.method + " " + f.action + " " + f.fields.Get("do")) {
				forms = append(forms, f)
			}
		}
	}
	return paths, forms
}

// parts are the links to the console in a page, and its forms.
func parts(page localtest.Page) (links []string, forms []formFound) {
	tokens, option := html.NewTokenizer(strings.NewReader(page.Body)), ""
	for tokens.Next() != html.ErrorToken {
		token := tokens.Token()
		attributes := map[string]string{}
		for _, a := range token.Attr {
			attributes[a.Key] = a.Val
		}
		switch name := attributes["name"]; {
		case token.Type == html.EndTagToken:
		case token.Data == "a" && strings.HasPrefix(attributes["href"], "/console/"):
			links = append(links, attributes["href"])
		case token.Data == "form":
			forms = append(forms, formFound{attributes["method"], attributes["action"], url.Values{}})
		case token.Data == "select" || token.Data == "textarea":
			option = name
			forms[len(forms)-1].fields.Set(name, "")
		case token.Data == "option" && forms[len(forms)-1].fields.Get(option) == "":
			forms[len(forms)-1].fields.Set(option, attributes["value"])
		case (token.Data == "input" || token.Data == "button") && name != "":
			forms[len(forms)-1].fields.Set(name, attributes["value"])
		}
	}
	return links, forms
}

// TestScriptsAreTexts has an installation whose every name and answer is a text of the corpus, goes to every page of it, and puts the corpus
// into every field of every form and every parameter of every link that it finds there.
func TestScriptsAreTexts(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		var answer string
		s.Serve(s.t, "127.0.0.1:9000", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Retry-After", answer)
			http.Error(w, answer, http.StatusInternalServerError)
		}))
		all := strings.Join(console.Corpus, " ") // each of them by itself is the matter of another test
		for i, text := range []string{all, `javascript:alert(1)`} {
			answer = text
			id := s.target(text, "endpoint", "http://127.0.0.1:9000/"+url.PathEscape(text))
			s.post(http.StatusOK, "/console/executions/edit?condition=event%2Forder.created", "do", "save", "target", id)
			s.post(http.StatusOK, "/console/try/event", "type", "order.created", "id", text, "aggregate", text, "payload", `{"x":`+quote(text)+`}`)
			time.Sleep(time.Second)
			paths, forms := s.crawl("/console/", "/console/explain?source=&id="+url.QueryEscape(text), "/console/targets/"+id)
			if i == 0 && (len(paths) < 15 || len(forms) < 15) {
				t.Errorf("only %d pages and %d forms: %q %+v", len(paths), len(forms), paths, forms)
			}
			for _, path := range paths {
				s.clean(text, s.get(http.StatusOK, path))
				s.sweep(text, path)
			}
			slices.SortFunc(forms, func(a, b formFound) int { // what deletes comes last
				return strings.Count(a.action, "delete") - strings.Count(b.action, "delete")
			})
			for _, f := range forms {
				s.fill(text, f)
			}
		}
	})
}

// clean checks that a page has nothing that none of our templates makes.
func (s *site) clean(text string, page localtest.Page) {
	s.t.Helper()
	if page.Status >= http.StatusInternalServerError {
		s.t.Errorf("%s with %q: %d", page.URL, text, page.Status)
	}
	for _, found := range console.Foreign(page.Body) {
		s.t.Errorf("%s with %q: %s", page.URL, text, found)
	}
}

// sweep asks for a path with the text in place of each of its parts and parameters.
func (s *site) sweep(text, path string) {
	s.t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		s.t.Fatal(err)
	}
	steps := strings.Split(strings.TrimPrefix(u.Path, "/console/"), "/")
	for i := range steps {
		changed := slices.Clone(steps)
		changed[i] = url.PathEscape(text)
		s.clean(text, s.Get(s.t, s.Info.API+"/console/"+strings.Join(changed, "/")))
	}
	for name := range u.Query() {
		changed := u.Query()
		changed.Set(name, text)
		s.clean(text, s.Get(s.t, s.Info.API+u.Path+"?"+changed.Encode()))
	}
}

// fill sends a form with the text in each field by itself, and in all of them together.
func (s *site) fill(text string, f formFound) {
	s.t.Helper()
	if f.action == "/console/signout" {
		return
	}
	all := url.Values{}
	for name := range f.fields {
		all.Set(name, text)
		one := url.Values{}
		for other := range f.fields {
			one.Set(other, f.fields.Get(other))
		}
		one.Set(name, text)
		s.send(text, f, one)
	}
	s.send(text, f, all)
}

func (s *site) send(text string, f formFound, fields url.Values) {
	s.t.Helper()
	if f.method == "get" {
		s.clean(text, s.Get(s.t, s.Info.API+f.action+"?"+fields.Encode()))
		return
	}
	s.clean(text, s.Post(s.t, s.Info.API+f.action, fields))
}

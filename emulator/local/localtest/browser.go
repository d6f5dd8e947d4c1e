package localtest

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Browser goes through pages as a browser does that runs no scripts: it follows redirects and keeps cookies, those for https on loopback
// too.
type Browser struct {
	Client *http.Client
	// Cookies are those of each host, by their names.
	Cookies map[string]map[string]*http.Cookie

	at *url.URL
}

// NewBrowser makes one that has been nowhere yet.
func NewBrowser(client *http.Client) *Browser {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Browser{Client: &own, Cookies: map[string]map[string]*http.Cookie{}}
}

// Page is where a browser has come to.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
}

// Get opens a page; a path is one of the host where the browser is.
func (b *Browser) Get(t testing.TB, to string) Page {
	t.Helper()
	return b.open(t, http.MethodGet, to, nil)
}

// Post sends a form.
func (b *Browser) Post(t testing.TB, to string, form url.Values) Page {
	t.Helper()
	return b.open(t, http.MethodPost, to, form)
}

func (b *Browser) open(t testing.TB, method, to string, form url.Values) Page {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if b.at != nil {
			target = b.at.ResolveReference(target)
		}
		response, body := b.send(t, method, target, form)
		b.at = target
		there, err := response.Location()
		if err != nil || response.StatusCode/100 != 3 {
			return Page{URL: target, Status: response.StatusCode, Header: response.Header, Body: body}
		}
		method, form, target = http.MethodGet, nil, there
	}
	t.Fatalf("%s: more than ten redirects", to)
	return Page{}
}

func (b *Browser) send(t testing.TB, method string, target *url.URL, form url.Values) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target.String(), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", target.Scheme+"://"+target.Host)
		request.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if b.at != nil && b.at.Host == target.Host {
		request.Header.Set("Referer", b.at.String())
	}
	for _, c := range b.Cookies[target.Host] {
		request.AddCookie(c)
	}
	response, err := b.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range response.Cookies() {
		if b.Cookies[target.Host] == nil {
			b.Cookies[target.Host] = map[string]*http.Cookie{}
		}
		b.Cookies[target.Host][c.Name] = c
		if c.MaxAge < 0 {
			delete(b.Cookies[target.Host], c.Name)
		}
	}
	return response, string(body)
}

var hiddenRequest = regexp.MustCompile(`name="request" value="([^"]*)"`)

// SignIn begins at the console of an installation, gives user and password at its issuer, and returns where that leads.
func (b *Browser) SignIn(t testing.TB, api, to, user, password string) Page {
	t.Helper()
	form := b.Get(t, api+"/console/signin?"+url.Values{"to": {to}}.Encode())
	found := hiddenRequest.FindStringSubmatch(form.Body)
	if found == nil {
		t.Fatalf("%s is no page to sign in at: %d %s", form.URL, form.Status, form.Body)
	}
	return b.Post(t, "/signin", url.Values{"request": {html.UnescapeString(found[1])}, "user": {user}, "password": {password}})
}

package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/logging"
)

// patience bounds one step.
const patience = 30 * time.Second

// chromium finds a browser, or skips the test and says so.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no browser is installed here: apt-get install chromium")
	return ""
}

// target is where deliveries go; it fails while it is broken.
type target struct {
	*httptest.Server
	broken atomic.Bool
	says   atomic.Pointer[string] // what it answers while it is broken
}

func newTarget(t *testing.T) *target {
	t.Helper()
	s := &target{}
	s.says.Store(new("out of <order>"))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.broken.Load() {
			http.Error(w, *s.says.Load(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(`{"item":"seen"}`))
	}))
	t.Cleanup(s.Close)
	return s
}

// browser is a Chromium in which somebody looks at an installation.
type browser struct {
	t    *testing.T
	ctx  context.Context // of the tab
	info local.Info

	mu       sync.Mutex
	problems []string
	question string // that a page may ask, and which is answered with yes
}

// open starts an installation and a browser.
func open(t *testing.T) *browser {
	t.Helper()
	path := chromium(t)
	const free = "127.0.0.1:0"
	l, err := local.Start(t.Context(), local.Config{
		Listen: free, Issuer: free, EgressAllow: local.DefaultEgressAllow, Log: logging.Discard(),
		Environ: []string{"CALLOUT_RETRY_SCHEDULE=1s,1s,1s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx)
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx, info: l.Info}
	if err := chromedp.Do(ctx, chromedp.Func(b.watch)); err != nil { // starts the browser, which lives as long as this context
		t.Fatal(err)
	}
	t.Cleanup(b.checkProblems)
	return b
}

// watch notes requests to other origins, scripts that fail, dialogs that nobody expects, and what the policy has stopped.
func (b *browser) watch(_ context.Context, tab *chromedp.Target) error {
	follow(b, tab, network.RequestWillBeSent, func(e network.EventRequestWillBeSent) string {
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme == "data" || u.Scheme == "about" || u.Scheme+"://"+u.Host == b.info.API ||
			u.Scheme+"://"+u.Host == b.info.Issuer {
			return ""
		}
		return "a request to another origin: " + e.Request.URL
	})
	follow(b, tab, runtime.ExceptionThrown, func(e runtime.EventExceptionThrown) string {
		return fmt.Sprintf("a script failed: %+v", e.ExceptionDetails)
	})
	follow(b, tab, page.JavascriptDialogOpening, func(e page.EventJavascriptDialogOpening) string {
		_, err := cdp.Call(b.ctx, tab, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		b.mu.Lock()
		defer b.mu.Unlock()
		if err != nil || e.Type != page.DialogTypeConfirm || e.Message != b.question {
			return fmt.Sprintf("a dialog: %s %q %v", e.Type, e.Message, err)
		}
		b.question = ""
		return ""
	})
	follow(b, tab, log.EntryAdded, func(e log.EventEntryAdded) string {
		if strings.Contains(e.Entry.Text, "Content Security Policy") {
			return e.Entry.Text
		}
		return ""
	})
	for _, method := range []string{"Network.enable", "Runtime.enable", "Log.enable", "Page.enable"} {
		if _, err := cdp.Call(b.ctx, tab, cdp.Command[cdp.Empty, cdp.Empty]{Method: method}, cdp.Empty{}); err != nil {
			return err
		}
	}
	return nil
}

// follow keeps what is wrong with events of a sort, as long as the tab lives.
func follow[E any](b *browser, tab *chromedp.Target, event cdp.Event[E], wrong func(E) string) {
	events := cdp.Events(b.ctx, tab, event)
	go func() {
		for e, err := range events {
			if err != nil {
				return
			}
			if problem := wrong(e); problem != "" {
				b.mu.Lock()
				b.problems = append(b.problems, problem)
				b.mu.Unlock()
			}
		}
	}()
}

func (b *browser) checkProblems() {
	for _, p := range b.takeProblems() {
		b.t.Error(p)
	}
}

func (b *browser) takeProblems() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, b.problems = b.problems, nil
	return all
}

// agree answers the next question with yes, if it is this one.
func (b *browser) agree(question string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.question = question
}

// do takes steps, which must succeed. Where one does not, the page is kept.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ask(b, chromedp.Steps(steps...))
}

// ask takes a step that has a result.
func ask[T any](b *browser, step chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, step)
	if err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
		b.keep("failure")
		b.t.Fatalf("%v\n%s", err, text)
	}
	return result
}

// press clicks what a selector finds, and waits for the page that comes.
func (b *browser) press(selector chromedp.CSS) {
	b.t.Helper()
	b.comes(chromedp.Click(selector))
}

// comes takes a step, and waits for the page that comes of it.
func (b *browser) comes(step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ask(b, func(ctx context.Context, _ *chromedp.Target) (*network.Response, error) {
		return chromedp.RunResponse(ctx, step)
	})
}

// visit opens a path of the console.
func (b *browser) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.info.API + path))
}

// fill gives a field a value as somebody does who types.
func (b *browser) fill(selector chromedp.CSS, value string) {
	b.t.Helper()
	ask(b, chromedp.Evaluate[bool](fmt.Sprintf("(e => { e.focus(); e.select(); return true; })(document.querySelector(%q))", selector)))
	b.do(chromedp.SendKeys(selector, value))
}

// choose takes the nth option of a select.
func (b *browser) choose(selector string, n int) {
	b.t.Helper()
	ask(b, chromedp.Evaluate[int](fmt.Sprintf("document.querySelector(%q).selectedIndex = %d", selector, n)))
}

// see waits until the page has a text. It asks again and again by itself: a promise that waits in the page may be lost with what it waits for.
func (b *browser) see(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// until waits until something holds of the page.
func (b *browser) until(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		has, err := chromedp.Run(ctx, chromedp.Evaluate[bool](condition))
		if has {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			b.keep("failure")
			b.t.Fatalf("this does not hold: %s: %v", condition, err)
		}
	}
}

// signIn goes through the issuer's page.
func (b *browser) signIn(user string) {
	b.t.Helper()
	b.visit("/console/")
	b.press("a.primary")
	b.fill("#user", user)
	b.fill("#password", b.info.Clients[user].Secret)
	b.press("main button")
	b.see("Sign out")
}

package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
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
	calls  atomic.Int32
}

func newTarget(t *testing.T) *target {
	t.Helper()
	s := &target{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.calls.Add(1)
		if s.broken.Load() {
			http.Error(w, "out of <order>", http.StatusInternalServerError)
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

// watch notes requests to other origins, scripts that fail, and what the policy has stopped.
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
	follow(b, tab, log.EntryAdded, func(e log.EventEntryAdded) string {
		if strings.Contains(e.Entry.Text, "Content Security Policy") {
			return e.Entry.Text
		}
		return ""
	})
	for _, method := range []string{"Network.enable", "Runtime.enable", "Log.enable"} {
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
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Error(p)
	}
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
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		has, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf("document.body.innerText.includes(%q)", text)))
		if has {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			b.keep("failure")
			b.t.Fatalf("%q is not to be seen: %v", text, err)
		}
	}
}

// signIn goes through the issuer's page.
func (b *browser) signIn(user string) {
	b.t.Helper()
	b.visit("/console/")
	b.look("door")
	b.press("a.primary")
	b.look("signin")
	b.fill("#user", user)
	b.fill("#password", b.info.Clients[user].Secret)
	b.press("main button")
	b.see("Sign out")
}

// look keeps pictures of the page, in light, in dark and on a phone, and checks what must hold of each.
func (b *browser) look(name string) {
	b.t.Helper()
	for _, m := range []struct {
		name, scheme string
		width        int64
	}{{"light", "light", 1280}, {"dark", "dark", 1280}, {"phone", "light", 390}, {"phone-dark", "dark", 390}} {
		b.screen(m.width, m.scheme)
		if wide := ask(b, chromedp.Evaluate[int64]("document.documentElement.scrollWidth")); wide > m.width {
			b.t.Errorf("%s is %d wide on a screen of %d", name, wide, m.width)
		}
		b.keep(name + "-" + m.name)
	}
	b.screen(1280, "")
	unnamed := ask(b, chromedp.Evaluate[[]string](`[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')]
		.filter(e => !(e.labels && e.labels.length) && !e.getAttribute('aria-label') && !e.textContent.trim()).map(e => e.outerHTML)`))
	for _, element := range unnamed {
		b.t.Errorf("%s: this has no name: %s", name, element)
	}
}

// screen sets how wide it is, and whether somebody likes it light or dark.
func (b *browser) screen(width int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// keep writes a picture of the page.
func (b *browser) keep(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), picture, 0o644)
	}
	if err != nil {
		b.t.Logf("no picture %s: %v", name, err)
	}
}

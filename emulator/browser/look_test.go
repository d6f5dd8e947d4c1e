package browser_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// look keeps pictures of the page, in light, in dark and on a phone, and checks what must hold of each.
func (b *browser) look(name string) {
	b.t.Helper()
	for _, m := range []struct {
		name, scheme string
		width        int64
	}{{"light", "light", 1280}, {"dark", "dark", 1280}, {"phone", "light", 390}} {
		b.screen(m.width, m.scheme)
		if wide := ask(b, chromedp.Evaluate[int64]("document.documentElement.scrollWidth")); wide > m.width {
			b.t.Errorf("%s is %d wide on a screen of %d", name, wide, m.width)
		}
		b.keep(name + "-" + m.name)
		b.audit(name + "-" + m.name)
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
	picture, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{
		CaptureBeyondViewport: new(true), FromSurface: new(true), OptimizeForSpeed: new(true),
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), picture.Data, 0o644)
	}
	if err != nil {
		b.t.Logf("no picture %s: %v", name, err)
	}
}

// audit has axe-core judge the page, where somebody has it: CALLOUT_AXE is the path of its axe.min.js.
func (b *browser) audit(name string) {
	b.t.Helper()
	path := os.Getenv("CALLOUT_AXE")
	if path == "" {
		return
	}
	source, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](string(source)+";true"))
		return err
	}))
	found := ask(b, chromedp.Evaluate[string](`axe.run().then(r => r.violations.flatMap(v => v.nodes.map(n =>
		v.id + ' (' + v.impact + '): ' + n.html + ' ' + n.failureSummary.replaceAll(/\s+/g, ' '))).join('\n'))`, chromedp.EvalAwaitPromise))
	if found = strings.TrimSpace(found); found != "" {
		b.t.Errorf("%s:\n%s", name, found)
	}
}

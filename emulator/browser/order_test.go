package browser_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestOrder puts the targets of an execution in order by keys, with a mouse and with a finger.
func TestOrder(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.signIn("admin")
	b.do(chromedp.KeyEvent(kb.Tab))
	if got := ask(b, chromedp.Evaluate[string]("document.activeElement.textContent")); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}
	for _, name := range []string{"one", "two", "three"} {
		b.visit("/console/targets/new")
		b.fill("#name", name)
		b.fill("#endpoint", "http://127.0.0.1:9/")
		b.do(chromedp.Focus(chromedp.CSS("#timeout")))
		b.comes(chromedp.KeyEvent(kb.Enter))
		b.see("The target is there")
	}
	b.visit("/console/executions/edit?condition=event%2Forder.created")
	for _, n := range []int{1, 2, 1} { // by name: one, three, two
		b.choose("#add", n)
		b.press("button[value=add]")
	}
	b.ordered("as added", "one,two,three")

	b.do(chromedp.Focus(chromedp.CSS(".sort li:first-child button[data-move=down]")), chromedp.KeyEvent(kb.Enter))
	b.ordered("by the button", "two,one,three")
	b.do(chromedp.KeyEvent(kb.ArrowUp, chromedp.KeyModifiers(chromedp.ModifierAlt)))
	b.ordered("by the arrow", "one,two,three")
	if got := ask(b, chromedp.Evaluate[string]("document.getElementById('said').textContent")); got != "one: place 1 of 3" {
		t.Errorf("what is said of it: %q", got)
	}

	b.drag(b.mouse, 0, 2)
	b.ordered("by the mouse, down", "two,three,one")
	b.drag(b.mouse, 2, 1)
	b.ordered("by the mouse, up", "two,one,three")
	b.hold(b.mouse, 0, 2)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.ordered("after Escape", "two,one,three")
	b.mouse("mouseReleased", 0, 0)

	b.do(chromedp.EmulateViewport(390, 900, chromedp.EmulateMobile, chromedp.EmulateTouch))
	b.drag(b.finger, 2, 0)
	b.ordered("by a finger", "three,two,one")
	b.look("execution-three")
	b.press("button[value=save]")
	b.see("The execution is set")
	b.visit("/console/executions/edit?condition=event%2Forder.created")
	b.ordered("saved", "three,two,one")
}

// TestLive stops a page that looks again by itself, and has it say that it is not the newest any more.
func TestLive(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.signIn("admin")
	b.visit("/console/deliveries")
	b.see("Live")
	b.do(chromedp.Click(chromedp.CSS("[data-live-toggle]")))
	b.see("Paused")
	b.do(chromedp.Click(chromedp.CSS("[data-live-toggle]")))
	b.see("Live")
	ask(b, chromedp.Evaluate[int]("fetch('/console/signout', {method: 'POST'}).then(r => r.status)", chromedp.EvalAwaitPromise))
	b.see("Signed out: load the page again")
}

func (b *browser) ordered(how, want string) {
	b.t.Helper()
	got := ask(b, chromedp.Evaluate[string]("[...document.querySelectorAll('.sort .name')].map(n => n.textContent).join()"))
	if got != want {
		b.t.Errorf("%s: %s, want %s", how, got, want)
	}
}

// drag takes an item of the list by its grip to the place of another one.
func (b *browser) drag(pointer func(string, float64, float64), from, to int) {
	b.t.Helper()
	x, y := b.hold(pointer, from, to)
	pointer("mouseReleased", x, y)
}

// hold does all of a drag but letting go.
func (b *browser) hold(pointer func(string, float64, float64), from, to int) (x, y float64) {
	b.t.Helper()
	grip := func(i int) (x, y float64) {
		at := ask(b, chromedp.Evaluate[[]float64](fmt.Sprintf(`(() => { const box = document.querySelectorAll('.sort .grip')[%d].getBoundingClientRect();
			return [box.x + box.width / 2, box.y + box.height / 2]; })()`, i)))
		return at[0], at[1]
	}
	fromX, fromY := grip(from)
	toX, toY := grip(to)
	beyond := 4.0 // past the middle of the item that is there
	if to < from {
		beyond = -beyond
	}
	pointer("mousePressed", fromX, fromY)
	for _, part := range []float64{0.3, 0.7, 1} {
		x, y = fromX+part*(toX-fromX), fromY+part*(toY-fromY+beyond)
		pointer("mouseMoved", x, y)
	}
	return x, y
}

func (b *browser) mouse(what string, x, y float64) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		params := input.DispatchMouseEventParams{Type: input.DispatchMouseEventType(what), X: x, Y: y, Button: "left", Buttons: 1, ClickCount: 1}
		_, err := cdp.Call(ctx, tab, input.DispatchMouseEvent, params)
		return err
	}))
}

// finger does as a mouse does, by touching.
func (b *browser) finger(what string, x, y float64) {
	b.t.Helper()
	params := input.DispatchTouchEventParams{TouchPoints: []*input.TouchPoint{{X: x, Y: y}}}
	switch what {
	case "mousePressed":
		params.Type = "touchStart"
	case "mouseMoved":
		params.Type = "touchMove"
	default:
		params.Type, params.TouchPoints = "touchEnd", []*input.TouchPoint{}
	}
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, input.DispatchTouchEvent, params)
		return err
	}))
}

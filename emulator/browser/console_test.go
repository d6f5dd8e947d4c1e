package browser_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestConsole is a working day: a target, an execution, an event that arrives; the target breaks, and is mended.
func TestConsole(t *testing.T) {
	b := open(t)
	s := newTarget(t)
	b.signIn("admin")
	b.see("Nothing was delivered in the last hour")
	b.look("overview-empty")

	// A target, after one that is refused.
	b.visit("/console/targets")
	b.press(".head a.primary")
	b.fill("#name", "orders")
	b.fill("#endpoint", "http://10.0.0.1/")
	b.press("main form button.primary")
	b.see("Callout may not call this address")
	b.look("target-form")
	b.fill("#endpoint", s.URL+"/hook")
	b.press("main form button.primary")
	b.see("The target is there")
	b.look("target")

	// An execution, by the picker.
	b.visit("/console/executions/new")
	b.fill("#q", "user.human.add")
	b.see("user.human.added")
	b.look("conditions")
	b.fill("#q", "order.created")
	b.see("order.created")
	b.press("#found a")
	b.choose("#add", 1)
	b.press("button[value=add]")
	b.look("execution")
	b.press("button[value=save]")
	b.see("The execution is set")
	b.look("executions")

	// An event that arrives.
	b.visit("/console/try")
	b.look("try")
	b.fill("#type", "order.created")
	b.press("form[action='/console/try/event'] button")
	b.see("delivered")
	b.look("explain")

	// One that does not, until the target is mended.
	s.broken.Store(true)
	b.visit("/console/try")
	b.press("form[action='/console/try/event'] button")
	b.see("will be tried again")
	b.visit("/console/deliveries")
	b.see("retrying")
	b.look("deliveries")
	b.press("tbody a.row")
	b.see("Attempt 3") // it looks again by itself
	b.see("out of <order>")
	b.look("delivery")
	b.see("dead")
	s.broken.Store(false)
	b.press("form[action$='/redeliver'] button")
	b.see("delivered")
	b.look("delivery-mended")
	b.visit("/console/")
	b.see("Failed attempts")
	b.look("overview")

	// A hook, before and after.
	b.visit("/console/targets/new")
	b.fill("#name", "changes")
	b.fill("#endpoint", s.URL+"/call")
	b.choose("#kind", 1)
	b.do(chromedp.Click(chromedp.CSS("#interrupt")))
	b.press("main form button.primary")
	b.see("The target is there")
	b.visit("/console/executions/edit?condition=request")
	b.choose("#add", 1)
	b.press("button[value=save]")
	b.see("Think about this first")
	b.look("execution-warning")
	b.do(chromedp.Click(chromedp.CSS("#sure")))
	b.press("button[value=save]")
	b.see("The execution is set")
	b.visit("/console/try")
	b.press("form[action='/console/try/hook'] button")
	b.see("\"item\": \"seen\"")
	b.look("hook")

	b.press("form[action='/console/signout'] button")
	b.see("You are signed out")
	b.visit("/console/targets")
	b.see("Sign in")
}

// TestKeyboard goes from page to page and orders a list without a pointer.
func TestKeyboard(t *testing.T) {
	b := open(t)
	b.signIn("admin")
	for _, name := range []string{"one", "two"} {
		b.visit("/console/targets/new")
		b.fill("#name", name)
		b.fill("#endpoint", "http://127.0.0.1:9/")
		b.do(chromedp.Focus(chromedp.CSS("#timeout")))
		b.comes(chromedp.KeyEvent(kb.Enter))
		b.see("The target is there")
	}
	b.visit("/console/executions/edit?condition=event%2Forder.created")
	for range 2 {
		b.choose("#add", 1)
		b.press("button[value=add]")
	}
	b.see("two")
	order := func() string {
		return ask(b, chromedp.Evaluate[string]("[...document.querySelectorAll('.sort .name')].map(n => n.textContent).join()"))
	}
	b.do(chromedp.Focus(chromedp.CSS(".sort li:first-child button[data-move=down]")), chromedp.KeyEvent(kb.Enter))
	if got := order(); got != "two,one" {
		t.Errorf("after the button: %s", got)
	}
	b.do(chromedp.KeyEvent(kb.ArrowUp, chromedp.KeyModifiers(chromedp.ModifierAlt)))
	if got := order(); got != "one,two" {
		t.Errorf("after the arrow: %s", got)
	}
	b.visit("/console/")
	b.do(chromedp.KeyEvent(kb.Tab))
	if got := ask(b, chromedp.Evaluate[string]("document.activeElement.textContent")); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}
}

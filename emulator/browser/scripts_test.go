package browser_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// hostile is a name, an answer and a payload that would be a script, were it not shown as a text. The tests beside the console have more of
// them, in each value; here a browser says what it makes of them.
const hostile = `</title></textarea></select><script>alert(1)</script><img src=x onerror=alert(2)><svg/onload=alert(3)>` +
	`<iframe srcdoc="<script>alert(4)</script>"></iframe>" autofocus onfocus="alert(5)' onmouseover='alert(6) {{7*7}} <style>*{display:none}</style>`

// TestScriptsAreTexts shows such a text in every place: none of it runs, asks, or is stopped by the policy alone.
func TestScriptsAreTexts(t *testing.T) {
	t.Parallel()
	b := open(t)
	s := newTarget(t)
	s.broken.Store(true)
	s.says.Store(new(hostile))
	b.signIn("admin")
	b.visit("/console/targets/new")
	b.put("#name", hostile)
	b.put("#endpoint", s.URL+"/"+`"><img/src=x/onerror=alert(7)>`)
	b.press("main form button.primary")
	b.see("The target is there")
	target := ask(b, chromedp.Evaluate[string]("location.pathname"))
	b.visit("/console/executions/edit?condition=event%2Forder.created")
	b.choose("#add", 1)
	b.press("button[value=save]")
	b.see("The execution is set")
	b.visit("/console/try")
	b.put("#type", "order.created")
	b.put("#id", hostile)
	b.put("#aggregate", hostile)
	b.put("#event-payload", quoted(hostile))
	b.press("form[action='/console/try/event'] button")
	b.see("retrying")
	b.shown("explain")
	delivery := ask(b, chromedp.Evaluate[string]("document.querySelector('td a[href^=\"/console/deliveries/\"]').getAttribute('href')"))
	for _, path := range []string{delivery, "/console/", "/console/deliveries", "/console/targets", target, target + "/edit", target + "/delete",
		"/console/executions", "/console/executions/edit?condition=event%2Forder.created"} {
		b.visit(path)
		b.shown(path)
	}

	// Fields that answer while one types, and forms that come back.
	for path, field := range map[string]string{"/console/targets": "#q", "/console/executions/new": "#q", "/console/deliveries": "#text"} {
		b.visit(path)
		b.put(field, hostile)
		b.until(fmt.Sprintf("new URLSearchParams(location.search).get(%q) !== null", strings.TrimPrefix(field, "#")))
		b.inert(path)
	}
	b.visit("/console/targets/new")
	for _, field := range []string{"#name", "#endpoint", "#timeout"} {
		b.put(field, hostile)
	}
	b.press("main form button.primary")
	b.shown("a form that came back")
	b.visit("/console/try")
	b.put("#name", hostile)
	b.put("#hook-payload", quoted(hostile))
	b.press("form[action='/console/try/hook'] button")
	b.shown("a hook that was refused")
	b.checkProblems()

	// What would have run is seen: the policy stops it, and says so.
	ask(b, chromedp.Evaluate[bool](`document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="alert(8)">'); true`))
	for end := time.Now().Add(patience); len(b.takeProblems()) == 0; {
		if time.Now().After(end) {
			t.Fatal("a script in the page is not seen")
		}
		b.until("true")
	}
}

// put gives a field a value at once, and tells the page.
func (b *browser) put(selector, value string) {
	b.t.Helper()
	ask(b, chromedp.Evaluate[bool](fmt.Sprintf(`(e => { e.value = %s; e.dispatchEvent(new Event('input', {bubbles: true})); return true; })
		(document.querySelector(%q))`, quoted(value), selector)))
}

// shown checks that the page has the text, in its words or in a field, and that it is no more than that.
func (b *browser) shown(where string) {
	b.t.Helper()
	b.until(`[document.body.innerText, ...[...document.querySelectorAll('input, textarea, option')].map(e => e.value + e.text)]
		.some(text => text.includes('<svg/onload=alert(3)>'))`)
	b.inert(where)
}

// inert checks that nothing of a hostile text is an element or an attribute.
func (b *browser) inert(where string) {
	b.t.Helper()
	found := ask(b, chromedp.Evaluate[[]string](`[...document.querySelectorAll('body script, iframe, main img, body style, [onerror], [onload], [onfocus],' +
		'[onmouseover], [src="x"]')].map(e => e.outerHTML)`))
	for _, element := range found {
		b.t.Errorf("%s: %s", where, element)
	}
}

// quoted is a text in JSON, which is one in JavaScript as well.
func quoted(text string) string {
	all, _ := json.Marshal(text) // texts can be encoded
	return string(all)
}

package console

import (
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Corpus are texts that would be more than texts in a page that is made carelessly.
var Corpus = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg/onload=alert(1)>`, `javascript:alert(1)`, `{{.Data}}${7*7}`,
	`" autofocus onfocus="alert(1)`, `' autofocus onfocus='alert(1)`, ` onmouseover=alert(1) x=`, `</textarea><script>alert(1)</script>`,
	`</title><script>alert(1)</script>`, `<!--<script>`, "`-alert(1)-`", `&lt;script&gt;`, `</script><script>alert(1)</script>`,
	`<a href="javascript:alert(1)">x</a>`, `<style>*{display:none}</style>`, `</option></select><script>alert(1)</script>`,
	`<base href="https://evil.example/">`, `<meta http-equiv="refresh" content="0;url=https://evil.example/">`, `//evil.example/`,
	`data:text/html,<script>alert(1)</script>`, `</pre></svg><iframe srcdoc="<script>alert(1)</script>">`, "\u202egnirts\u2066", "a\x00b\x1b[31m",
}

// Foreign are the parts of a page that none of our templates makes: elements, attributes, and links to elsewhere.
func Foreign(page string) (found []string) {
	elements := strings.Fields(`html head meta title link script noscript body a header img nav form span button main div p h1 h2 h3 dl dt dd figure
		figcaption strong svg line rect polyline section ul ol li table thead tbody tr th td label input select option textarea pre code details summary
		article time br mark`)
	attributes := strings.Fields(`lang charset name content rel href type src defer class id action method title alt width height for value placeholder
		maxlength autocomplete autocapitalize autofocus required spellcheck inputmode selected checked tabindex scope role datetime rows hidden open
		viewbox preserveaspectratio x y x1 x2 y1 y2 points`)
	tokens := html.NewTokenizer(strings.NewReader(page))
	for tokens.Next() != html.ErrorToken {
		token := tokens.Token()
		if token.Type == html.CommentToken {
			found = append(found, token.String())
		}
		if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
			continue
		}
		if !slices.Contains(elements, token.Data) {
			found = append(found, token.String())
		}
		for _, a := range token.Attr {
			own := slices.Contains(attributes, strings.ToLower(a.Key)) || strings.HasPrefix(a.Key, "aria-") || strings.HasPrefix(a.Key, "data-")
			if !own || leaves(a) {
				found = append(found, token.String())
			}
		}
		if token.Data == "script" && !strings.HasPrefix(attribute(token, "src"), root+"static/console.js?v=") {
			found = append(found, token.String())
		}
	}
	if err := tokens.Err(); err != io.EOF {
		found = append(found, err.Error())
	}
	return found
}

func attribute(token html.Token, name string) string {
	for _, a := range token.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// leaves says whether an attribute names something that is not a path of ours. The door alone has the whole of our URL.
func leaves(a html.Attribute) bool {
	if !slices.Contains([]string{"href", "src", "action"}, a.Key) {
		return false
	}
	path := strings.TrimPrefix(a.Val, "http://127.0.0.1:8080")
	return path != "" && !strings.HasPrefix(path, "#") && path != root && path != "/console" && !strings.HasPrefix(path, root) ||
		strings.HasPrefix(path, "//")
}

// What is let through is found: a test that finds nothing shows nothing otherwise.
func TestForeign(t *testing.T) {
	for _, page := range []string{`<p onclick=x>`, `<a href="javascript:x">`, `<a href="//evil.example/">`, `<a href="/v1/events">`, `<script>`,
		`<script src="https://evil.example/">`, `<style>`, `<iframe>`, `<p style="x">`, `<!-- x -->`, `<form action="https://evil.example/">`} {
		if len(Foreign(page)) == 0 {
			t.Errorf("%s passes", page)
		}
	}
}

// TestEveryValueIsEscaped makes each page with a text of the corpus in every value that it has: whatever will come from outside one day,
// and in whatever field, is a text in the page.
func TestEveryValueIsEscaped(t *testing.T) {
	data := map[string]any{
		"conditions": picker{}, "deliveries": deliveriesList{}, "delivery": deliveryPage{}, "door": door{}, "execution": executionForm{},
		"executions": executionsList{}, "explain": explainPage{}, "message": message{}, "overview": overviewPage{}, "target": targetPage{},
		"target_delete": targetPage{}, "target_form": targetForm{}, "targets": targetsList{}, "try": tryPage{},
	}
	for name, page := range pages() {
		empty, ok := data[name]
		if !ok {
			t.Errorf("%s: this test does not know what it shows", name)
			continue
		}
		for i, text := range append(Corpus, Corpus[0]) {
			value := reflect.New(reflect.TypeOf(empty)).Elem()
			fill(value, text, i < len(Corpus), 0) // at last, what may be is not
			f := frame{Title: text, User: text, Note: &note{Text: text, Secret: text}, Data: value.Interface()}
			var body strings.Builder
			if err := page.ExecuteTemplate(&body, "frame", f); err != nil {
				t.Fatalf("%s with %q: %v", name, text, err)
			}
			for _, found := range Foreign(harmless(body.String())) {
				t.Errorf("%s with %q: %s", name, text, found)
			}
		}
	}
}

// harmless takes out links whose whole value comes from this package, and which this test has filled with what it never has.
func harmless(page string) string {
	tokens, out := html.NewTokenizer(strings.NewReader(page)), new(strings.Builder)
	for tokens.Next() != html.ErrorToken {
		raw := string(tokens.Raw())
		token := tokens.Token()
		if link := attribute(token, "href"); token.Data == "a" && !strings.HasPrefix(link, root) && !strings.Contains(strings.ToLower(link), "script:") &&
			!strings.HasPrefix(link, "data:") {
			raw = "<a>"
			for _, a := range token.Attr {
				if a.Key != "href" && a.Key != "class" && a.Key != "aria-current" {
					raw += "<foreign " + a.Key + ">"
				}
			}
		}
		out.WriteString(raw)
	}
	return out.String()
}

// fill puts a text into every string of a value, and something into all else; present is what is said of what may be or not be.
func fill(v reflect.Value, text string, present bool, depth int) {
	if !v.CanSet() && v.Kind() != reflect.Struct || depth > 8 { // of what is embedded, the fields can be set
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(present)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(3)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text, present, depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), text, present, depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"", "name", "endpoint", "timeout", "schedule", "rate", "concurrency", "pem", "expires", "condition", "targets",
			"event_type", "event_payload", "aggregateID", "id", "payload", "response", "eventType"} {
			v.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(text).Convert(v.Type().Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), text, present, depth+1)
		}
	}
}

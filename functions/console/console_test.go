package console_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTargetLife(t *testing.T) {
	run(t, "admin", func(s *site) {
		for _, tt := range []struct{ field, value, want string }{
			{"endpoint", "http://10.0.0.1/", `id="endpoint-problem"`},
			{"endpoint", "ftp://example.com/", `id="endpoint-problem"`},
			{"timeout", "soon", `id="timeout-problem"`},
			{"timeout", "300s", `id="timeout-problem"`},
			{"timeout", "0s", `id="timeout-problem"`},
			{"name", "", `id="name-problem"`},
		} {
			form := map[string]string{"name": "orders", "endpoint": "http://127.0.0.1:9000/", "timeout": "5s", "kind": "call", "interrupt": "on"}
			form[tt.field] = tt.value
			var fields []string
			for k, v := range form {
				fields = append(fields, k, v)
			}
			page := s.post(http.StatusUnprocessableEntity, "/console/targets/new", fields...)
			s.has(page, tt.want, `aria-invalid="true"`, `value="call" selected`, `name="interrupt" type="checkbox" checked`)
		}
		id := s.target("orders", "interrupt", "on")
		s.has(s.post(http.StatusUnprocessableEntity, "/console/targets/new", "name", "orders", "endpoint", "http://127.0.0.1:9000/", "timeout",
			"5"),
			"Another target has this name.", `id="name-problem"`)
		path := "/console/targets/" + id
		s.has(s.get(http.StatusOK, path), "orders", "healthy", "interrupts", "No execution calls it")
		s.has(s.post(http.StatusOK, path+"/pause"), "The target is paused", `>paused<`)
		s.has(s.post(http.StatusOK, path+"/resume"), "The target is active", `/pause"`)
		s.has(s.post(http.StatusOK, path+"/rotate", "grace", "1h"), "The former one signs beside it until 2000-01-01 01:00:00 UTC")
		s.has(s.post(http.StatusOK, path+"/rotate", "grace", "0s"), "and the former one no more")
		s.has(s.post(http.StatusOK, path+"/delivery", "schedule", "5s, 1m", "rate", "7", "concurrency", ""), `value="5s 1m"`, `value="7"`)
		s.has(s.post(http.StatusUnprocessableEntity, path+"/delivery", "schedule", "5s soon"), `id="schedule-problem"`, `value="5s soon"`)
		s.has(s.post(http.StatusUnprocessableEntity, path+"/delivery", "rate", "many"), `id="rate-problem"`)
		s.has(s.post(http.StatusUnprocessableEntity, path+"/keys", "pem", "none"), `id="pem-problem"`)
		s.has(s.get(http.StatusOK, path+"/edit"), `value="orders"`, `value="5s"`, `value="webhook" selected`)
		s.has(s.post(http.StatusOK, path+"/edit", "name", "invoices", "endpoint", "http://127.0.0.1:9000/x", "timeout", "7s", "kind", "async",
			"payload", "jwt"),
			"invoices", "async", "JWT", "7s")
		s.has(s.get(http.StatusOK, "/console/targets?q=INVO"), "invoices")
		s.has(s.get(http.StatusOK, "/console/targets?q=nobody"), "No target")
		s.has(s.get(http.StatusOK, path+"/delete"), "Delete invoices?")
		s.has(s.post(http.StatusOK, path+"/delete"), "The target is deleted")
		s.has(s.get(http.StatusNotFound, path), "Target not found")
		s.get(http.StatusNotFound, "/console/targets/none/none")
		s.get(http.StatusNotFound, "/console/static/none")
	})
}

// What the script does to the list of an execution, buttons do without it.
func TestExecutionWithoutScript(t *testing.T) {
	run(t, "admin", func(s *site) {
		a, b, c := s.target("a"), s.target("b"), s.target("c", "interrupt", "on")
		const path = "/console/executions/edit?condition=event%2Forder.created"
		order := func(body string) (ids []string) {
			for _, found := range regexp.MustCompile(`name="target" value="([^"]*)"`).FindAllStringSubmatch(body, -1) {
				ids = append(ids, found[1])
			}
			return ids
		}
		steps := []struct {
			fields []string
			want   string
		}{
			{[]string{"do", "add", "add", a}, a},
			{[]string{"do", "add", "target", a, "add", b}, a + b},
			{[]string{"do", "up 1", "target", a, "target", b}, b + a},
			{[]string{"do", "down 0", "target", a, "target", b}, b + a},
			{[]string{"do", "up 0", "target", a, "target", b}, a + b},
			{[]string{"do", "up 9", "target", a, "target", b}, a + b},
			{[]string{"do", "remove 0", "target", a, "target", b}, b},
		}
		for _, step := range steps {
			if got := strings.Join(order(s.post(http.StatusOK, path, step.fields...).Body), ""); got != step.want {
				t.Errorf("%q: got %s, want %s", step.fields, got, step.want)
			}
		}
		s.has(s.post(http.StatusOK, path, "do", "save", "target", b, "target", a), "The execution is set")
		if got := strings.Join(order(s.get(http.StatusOK, path).Body), ""); got != b+a {
			t.Errorf("saved: %s", got)
		}
		s.has(s.post(http.StatusUnprocessableEntity, path, "do", "save", "target", "gone"), "does not exist any more")
		s.has(s.get(http.StatusOK, "/console/targets/"+a), "event/order.created")

		const all = "/console/executions/edit?condition=request"
		s.has(s.post(http.StatusUnprocessableEntity, all, "do", "save", "target", c), "Think about this first", "every call of every host")
		s.has(s.get(http.StatusOK, "/console/executions"), "event/order.created")
		s.has(s.post(http.StatusOK, all, "do", "save", "target", c, "sure", "on"), "The execution is set")
		s.has(s.post(http.StatusOK, all, "do", "save"), "calls nobody any more")
		s.get(http.StatusNotFound, "/console/executions/edit?condition=nonsense/x")
	})
}

func TestConditions(t *testing.T) {
	run(t, "admin", func(s *site) {
		s.has(s.get(http.StatusOK, "/console/executions/new"), "All of them", "condition=event\"", "more: type a part")
		s.has(s.get(http.StatusOK, "/console/executions/new?kind=event&q=HUMAN.add"), "condition=event%2Fuser.human.added",
			"condition=event%2Fuser.human.address.%2A")
		s.has(s.get(http.StatusOK, "/console/executions/new?kind=event&q=order.created"), "as typed", "condition=event%2Forder.created")
		s.has(s.get(http.StatusOK, "/console/executions/new?kind=request&q=/acme.v1.Orders/Create"),
			"condition=request%2Facme.v1.Orders%2FCreate")
		s.has(s.get(http.StatusOK, "/console/executions/new?kind=function"), "condition=function%2Fpreaccesstoken")
		s.has(s.get(http.StatusOK, "/console/executions/new?kind=function&q=none"), "The catalogue has no such name")
	})
}

func TestDeliveries(t *testing.T) {
	run(t, "admin", func(s *site) {
		broken := true
		s.Serve(s.t, "127.0.0.1:9000", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if broken {
				http.Error(w, "no such order", http.StatusBadGateway)
			}
		}))
		id := s.target("orders")
		s.post(http.StatusOK, "/console/executions/edit?condition=event%2Forder.created", "do", "save", "target", id)
		s.post(http.StatusOK, "/console/targets/"+id+"/delivery", "schedule", "1s")
		s.has(s.post(http.StatusUnprocessableEntity, "/console/try/event", "type", "a b", "payload", "{}"), `id="event_type-problem"`)
		s.has(s.post(http.StatusUnprocessableEntity, "/console/try/event", "type", "a.b", "payload", "{"), `id="event_payload-problem"`)
		s.post(http.StatusOK, "/console/try/event", "type", "order.created", "id", "o-1", "payload", `{"n":12345678901234567890.10}`)
		time.Sleep(5 * time.Second)
		explained := s.get(http.StatusOK, "/console/explain?id=o-1&source=")
		s.has(explained, "order.created", ">dead<", ">taken<")
		delivery := regexp.MustCompile(`/console/deliveries/[a-z0-9]{26}`).FindString(explained.Body)
		s.has(s.get(http.StatusOK, delivery), "Attempt 1", "Attempt 2", "502", "no such order", "12345678901234567890.10")
		s.has(s.get(http.StatusOK, "/console/"), "100.0 %", ">dead<")
		s.has(s.get(http.StatusOK, "/console/deliveries?state=dead&since=1h&type=order.created&target="+id), delivery, "Redeliver all that fit")
		s.has(s.get(http.StatusOK, "/console/deliveries?state=delivered"), "No delivery fits")
		s.has(s.get(http.StatusUnprocessableEntity, "/console/deliveries?type=a+b"), "eventType-problem")
		s.has(s.get(http.StatusUnprocessableEntity, "/console/deliveries?state=lost"), "filter.states")
		broken = false
		s.has(s.post(http.StatusOK, "/console/deliveries/redeliver", "type", "order.created"), "1 delivery put back")
		time.Sleep(5 * time.Second)
		s.has(s.get(http.StatusOK, delivery), ">delivered<", "Attempt 3")
		s.has(s.post(http.StatusOK, delivery+"/redeliver"), "It is tried again now")
		s.has(s.get(http.StatusOK, "/console/explain?id=nobody"), "no event")
		s.get(http.StatusNotFound, "/console/deliveries/none")
	})
}

func TestPages(t *testing.T) {
	run(t, "admin", func(s *site) {
		s.Serve(s.t, "127.0.0.1:9000", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
		id := s.target("orders")
		s.post(http.StatusOK, "/console/executions/edit?condition=event%2Forder.created", "do", "save", "target", id)
		for range 60 {
			s.post(http.StatusOK, "/console/try/event", "type", "order.created", "payload", "{}")
		}
		time.Sleep(5 * time.Second)
		first := s.get(http.StatusOK, "/console/deliveries?target="+id+"&since=24h")
		older := regexp.MustCompile(`<a href="(/console/deliveries[^"]*page=[^"]*)">Older`).FindStringSubmatch(first.Body)
		if older == nil || strings.Count(first.Body, `class="row"`) != 50 {
			t.Fatalf("%d rows, older %q", strings.Count(first.Body, `class="row"`), older)
		}
		time.Sleep(2 * time.Minute) // the filter stays what it was
		second := s.get(http.StatusOK, strings.ReplaceAll(older[1], "&amp;", "&"))
		if n := strings.Count(second.Body, `class="row"`); n != 10 {
			t.Errorf("%d rows on the second page, want 10", n)
		}
	})
}

func TestHook(t *testing.T) {
	run(t, "admin", func(s *site) {
		answer, status := `{"item":"seen"}`, http.StatusOK
		s.Serve(s.t, "127.0.0.1:9000", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(answer))
		}))
		try := func(kind, name, payload, response string) []string {
			return []string{"kind", kind, "name", name, "payload", payload, "response", response}
		}
		s.has(s.post(http.StatusOK, "/console/try/hook", try("request", "/acme.v1.Orders/Create", `{"item":"x"}`, "")...), "nobody called")
		id := s.target("changes", "kind", "call", "interrupt", "on")
		s.post(http.StatusOK, "/console/executions/edit?condition=request%2Facme.v1.Orders", "do", "save", "target", id)
		s.post(http.StatusOK, "/console/executions/edit?condition=response%2Facme.v1.Orders", "do", "save", "target", id)
		s.has(s.post(http.StatusOK, "/console/try/hook", try("request", "/acme.v1.Orders/Create", `{"item":"x"}`, "")...),
			">changed<", "&#34;x&#34;", "&#34;seen&#34;", ">changes</a>", ">success<")
		s.has(s.post(http.StatusOK, "/console/try/hook", try("response", "/acme.v1.Orders/Create", `{}`, `{"item":"y"}`)...), ">changed<",
			"&#34;y&#34;")
		s.has(s.post(http.StatusUnprocessableEntity, "/console/try/hook", try("request", "/acme.v1.Orders/Create", `{`, "")...),
			`id="payload-problem"`)
		s.has(s.post(http.StatusUnprocessableEntity, "/console/try/hook", try("function", "", `{}`, "")...), `id="name-problem"`)
		for _, code := range []string{"401", "403", "404", "429"} { // no reason to sign anybody out
			answer = `{"forwardedStatusCode":` + code + `,"forwardedErrorMessage":"not on a <Sunday>"}`
			s.has(s.post(http.StatusOK, "/console/try/hook", try("request", "/acme.v1.Orders/Create", `{}`, "")...), ">stopped<",
				"not on a &lt;Sunday&gt;")
		}
		status, answer = http.StatusInternalServerError, ""
		s.has(s.post(http.StatusOK, "/console/try/hook", try("request", "/acme.v1.Orders/Create", `{}`, "")...), ">stopped<")
	})
}

package infra_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/queue"
)

const gcp = "gcp"

var moduleFolder = map[string]cty.Value{"path": cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal(gcp)})}

func oneFile(text string) fs.FS { return fstest.MapFS{"main.tf": {Data: []byte(text)}} }

func gcpConfiguration(t *testing.T) *terraform {
	t.Helper()
	c, err := readTerraform(os.DirFS(gcp))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReferencesResolve(t *testing.T) {
	problems := gcpConfiguration(t).references(func(path string) error {
		_, err := os.Stat(path)
		return err
	})
	for _, p := range problems {
		t.Error(p)
	}
}

// textFunction makes a function of two texts.
func textFunction(is func(string, string) bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}, {Name: "part", Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(is(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

// evaluation is what can be known of a configuration without a cloud: its locals, with the defaults of variables.
type evaluation struct {
	*hcl.EvalContext
	locals map[string]cty.Value
}

func (c *terraform) evaluate(t *testing.T) evaluation {
	t.Helper()
	readFile := function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			text, err := os.ReadFile(args[0].AsString())
			return cty.StringVal(string(text)), err
		},
	})
	toSet := function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
		Type:   function.StaticReturnType(cty.Set(cty.String)),
		Impl:   func(args []cty.Value, to cty.Type) (cty.Value, error) { return convert.Convert(args[0], to) },
	})
	e := evaluation{&hcl.EvalContext{Variables: maps.Clone(moduleFolder), Functions: map[string]function.Function{
		"concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "file": readFile, "join": stdlib.JoinFunc,
		"jsondecode": stdlib.JSONDecodeFunc,
		"keys":       stdlib.KeysFunc, "merge": stdlib.MergeFunc, "toset": toSet, "trimprefix": stdlib.TrimPrefixFunc, "try": tryfunc.TryFunc,
		"endswith": textFunction(strings.HasSuffix),
	}}, map[string]cty.Value{}}
	given := map[string]cty.Value{}
	for name, b := range c.variables {
		given[name] = cty.StringVal("given-" + name)
		if a := b.Body.Attributes["default"]; a != nil {
			v, problems := a.Expr.Value(nil)
			if problems.HasErrors() {
				t.Fatal(problems)
			}
			given[name] = v
		}
	}
	e.Variables["var"] = cty.ObjectVal(given)
	for len(e.locals) < len(c.locals) {
		before := len(e.locals)
		e.Variables["local"] = cty.ObjectVal(e.locals)
		var problems hcl.Diagnostics
		for name, a := range c.locals {
			if e.locals[name] != cty.NilVal {
				continue
			}
			v, wrong := a.Expr.Value(e.EvalContext)
			if !wrong.HasErrors() {
				e.locals[name] = v
			}
			problems = append(problems, wrong...)
		}
		if len(e.locals) == before {
			t.Fatal(problems)
		}
	}
	e.Variables["local"] = cty.ObjectVal(e.locals)
	return e
}

// keys are those of a map or an object, or the members of a set.
func keysOf(v cty.Value) []string {
	var keys []string
	for it := v.ElementIterator(); it.Next(); {
		k, _ := it.Element()
		keys = append(keys, k.AsString())
	}
	slices.Sort(keys)
	return keys
}

func texts(v cty.Value) []string {
	var all []string
	for it := v.ElementIterator(); it.Next(); {
		_, text := it.Element()
		all = append(all, text.AsString())
	}
	return all
}

// instances are the keys that a resource is made for.
func (c *terraform) instances(t *testing.T, e evaluation, name string) []string {
	t.Helper()
	b := c.resources[name]
	if b == nil || b.Body.Attributes["for_each"] == nil {
		t.Fatalf("%s is not there, or is one", name)
	}
	v, problems := b.Body.Attributes["for_each"].Expr.Value(e.EvalContext)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return keysOf(v)
}

// TestEveryFunctionHasItsInfrastructure: what a function has is what the table of functions calls for.
func TestEveryFunctionHasItsInfrastructure(t *testing.T) {
	c := gcpConfiguration(t)
	for _, problem := range c.missing(t, all.Functions()) {
		t.Error(problem)
	}
}

// missing tells what does not fit between functions and infrastructure.
func (c *terraform) missing(t *testing.T, functions []host.Function) (problems []string) {
	t.Helper()
	wrong := func(what string, want, got any) {
		if diff := cmp.Diff(want, got); diff != "" {
			problems = append(problems, what+" (-want +got):\n"+diff)
		}
	}
	var names, services, events, web, writers, secrets, publishing []string
	e := c.evaluate(t)
	settings := e.locals["settings"]
	for _, f := range functions {
		names = append(names, f.Name)
		if !settings.Type().HasAttribute(f.Name) {
			problems = append(problems, f.Name+": there are no settings")
			continue
		}
		set := settings.GetAttr(f.Name)
		of := []string{f.Name}
		if f.Trigger == host.Event {
			of = nil
			for _, path := range f.Paths {
				of = append(of, strings.TrimPrefix(path, "/push/"))
			}
			events = append(events, of...)
			timeout, _ := set.GetAttr("timeout").AsBigFloat().Int64()
			wrong(f.Name+": a push takes as long as its acknowledgement may", int64(600), timeout)
		} else {
			web = append(web, of...)
		}
		services = append(services, of...)
		wrong(f.Name+": secrets", slices.Contains(f.Needs, env.Secrets), set.GetAttr("secrets").True())
		for _, service := range of {
			if !set.GetAttr("database").IsNull() {
				writers = append(writers, service)
			}
			if set.GetAttr("secrets").True() {
				secrets = append(secrets, service)
			}
			for _, topic := range texts(set.GetAttr("publishes")) {
				publishing = append(publishing, service+"/"+topic)
			}
		}
		c.subscriptions(e, f, wrong)
	}
	wrong("settings", sorted(names), keysOf(settings))
	for resource, want := range map[string][]string{
		"google_cloud_run_v2_service.function":                  services,
		"google_service_account.function":                       services,
		"google_project_iam_member.database":                    writers,
		"google_pubsub_topic_iam_member.publisher":              publishing,
		"google_secret_manager_secret_iam_member.seal_keys":     secrets,
		"google_service_account.push":                           events,
		"google_service_account_iam_member.push_tokens":         events,
		"google_pubsub_subscription.push":                       events,
		"google_compute_region_network_endpoint_group.function": web,
		"google_compute_backend_service.function":               web,
	} {
		wrong(resource, sorted(want), c.instances(t, e, resource))
	}
	return problems
}

// subscriptions checks that each path of a function gets the topic it is for.
func (c *terraform) subscriptions(e evaluation, f host.Function, wrong func(string, any, any)) {
	for i, topic := range f.Topics {
		name := strings.TrimPrefix(f.Paths[i], "/push/")
		var got, paths []string
		if services := e.locals["event_services"]; services.Type().HasAttribute(name) {
			s := services.GetAttr(name)
			got, paths = []string{s.GetAttr("function").AsString(), s.GetAttr("topic").AsString()}, texts(s.GetAttr("paths"))
		}
		wrong("subscription "+name, []string{f.Name, topic}, got)
		wrong("path of "+name, []string{f.Paths[i]}, paths)
	}
}

func sorted(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return all
}

func TestAFunctionWithoutInfrastructureIsMissed(t *testing.T) {
	c := gcpConfiguration(t)
	tests := []struct {
		name   string
		change func([]host.Function) []host.Function
		want   string
	}{
		{"a new HTTP function", func(all []host.Function) []host.Function {
			return append(all, host.Function{Name: "another", Trigger: host.HTTP, Paths: []string{"/another/"}})
		}, "another: there are no settings"},
		{"a function that is gone", func(all []host.Function) []host.Function { return all[1:] }, "settings"},
		{"a new topic", change("dispatch", func(f *host.Function) {
			f.Topics, f.Paths = append(f.Topics, "x"), append(slices.Clone(f.Paths), "/push/x")
		}), "subscription x"},
		{"another topic", change("sweep", func(f *host.Function) { f.Topics = []string{"x"} }), "subscription sweep"},
		{"another path", change("sweep", func(f *host.Function) { f.Paths = []string{"/push/sweeper"} }), "google_pubsub_subscription.push"},
		{"another trigger", change("keys", func(f *host.Function) { f.Trigger = host.Event }), "google_pubsub_subscription.push"},
		{"a new need", change("publish", func(f *host.Function) { f.Needs = []env.Need{env.Secrets} }), "publish: secrets"},
		{"a need that is gone", change("invoke", func(f *host.Function) { f.Needs = nil }), "invoke: secrets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(c.missing(t, tt.change(all.Functions())), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func change(name string, f func(*host.Function)) func([]host.Function) []host.Function {
	return func(all []host.Function) []host.Function {
		for i := range all {
			if all[i].Name == name {
				f(&all[i])
			}
		}
		return all
	}
}

func TestTopics(t *testing.T) {
	var want []string
	for _, topic := range queue.Topics() {
		want = append(want, string(topic))
	}
	if diff := cmp.Diff(sorted(want), keysOf(gcpConfiguration(t).evaluate(t).locals["topics"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestURLMap: the balancer sends every path where the functions' own mux would.
func TestURLMap(t *testing.T) {
	c := gcpConfiguration(t)
	e := c.evaluate(t)
	var rules []route
	var visit func(*hclsyntax.Body)
	visit = func(b *hclsyntax.Body) {
		for _, inner := range b.Blocks {
			if inner.Type != "dynamic" || inner.Labels[0] != "path_rule" {
				visit(inner.Body)
				continue
			}
			of, problems := inner.Body.Attributes["for_each"].Expr.Value(e.EvalContext)
			if problems.HasErrors() {
				t.Fatal(problems)
			}
			for it := of.ElementIterator(); it.Next(); {
				key, value := it.Element()
				in := e.NewChild()
				in.Variables = map[string]cty.Value{"path_rule": cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})}
				paths, problems := inner.Body.Blocks[0].Body.Attributes["paths"].Expr.Value(in)
				if problems.HasErrors() {
					t.Fatal(problems)
				}
				for _, path := range texts(paths) {
					prefix, below := strings.CutSuffix(path, "*")
					rules = append(rules, route{prefix, below, key.AsString()})
				}
			}
		}
	}
	visit(c.resources["google_compute_url_map.api"].Body)
	checkRoutes(t, rules, func(f host.Function) bool { return f.Trigger == host.HTTP })
}

// route is a rule of something that splits an origin by paths: one path, or all below it.
type route struct {
	path     string
	below    bool
	function string
}

// checkRoutes asks for each path of the functions, and for one below it, where it would go: exact before the longest prefix.
func checkRoutes(t *testing.T, rules []route, of func(host.Function) bool) {
	t.Helper()
	to := func(path string) (found route) {
		for _, r := range rules {
			if !r.below && r.path == path {
				return r
			}
			if r.below && strings.HasPrefix(path, r.path) && len(r.path) > len(found.path) {
				found = r
			}
		}
		return found
	}
	n := 0
	for _, f := range all.Functions() {
		for _, path := range f.Paths {
			if !of(f) {
				if got := to(path); got.function != "" {
					t.Errorf("%s, which is for the queue, goes to %s", path, got.function)
				}
				continue
			}
			n++
			if strings.HasSuffix(path, "/") {
				path += "x"
			}
			if got := to(path); got.function != f.Name {
				t.Errorf("%s goes to %q, want %s", path, got.function, f.Name)
			}
		}
	}
	if n != len(rules) {
		t.Errorf("%d rules for %d paths", len(rules), n)
	}
}

// knownVariables are the names that package env reads.
func knownVariables() []string {
	var names []string
	for f := range reflect.TypeFor[env.Config]().Fields() {
		names = append(names, f.Tag.Get("env"))
	}
	return names
}

func TestVariablesAreKnown(t *testing.T) {
	text, err := os.ReadFile(gcp + "/functions.tf")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\b(CALLOUT|FUNCTION|GOOGLE)_[A-Z_]+`).FindAllString(string(text), -1)
	if len(names) < 9 {
		t.Errorf("only %d names", len(names))
	}
	for _, name := range names {
		if !slices.Contains(knownVariables(), name) {
			t.Errorf("%s: no function reads it", name)
		}
	}
}

// TestSubscriptionsAreAsInTheEmulator: what the fault suite was run with.
func TestSubscriptionsAreAsInTheEmulator(t *testing.T) {
	b := gcpConfiguration(t).resources["google_pubsub_subscription.push"].Body
	got := map[string]string{}
	collect := func(body *hclsyntax.Body, names ...string) {
		for _, name := range names {
			v, problems := body.Attributes[name].Expr.Value(nil)
			if problems.HasErrors() {
				t.Fatal(problems)
			}
			if v, err := convert.Convert(v, cty.String); err == nil {
				got[name] = v.AsString()
			}
		}
	}
	collect(b, "ack_deadline_seconds", "message_retention_duration")
	for _, inner := range b.Blocks {
		switch inner.Type {
		case "retry_policy":
			collect(inner.Body, "minimum_backoff", "maximum_backoff")
		case "expiration_policy":
			collect(inner.Body, "ttl")
		case "dead_letter_policy":
			t.Error("there is a dead-letter policy: an outage would give messages up")
		}
	}
	want := map[string]string{
		"ack_deadline_seconds": "600", "message_retention_duration": "604800s", "minimum_backoff": "0.5s", "maximum_backoff": "60s", "ttl": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// setting is one of a function's.
func setting(t *testing.T, e evaluation, function, name string) cty.Value {
	t.Helper()
	settings := e.locals["settings"]
	if !settings.Type().HasAttribute(function) {
		t.Fatal(fmt.Errorf("%s: there are no settings", function))
	}
	return settings.GetAttr(function).GetAttr(name)
}

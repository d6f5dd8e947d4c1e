package command

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// manifest is a file that says which targets and executions there should be.
type manifest struct {
	Targets    []manifestTarget    `yaml:"targets"`
	Executions []manifestExecution `yaml:"executions"`
}

// manifestTarget is a target, known by its name.
type manifestTarget struct {
	Name      string `yaml:"name"`
	Endpoint  string `yaml:"endpoint"`
	Type      string `yaml:"type"`      // webhook, the default, call or async
	Timeout   string `yaml:"timeout"`   // default 10s
	Interrupt bool   `yaml:"interrupt"` // default no
	Payload   string `yaml:"payload"`   // json, the default, jwt or jwe
}

// manifestExecution calls targets, by name, in this order.
type manifestExecution struct {
	Condition string   `yaml:"condition"`
	Targets   []string `yaml:"targets"`
}

// ourType is what YAML's errors say of ours, and nobody outside knows.
var ourType = regexp.MustCompile(` in type command\.\w+`)

// readManifest reads YAML, and JSON with it. What it does not know is an error that names the line.
func readManifest(text []byte) (manifest, error) {
	var m manifest
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		if e, ok := errors.AsType[*yaml.TypeError](err); ok { // whose text has a line for each, and names types of ours
			return m, errors.New(ourType.ReplaceAllString(strings.Join(e.Errors, "; "), ""))
		}
		return m, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return m, errors.New("there must be one document")
	}
	return m, m.check()
}

// check makes the defaults explicit and finds what cannot be.
func (m *manifest) check() error {
	names, conditions := map[string]bool{}, map[string]bool{}
	for i := range m.Targets {
		t := &m.Targets[i]
		t.Type, t.Timeout, t.Payload = cmp.Or(t.Type, "webhook"), cmp.Or(t.Timeout, "10s"), cmp.Or(t.Payload, "json")
		timeout, err := time.ParseDuration(t.Timeout)
		switch {
		case t.Name == "" || t.Endpoint == "":
			return fmt.Errorf("targets[%d]: a target needs a name and an endpoint", i)
		case names[t.Name]:
			return fmt.Errorf("targets[%d]: %q is there twice", i, t.Name)
		case !slices.Contains([]string{"webhook", "call", "async"}, t.Type):
			return fmt.Errorf("targets[%d].type must be webhook, call or async", i)
		case payloadTypes[t.Payload] == 0:
			return fmt.Errorf("targets[%d].payload must be json, jwt or jwe", i)
		case err != nil:
			return fmt.Errorf("targets[%d].timeout: %q is no duration like 10s", i, t.Timeout)
		case t.Type == "async" && t.Interrupt:
			return fmt.Errorf("targets[%d].interrupt: nobody waits for an async target", i)
		}
		names[t.Name], t.Timeout = true, timeout.String()
	}
	for i := range m.Executions {
		e := &m.Executions[i]
		condition, err := parseCondition(e.Condition)
		if err != nil {
			return fmt.Errorf("executions[%d].condition: %w", i, err)
		}
		e.Condition = formatCondition(condition)
		switch {
		case conditions[e.Condition]:
			return fmt.Errorf("executions[%d]: %s is there twice", i, e.Condition)
		case len(e.Targets) == 0:
			return fmt.Errorf("executions[%d].targets: name at least one; --prune removes executions that the file does not name", i)
		}
		conditions[e.Condition] = true
		for j, name := range e.Targets {
			if slices.Contains(e.Targets[:j], name) {
				return fmt.Errorf("executions[%d].targets: %q is named twice", i, name)
			}
		}
	}
	return nil
}

// standing is what there is.
type standing struct {
	targets    map[string]*actionv2.Target // by name
	executions map[string][]string         // by condition: ids
}

// step is one change. Lines tell people what it is.
type step struct {
	line   string
	create *manifestTarget
	update *actionv2.UpdateTargetRequest
	remove *actionv2.Target
	set    *manifestExecution // without targets: it is removed
}

// plan says what is to be done, in an order that can be carried out: targets before executions that call them, executions that go before
// the targets that go.
func (m manifest) plan(now standing, prune bool) ([]step, error) {
	var steps []step
	named := map[string]bool{}
	for i := range m.Targets {
		t := &m.Targets[i]
		named[t.Name] = true
		old := now.targets[t.Name]
		if old == nil {
			steps = append(steps, step{line: "create target " + t.Name, create: t})
		} else if request, what := t.change(old); what != "" {
			steps = append(steps, step{line: "update target " + t.Name + ": " + what, update: request})
		}
	}
	conditions := map[string]bool{}
	for i := range m.Executions {
		e := &m.Executions[i]
		conditions[e.Condition] = true
		ids := []string{}
		for _, name := range e.Targets {
			old := now.targets[name]
			switch {
			case old == nil && !named[name]:
				return nil, fmt.Errorf("%s calls %q, which neither the file nor the installation has", e.Condition, name)
			case prune && !named[name]:
				return nil, fmt.Errorf("%s calls %q, which --prune would delete: the file must name it among its targets", e.Condition, name)
			}
			ids = append(ids, old.GetId()) // "" is new, and so differs
		}
		if !slices.Equal(ids, now.executions[e.Condition]) {
			steps = append(steps, step{line: "set execution " + e.Condition + ": " + strings.Join(e.Targets, ", "), set: e})
		}
	}
	if prune {
		steps = append(steps, now.surplus(conditions, named)...)
	}
	return steps, nil
}

// surplus removes what is not named.
func (s standing) surplus(conditions, names map[string]bool) (steps []step) {
	for condition := range s.executions {
		if !conditions[condition] {
			steps = append(steps, step{line: "remove execution " + condition, set: &manifestExecution{Condition: condition}})
		}
	}
	var targets []step
	for name, t := range s.targets {
		if !names[name] {
			targets = append(targets, step{line: "delete target " + name, remove: t})
		}
	}
	byLine := func(a, b step) int { return strings.Compare(a.line, b.line) }
	slices.SortFunc(steps, byLine)
	slices.SortFunc(targets, byLine)
	return append(steps, targets...)
}

// change makes the request that brings a target to what the file says, and says in words what differs: "" for nothing.
func (t *manifestTarget) change(old *actionv2.Target) (*actionv2.UpdateTargetRequest, string) {
	request := &actionv2.UpdateTargetRequest{Id: old.GetId()}
	var what []string
	differs := func(field, before, after string) bool {
		if before != after {
			what = append(what, fmt.Sprintf("%s %s -> %s", field, before, after))
		}
		return before != after
	}
	if differs("endpoint", old.GetEndpoint(), t.Endpoint) {
		request.Endpoint = &t.Endpoint
	}
	if differs("timeout", old.GetTimeout().AsDuration().String(), t.Timeout) {
		timeout, _ := time.ParseDuration(t.Timeout) // checked
		request.Timeout = durationpb.New(timeout)
	}
	if differs("payload", payloadOf(old), t.Payload) {
		request.PayloadType = payloadTypes[t.Payload]
	}
	interrupt := map[bool]string{true: "yes", false: "no"}[t.Interrupt]
	typed := differs("type", typeOf(old), t.Type)
	if differs("interrupt", interrupts(old), interrupt) || typed {
		f := targetFlags{targetType: choice{value: t.Type}, interrupt: t.Interrupt}
		_ = f.setType(request, old, func(string) bool { return true }) // fails only for what check refuses
	}
	return request, strings.Join(what, ", ")
}

package console

import (
	"slices"
	"strings"

	"github.com/callout-dev/callout/shared/action"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// mostNames is how many names a search shows.
const mostNames = 40

// picker is the page on which a condition is chosen.
type picker struct {
	Kind, Search string
	// All is the condition of everything of the kind, "" where there is none; Own what was typed, where it is in no list.
	All, Own string
	Names    []choice
	// More is how many others there are.
	More int
}

// choice is a condition that may be chosen.
type choice struct{ Condition, Name, Sort string }

func pickCondition(v *visit) error {
	p := picker{Kind: v.form("kind"), Search: strings.TrimSpace(v.form("q"))}
	if !slices.Contains([]string{"event", "request", "response", "function"}, p.Kind) {
		p.Kind = string(action.Event)
	}
	names, err := v.catalog().ListCatalog(v.ctx(), &calloutv1.ListCatalogRequest{})
	if err != nil {
		return err
	}
	p.pick(names)
	return v.page("conditions", "New execution", p)
}

// pick finds the conditions that fit the search.
func (p *picker) pick(names *calloutv1.ListCatalogResponse) {
	kind := action.Kind(p.Kind)
	search := strings.ToLower(p.Search)
	offer := func(c action.Condition, sort string) {
		if !strings.Contains(strings.ToLower(c.Name), search) {
			return
		}
		if len(p.Names) == mostNames {
			p.More++
			return
		}
		p.Names = append(p.Names, choice{string(c.ID()), c.Name, sort})
	}
	switch kind {
	case action.Function:
		for _, name := range names.Functions {
			offer(action.Condition{Kind: kind, Scope: action.Exact, Name: name}, "function")
		}
		return
	case action.Event:
		for _, name := range groups(names.Events) {
			offer(action.Condition{Kind: kind, Scope: action.Group, Name: name}, "group")
		}
		for _, name := range names.Events {
			offer(action.Condition{Kind: kind, Scope: action.Exact, Name: name}, "event")
		}
	default:
		for _, name := range names.Services {
			offer(action.Condition{Kind: kind, Scope: action.Service, Name: name}, "service")
		}
		for _, name := range names.Methods {
			offer(action.Condition{Kind: kind, Scope: action.Exact, Name: name}, "method")
		}
	}
	p.All = string(action.Condition{Kind: kind, Scope: action.All}.ID())
	own, err := action.ParseExecutionID(action.ExecutionID(p.Kind + "/" + strings.TrimPrefix(p.Search, "/")))
	if err == nil && !slices.ContainsFunc(p.Names, func(c choice) bool { return c.Condition == string(own.ID()) }) {
		p.Own = string(own.ID())
	}
}

// groups are the groups that events belong to, sorted.
func groups(events []string) (all []string) {
	for _, e := range events {
		for cut := strings.LastIndexByte(e, '.'); cut > 0; cut = strings.LastIndexByte(e[:cut], '.') {
			all = append(all, e[:cut])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

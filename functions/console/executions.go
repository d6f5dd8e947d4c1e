package console

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/api"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

// executionsList is the page of all executions.
type executionsList struct {
	Rows []executionRow
	part
}

type executionRow struct {
	Condition string
	Targets   []*actionv2.Target
	Changed   *timestamppb.Timestamp
	// Warning is what such an execution does to all calls, where one of its targets interrupts.
	Warning string
}

// executionsPage is how many executions a page lists.
const executionsPage = 50

func listExecutions(v *visit) error {
	offset := number(v.form("offset"), 0)
	found, err := v.actions().ListExecutions(v.ctx(), &actionv2.ListExecutionsRequest{
		Pagination:    &filterv2.PaginationRequest{Offset: uint64(offset), Limit: executionsPage, Asc: true},
		SortingColumn: actionv2.ExecutionFieldName_EXECUTION_FIELD_NAME_ID.Enum(),
	})
	if err != nil {
		return err
	}
	names, err := targetsByID(v)
	if err != nil {
		return err
	}
	p := executionsList{part: newPart(offset, len(found.Executions), executionsPage, found.GetPagination().GetTotalResult())}
	for _, e := range found.Executions {
		row := executionRow{Condition: conditionID(e.Condition), Targets: named(names, e.Targets), Changed: e.ChangeDate}
		if c, err := api.Condition(e.Condition); err == nil {
			row.Warning = warning(c, row.Targets)
		}
		p.Rows = append(p.Rows, row)
	}
	return v.page("executions", "Executions", p)
}

// conditionID names a condition as a routing identifier does (actions-v2.md section 4.1).
func conditionID(m *actionv2.Condition) string {
	c, err := api.Condition(m)
	if err != nil {
		return "?"
	}
	return string(c.ID())
}

// targetsByID are the targets that there are, for their names.
func targetsByID(v *visit) (map[string]*actionv2.Target, error) {
	all, err := allTargets(v)
	if err = orGone(err); err != nil {
		return nil, err
	}
	byID := map[string]*actionv2.Target{}
	for _, t := range all {
		byID[t.Id] = t
	}
	return byID, nil
}

// named are targets in the order of their ids. One that is not known is called by its id.
func named(byID map[string]*actionv2.Target, ids []string) (all []*actionv2.Target) {
	for _, id := range ids {
		t := byID[id]
		if t == nil {
			t = &actionv2.Target{Id: id, Name: id}
		}
		all = append(all, t)
	}
	return all
}

// executionForm is which targets one condition calls, in which order.
type executionForm struct {
	Condition string
	What      string
	Chosen    []*actionv2.Target
	// Others may be added.
	Others []*actionv2.Target
	// Warning is what saving this would do, where somebody should think about it first.
	Warning  string
	Problems problems
}

// parse reads the condition of the query.
func parse(v *visit) (action.Condition, error) {
	c, err := action.ParseExecutionID(action.ExecutionID(v.r.URL.Query().Get("condition")))
	if err != nil {
		return c, errNoPage
	}
	return c, nil
}

func editExecution(v *visit) error {
	c, err := parse(v)
	if err != nil {
		return err
	}
	found, err := v.actions().ListExecutions(v.ctx(), &actionv2.ListExecutionsRequest{Filters: []*actionv2.ExecutionSearchFilter{{
		Filter: &actionv2.ExecutionSearchFilter_InConditionsFilter{InConditionsFilter: &actionv2.InConditionsFilter{
			Conditions: []*actionv2.Condition{api.ConditionMessage(c)},
		}},
	}}})
	if err != nil {
		return err
	}
	var ids []string
	for _, e := range found.Executions {
		ids = e.Targets
	}
	f, err := newForm(v, c, ids)
	if err != nil {
		return err
	}
	return v.page("execution", f.Condition, f)
}

func newForm(v *visit, c action.Condition, ids []string) (executionForm, error) {
	all, err := allTargets(v)
	if err != nil {
		return executionForm{}, err
	}
	byID := map[string]*actionv2.Target{}
	f := executionForm{Condition: string(c.ID()), What: describe(c)}
	for _, t := range all {
		byID[t.Id] = t
		if !slices.Contains(ids, t.Id) {
			f.Others = append(f.Others, t)
		}
	}
	f.Chosen = named(byID, ids)
	return f, nil
}

// describe says in words when a condition is met.
func describe(c action.Condition) string {
	moment := map[action.Kind]string{action.Request: "Before the host handles ", action.Response: "Before the host answers "}[c.Kind]
	switch {
	case c.Kind == action.Function:
		return "Inside the host's function " + c.Name + "."
	case c.Kind == action.Event && c.Scope == action.All:
		return "When any event comes that no other execution takes."
	case c.Kind == action.Event && c.Scope == action.Group:
		return "When an event of the group " + c.Name + " comes that no longer group takes."
	case c.Kind == action.Event:
		return "When the event " + c.Name + " comes."
	case c.Scope == action.All:
		return moment + "any call that no other execution takes."
	case c.Scope == action.Service:
		return moment + "a call of " + c.Name + "."
	default:
		return moment + c.Name + "."
	}
}

// setExecution saves the list, or changes it in the form without saving where the button says so: that is how it works without a script.
func setExecution(v *visit) error {
	c, err := parse(v)
	if err != nil {
		return err
	}
	ids := v.r.PostForm["target"]
	ids = ids[:min(len(ids), action.MaxTargets+1)] // one too many is what the API refuses; a page of more would be made for nothing
	do, at, _ := strings.Cut(v.form("do"), " ")
	if do != "save" {
		f, err := newForm(v, c, rearrange(ids, do, number(at, -1), v.form("add")))
		if err != nil {
			return err
		}
		return v.page("execution", f.Condition, f)
	}
	if extra := v.form("add"); extra != "" { // chosen, and not yet added
		ids = rearrange(ids, "add", 0, extra)
	}
	f, err := newForm(v, c, ids)
	if err != nil {
		return err
	}
	if f.Warning = warning(c, f.Chosen); f.Warning != "" && v.form("sure") != "on" {
		return v.again("execution", f.Condition, f)
	}
	_, err = v.actions().SetExecution(v.ctx(), &actionv2.SetExecutionRequest{Condition: api.ConditionMessage(c), Targets: ids})
	if err == nil {
		said := "The execution is set."
		if len(ids) == 0 {
			said = "The execution calls nobody any more."
		}
		return v.done(root+"executions", note{Text: said})
	}
	var ok bool
	if f.Problems, ok = refused(err, "targets", "condition"); !ok {
		return err
	}
	return v.again("execution", f.Condition, f)
}

// rearrange changes a list as a button says.
func rearrange(ids []string, do string, at int, extra string) []string {
	ids = slices.Clone(ids)
	inside := at >= 0 && at < len(ids)
	switch {
	case do == "up" && inside && at > 0:
		ids[at-1], ids[at] = ids[at], ids[at-1]
	case do == "down" && inside && at+1 < len(ids):
		ids[at+1], ids[at] = ids[at], ids[at+1]
	case do == "remove" && inside:
		return slices.Delete(ids, at, at+1)
	case do == "add" && extra != "" && !slices.Contains(ids, extra):
		return append(ids, extra)
	}
	return ids
}

// warning says what an interrupting target does to all calls.
func warning(c action.Condition, chosen []*actionv2.Target) string {
	if c.Scope != action.All {
		return ""
	}
	for _, t := range chosen {
		switch {
		case !interrupts(t):
		case c.Kind == action.Event:
			return "While " + t.Name + " fails, the targets after it wait, for every event that no other execution takes."
		default:
			return "If " + t.Name + " fails, every call of every host is refused that no other execution takes: " +
				"sign-ins and the way to mend this may be among them."
		}
	}
	return ""
}

package action

import (
	"cmp"
	"slices"
	"strings"

	"github.com/callout-dev/callout/shared/errs"
)

// Limits of a page (actions-v2.md section 2).
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Page says which part of a list is wanted. Descending is the default order.
type Page struct {
	Offset    uint64
	Limit     uint32
	Ascending bool
}

// Complete puts the default in and refuses what is over the maximum.
func (p Page) Complete() (Page, error) {
	if p.Limit > MaxLimit {
		return p, errs.New(errs.InvalidArgument, "QUERY-4M0fs", "Limit exceeded")
	}
	if p.Limit == 0 {
		p.Limit = DefaultLimit
	}
	return p, nil
}

// Sort names the field that a list is ordered by.
type Sort string

// The sort fields. Executions know the first three, public keys the first two and the last.
const (
	SortCreated   Sort = "created"
	SortChanged   Sort = "changed"
	SortID        Sort = "id"
	SortName      Sort = "name"
	SortType      Sort = "type"
	SortEndpoint  Sort = "endpoint"
	SortTimeout   Sort = "timeout"
	SortInterrupt Sort = "interrupt"
	SortExpires   Sort = "expires"
)

// TextMatch says how texts are compared.
type TextMatch string

// The ways to compare.
const (
	Equals     TextMatch = "equals"
	StartsWith TextMatch = "starts_with"
	Contains   TextMatch = "contains"
	EndsWith   TextMatch = "ends_with"
)

// NameFilter wants a name that matches.
type NameFilter struct {
	Value      string
	Match      TextMatch
	IgnoreCase bool
}

func (f NameFilter) matches(name string) bool {
	value := f.Value
	if f.IgnoreCase {
		name, value = strings.ToLower(name), strings.ToLower(value)
	}
	switch f.Match {
	case StartsWith:
		return strings.HasPrefix(name, value)
	case Contains:
		return strings.Contains(name, value)
	case EndsWith:
		return strings.HasSuffix(name, value)
	default:
		return name == value
	}
}

// TargetQuery asks for a part of the targets. All filters must hold.
type TargetQuery struct {
	Page  Page
	Sort  Sort
	Names []NameFilter
	// IDs: each list must hold the target's id.
	IDs [][]TargetID
}

// Select filters, sorts and cuts; total is how many match on all pages.
func (q TargetQuery) Select(all []Target) (page []Target, total int) {
	return pick(q.Page, all, q.matches, func(a, b Target) int {
		return cmp.Or(q.compare(a, b), strings.Compare(string(a.ID), string(b.ID)))
	})
}

func (q TargetQuery) matches(t Target) bool {
	for _, f := range q.Names {
		if !f.matches(t.Name) {
			return false
		}
	}
	for _, ids := range q.IDs {
		if !slices.Contains(ids, t.ID) {
			return false
		}
	}
	return true
}

func (q TargetQuery) compare(a, b Target) int {
	switch q.Sort {
	case SortID:
		return 0 // the caller's tie-breaker is the id
	case SortChanged:
		return a.Changed.Compare(b.Changed)
	case SortName:
		return strings.Compare(a.Name, b.Name)
	case SortType:
		return strings.Compare(string(a.Type), string(b.Type))
	case SortEndpoint:
		return strings.Compare(a.Endpoint, b.Endpoint)
	case SortTimeout:
		return cmp.Compare(a.Timeout, b.Timeout)
	case SortInterrupt:
		return compareBool(a.InterruptOnError, b.InterruptOnError)
	default:
		return a.Created.Compare(b.Created)
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// direct turns an ascending comparison into the wanted direction.
func (p Page) direct(ascending int) int {
	if p.Ascending {
		return ascending
	}
	return -ascending
}

func (p Page) bounds(length int) (from, to int) {
	from = int(min(p.Offset, uint64(length)))
	return from, min(from+int(p.Limit), length)
}

// pick keeps what matches, sorts it and cuts the page out; total is how many match on all pages.
func pick[T any](p Page, all []T, matches func(T) bool, compare func(a, b T) int) (page []T, total int) {
	var found []T
	for _, one := range all {
		if matches(one) {
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(a, b T) int { return p.direct(compare(a, b)) })
	from, to := p.bounds(len(found))
	return found[from:to], len(found)
}

// ExecutionQuery asks for a part of the executions. All filters must hold.
type ExecutionQuery struct {
	Page Page
	Sort Sort
	// IDs: each list must hold the execution's id.
	IDs [][]ExecutionID
	// Kinds: the execution is of each of them.
	Kinds []Kind
	// Targets: the execution calls each of them.
	Targets []TargetID
}

// Select filters, sorts and cuts; total is how many match on all pages.
func (q ExecutionQuery) Select(all []Execution) (page []Execution, total int) {
	return pick(q.Page, all, q.Matches, func(a, b Execution) int {
		return cmp.Or(q.compare(a, b), strings.Compare(string(a.Condition.ID()), string(b.Condition.ID())))
	})
}

// Matches says whether all filters hold. What does not match with all its targets does not match with fewer.
func (q ExecutionQuery) Matches(e Execution) bool {
	for _, ids := range q.IDs {
		if !slices.Contains(ids, e.Condition.ID()) {
			return false
		}
	}
	for _, k := range q.Kinds {
		if e.Condition.Kind != k {
			return false
		}
	}
	for _, t := range q.Targets {
		if !slices.Contains(e.Targets, t) {
			return false
		}
	}
	return true
}

func (q ExecutionQuery) compare(a, b Execution) int {
	switch q.Sort {
	case SortID:
		return 0 // the caller's tie-breaker is the id
	case SortChanged:
		return a.Changed.Compare(b.Changed)
	default:
		return a.Created.Compare(b.Created)
	}
}

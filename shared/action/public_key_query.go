package action

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// TimeMatch says how times are compared.
type TimeMatch string

// The ways to compare times.
const (
	At         TimeMatch = "at"
	After      TimeMatch = "after"
	AtOrAfter  TimeMatch = "at_or_after"
	Before     TimeMatch = "before"
	AtOrBefore TimeMatch = "at_or_before"
)

// TimeFilter wants a time that matches. No time at all, the zero one, matches none.
type TimeFilter struct {
	Value time.Time
	Match TimeMatch
}

func (f TimeFilter) matches(t time.Time) bool {
	if t.IsZero() {
		return false
	}
	order := t.Compare(f.Value)
	switch f.Match {
	case After:
		return order > 0
	case AtOrAfter:
		return order >= 0
	case Before:
		return order < 0
	case AtOrBefore:
		return order <= 0
	default:
		return order == 0
	}
}

// PublicKeyQuery asks for a part of a target's public keys. All filters must hold.
type PublicKeyQuery struct {
	Page Page
	Sort Sort
	// IDs: each list must hold the key's id.
	IDs [][]PublicKeyID
	// Active: the key is so, for each of them.
	Active  []bool
	Expires []TimeFilter
}

// Select filters, sorts and cuts; total is how many match on all pages.
func (q PublicKeyQuery) Select(all []PublicKey) (page []PublicKey, total int) {
	return pick(q.Page, all, q.matches, func(a, b PublicKey) int {
		return cmp.Or(q.compare(a, b), strings.Compare(string(a.ID), string(b.ID)))
	})
}

func (q PublicKeyQuery) matches(k PublicKey) bool {
	for _, ids := range q.IDs {
		if !slices.Contains(ids, k.ID) {
			return false
		}
	}
	for _, active := range q.Active {
		if k.Active != active {
			return false
		}
	}
	for _, f := range q.Expires {
		if !f.matches(k.Expires) {
			return false
		}
	}
	return true
}

func (q PublicKeyQuery) compare(a, b PublicKey) int {
	switch q.Sort {
	case SortChanged:
		return a.Changed.Compare(b.Changed)
	case SortExpires:
		return compareExpiry(a.Expires, b.Expires)
	default:
		return a.Created.Compare(b.Created)
	}
}

// compareExpiry puts what never expires after everything that does.
func compareExpiry(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		return compareBool(a.IsZero(), b.IsZero())
	}
	return a.Compare(b)
}

package store

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
)

// TestSetExecutionKeepsWhatItDoesNotKnow: fields that a newer version wrote.
func TestSetExecutionKeepsWhatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := open(t, nil), condition(t, "event/a.b")
		s.mustCreate(t, "t")
		s.mustCreate(t, "u")
		for _, target := range []action.TargetID{"t", "u"} {
			if _, err := s.SetExecution(t.Context(), here, c, []action.TargetID{target}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.execution(here, c.ID()).Set(t.Context(), map[string]any{"newer": "x"}, firestore.MergeAll); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.SetExecution(t.Context(), here, c, nil); err != nil {
			t.Fatal(err)
		}
		snapshot, err := s.execution(here, c.ID()).Get(t.Context())
		if err != nil || snapshot.Data()["newer"] != "x" || len(snapshot.Data()["targets"].([]any)) != 0 {
			t.Errorf("%v, %v", snapshot.Data(), err)
		}
	})
}

// TestManyTargetsOfExecutions: their names would not fit into one message.
func TestManyTargetsOfExecutions(t *testing.T) {
	s := open(t, nil)
	s.mustCreate(t, "t0")
	writer := s.client.BulkWriter(t.Context())
	const n = 200
	for i := range n {
		id := fmt.Sprint("event/e.", i)
		doc := executionDoc{ID: id, datesDoc: datesDoc{Created: now(), Changed: now()}}
		for j := range action.MaxTargets {
			doc.Targets = append(doc.Targets, fmt.Sprintf("t%d-%s", i*action.MaxTargets+j, strings.Repeat("x", 180)))
		}
		doc.Targets[i%action.MaxTargets] = "t0"
		if _, err := writer.Create(s.execution(here, action.ExecutionID(id)), doc); err != nil {
			t.Fatal(err)
		}
	}
	writer.End()
	page, total, err := s.ListExecutions(t.Context(), here, action.ExecutionQuery{Page: action.Page{Limit: 3}, Sort: action.SortID})
	if err != nil || total != n || len(page) != 3 || len(page[0].Targets) != 1 || page[0].Condition.Name != "e.99" {
		t.Errorf("%d of %d, %v", len(page), total, err)
	}
}

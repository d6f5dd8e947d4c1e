package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/callout-dev/callout/shared/action"
)

// TestManyTargetsOfExecutions: their names would not fit into one message.
func TestManyTargetsOfExecutions(t *testing.T) {
	s := open(t, nil)
	s.mustCreate(t, "t0")
	writer := s.client.BulkWriter(t.Context())
	const n = 600
	for i := range n {
		id := fmt.Sprint("event/e.", i)
		doc := executionDoc{ID: id, Created: now(), Changed: now()}
		for j := range action.MaxTargets {
			doc.Targets = append(doc.Targets, fmt.Sprintf("t%d-%s", i*action.MaxTargets+j, strings.Repeat("x", 30)))
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

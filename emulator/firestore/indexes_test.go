package firestore

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/storage"
)

func TestParseIndexes(t *testing.T) {
	got, err := ParseIndexes([]byte(`{
		"indexes": [{"collectionGroup": "deliveries", "queryScope": "COLLECTION_GROUP", "density": "SPARSE_ALL", "fields": [
			{"fieldPath": "lane", "order": "ASCENDING"}, {"fieldPath": "due", "order": "DESCENDING"}, {"fieldPath": "tags", "arrayConfig": "CONTAINS"},
			{"fieldPath": "__name__", "order": "DESCENDING"}]}],
		"fieldOverrides": [
			{"collectionGroup": "events", "fieldPath": "expireAt", "ttl": true, "indexes": []},
			{"collectionGroup": "events", "fieldPath": "*", "indexes": [{"order": "ASCENDING", "queryScope": "COLLECTION"}]},
			{"collectionGroup": "events", "fieldPath": "a.b", "indexes": [{"arrayConfig": "CONTAINS", "queryScope": "COLLECTION_GROUP"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Indexes{
		Composites: []Composite{{"deliveries", GroupScope, []IndexField{{"lane", Ascending}, {"due", Descending}, {"tags", Contains}}}},
		Overrides: []Override{
			{Collection: "events", Path: "expireAt", TTL: true},
			{"events", "*", false, []OverrideIndex{{CollectionScope, Ascending}}},
			{"events", "a.b", false, []OverrideIndex{{GroupScope, Contains}}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParseIndexesRefuses(t *testing.T) {
	index := func(s string) string { return `{"indexes": [` + s + `]}` }
	tests := []struct{ name, text, says string }{
		{"no JSON", `{`, "EOF"},
		{"more than one object", `{} {}`, "follows"},
		{"unknown field", `{"index": []}`, "index"},
		{"no fields", index(`{"collectionGroup": "c"}`), "indexes[0]"},
		{"no collection", index(`{"fields": [{"fieldPath": "a", "order": "ASCENDING"}]}`), "collectionGroup"},
		{"unknown scope", index(`{"collectionGroup": "c", "queryScope": "ALL"}`), "queryScope"},
		{"unknown order", index(`{"collectionGroup": "c", "fields": [{"fieldPath": "a", "order": "UP"}]}`), "UP"},
		{"bad field", index(`{"collectionGroup": "c", "fields": [{"fieldPath": "a..b", "order": "ASCENDING"}]}`), "a..b"},
		{"vector", index(`{"collectionGroup": "c", "fields": [{"fieldPath": "a", "vectorConfig": {"dimension": 2, "flat": {}}}]}`), "vector"},
		{"time to live of all fields", `{"fieldOverrides": [{"collectionGroup": "c", "fieldPath": "*", "ttl": true}]}`, "fieldOverrides[0]"},
		{"too large", strings.Repeat(" ", maxIndexFile+1), "bytes"},
	}
	for _, tt := range tests {
		got, err := ParseIndexes([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, %v; want an error that says %q", tt.name, got, err, tt.says)
		}
	}
}

// TestReindex opens one store with different indexes: the entries are always those of the present ones.
func TestReindex(t *testing.T) {
	store, err := storage.Open(storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	sets := []*Indexes{
		nil,
		{Composites: []Composite{{"c", GroupScope, []IndexField{{"n", Ascending}, {"s", Descending}}}}},
		{Overrides: []Override{{Collection: "c", Path: "*"}, {Collection: "c", Path: "at", TTL: true}}},
		nil,
	}
	var sizes []int
	for i, x := range sets {
		s, err := New(Options{Store: store, Indexes: x})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			for _, p := range []string{"c/1", "c/2", "d/1"} {
				s.mustCommit(t, put(p, map[string]*pb.Value{
					"n": integer(1), "s": str(p), "at": {ValueType: &pb.Value_TimestampValue{TimestampValue: timestamp(4e15)}},
				}))
			}
		}
		checkEntries(t, s)
		n := 0
		for _, kind := range []byte{automaticKind, compositeKind, expiryKind} {
			if err := store.Scan([]byte{service, kind}, []byte{service, kind + 1}, false, func(_, _ []byte) bool { n++; return true }); err != nil {
				t.Fatal(err)
			}
		}
		sizes = append(sizes, n)
		s.Close()
	}
	if diff := cmp.Diff([]int{9, 11, 5, 9}, sizes); diff != "" {
		t.Errorf("entries: -want +got:\n%s", diff)
	}
}

// TestHistoryIsForgotten counts the old versions that the store keeps.
func TestHistoryIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{History: time.Minute})
		versions := func() int {
			n := 0
			if err := s.store.Scan([]byte{service, historyKind}, []byte{service, historyKind + 1}, false, func(_, _ []byte) bool { n++; return true }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for i := range 10 {
			s.mustCommit(t, put("c/x", map[string]*pb.Value{"n": integer(int64(i))}))
			time.Sleep(time.Second) // virtual
		}
		if got := versions(); got != 9 {
			t.Errorf("%d old versions within the time, want 9", got)
		}
		time.Sleep(2 * time.Minute) // virtual
		if got := versions(); got != 0 {
			t.Errorf("%d old versions after it", got)
		}
	})
}

// TestClockSetBack opens a store whose commits are later than the machine's clock, after a clean end and after none: commits go on from
// there, and nothing waits.
func TestClockSetBack(t *testing.T) {
	for _, clean := range []bool{true, false} {
		t.Run(fmt.Sprintf("clean=%v", clean), func(t *testing.T) {
			store, err := storage.Open(storage.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			s := newServer(t, Options{Store: store})
			future := time.Now().Add(time.Hour).UnixMicro()
			s.clock.applied.Store(future)
			var last int64
			for n := range 3 {
				last = s.mustCommit(t, put(fmt.Sprintf("c/x%d", n), nil))
			}
			if clean {
				s.Close()
			}
			again := newServer(t, Options{Store: store})
			for n := range 3 {
				if _, err := again.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: testRoot + fmt.Sprintf("/c/x%d", n)}); err != nil {
					t.Error(err)
				}
			}
			second := again.mustCommit(t, put("c/y", nil))
			if last <= future || second <= last || second > last+2*clockLease.Microseconds() {
				t.Errorf("commits at %d and %d, after %d", last, second, future)
			}
			if ahead := second - last; clean && ahead > 1000 {
				t.Errorf("after a clean end the clock runs %d µs ahead", ahead)
			}
		})
	}
}

func TestTransactionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{})
		for range 3 {
			if _, err := s.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: testDatabase}); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.Metrics().Transactions; n != 3 {
			t.Errorf("%d transactions run, want 3", n)
		}
		time.Sleep(transactionIdle + 2*housekeeping) // virtual
		if n := s.Metrics().Transactions; n != 0 {
			t.Errorf("%d transactions that nobody uses still run", n)
		}
		s.changes.mu.Lock()
		defer s.changes.mu.Unlock()
		if s.changes.readers != 0 {
			t.Errorf("the log of changes has %d readers", s.changes.readers)
		}
	})
}

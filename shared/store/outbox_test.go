package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	emulator "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/logging"
)

// topic is what a queue has accepted. Each publish takes the next fate, if there is one.
type topic struct {
	fates  []fate
	tries  int
	events []action.Occurrence
}

type fate struct{ accept, fail bool }

var errQueue = errors.New("the queue does not answer")

func (q *topic) publish(_ context.Context, events ...action.Occurrence) error {
	next := fate{accept: true}
	if q.tries < len(q.fates) {
		next = q.fates[q.tries]
	}
	q.tries++
	if next.accept {
		q.events = append(q.events, events...)
	}
	if next.fail {
		return errQueue
	}
	return nil
}

// ids are those of the different events.
func (q *topic) ids() map[action.EventID]int {
	ids := map[action.EventID]int{}
	for _, e := range q.events {
		ids[e.ID]++
	}
	return ids
}

func openOutbox(t *testing.T, q *topic, hostile *emulator.Hostile) *Store {
	s := open(t, hostile)
	s.Publish, s.Log = q.publish, logging.Discard()
	return s
}

// drain sweeps until nothing is due within a minute.
func drain(t *testing.T, s *Store) {
	t.Helper()
	for range 100 {
		if more, err := s.PublishDue(t.Context(), now().Add(time.Minute)); err == nil && !more {
			return
		}
		time.Sleep(time.Second)
	}
	t.Error("the outbox is not empty after 100 sweeps")
}

// TestEachChangeSaysSo: one event for each commit, at once, by its user, and nothing of what writes nothing or is nobody's business.
func TestEachChangeSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &topic{}
		s := openOutbox(t, q, nil)
		by := s.By("kim")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		made := by.mustCreate(t, "t")
		rename := func(old action.Target) (action.Target, bool, error) {
			differs := old.Name != "x"
			old.Name = "x"
			return old, differs, nil
		}
		for range 2 { // the second time, nothing changes
			_, err := by.UpdateTarget(t.Context(), here, "t", rename)
			must(err)
			_, err = by.SetExecution(t.Context(), here, condition(t, "event/a.b"), []action.TargetID{"t"})
			must(err)
		}
		must(s.SetDelivery(t.Context(), here, "t", action.DeliverySettings{Limits: action.Limits{Rate: 3}}))
		for _, id := range []action.PublicKeyID{"k1", "k2"} {
			_, err := by.AddPublicKey(t.Context(), here, "t", action.PublicKey{ID: id, PEM: []byte("pem"), Fingerprint: "f"})
			must(err)
			_, err = by.ActivatePublicKey(t.Context(), here, "t", id)
			must(err)
		}
		_, err := by.DeactivatePublicKey(t.Context(), here, "t", "k2")
		must(err)
		_, err = by.RemovePublicKey(t.Context(), here, "t", "k1")
		must(err)
		for range 2 {
			_, err = s.By("joe").DeleteTarget(t.Context(), here, "t")
			must(err)
		}
		event := func(kind, name, payload string) action.Occurrence {
			o := action.Occurrence{Instance: here, Type: name, AggregateID: "t", AggregateType: kind, ResourceOwner: "here", Version: "v1", UserID: "kim", Payload: []byte(payload)}
			switch {
			case kind == "execution":
				o.AggregateID = "event/a.b"
			case name == "target.removed":
				o.UserID, o.Payload = "joe", nil
			}
			return o
		}
		want := []action.Occurrence{
			event("target", "target.added", `{"name":"name of t","targetType":0,"endpoint":"https://192.0.2.1/","timeout":1000000000,"interruptOnError":false,"payloadType":0}`),
			event("target", "target.changed", `{"name":"x"}`),
			event("execution", "execution.v2.set", `{"targets":[{"type":2,"target":"t"}]}`),
			event("target", "target.key.added", `{"keyId":"k1","publicKey":"cGVt","fingerprint":"f"}`),
			event("target", "target.key.activated", `{"keyId":"k1"}`),
			event("target", "target.key.added", `{"keyId":"k2","publicKey":"cGVt","fingerprint":"f"}`),
			event("target", "target.key.activated", `{"keyId":"k2"}`),
			event("target", "target.key.deactivated", `{"keyId":"k2"}`),
			event("target", "target.key.removed", `{"keyId":"k1"}`),
			event("target", "target.removed", ""),
		}
		if diff := cmp.Diff(want, q.events, cmpopts.IgnoreFields(action.Occurrence{}, "ID", "CreatedAt")); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if age := q.events[0].CreatedAt.Sub(made.Created); age < 0 || age > time.Second {
			t.Errorf("created %v after the target", age)
		}
		for id := range q.ids() {
			if !strings.HasPrefix(string(id), "change-") || id.WebhookID() != string(id) {
				t.Errorf("id %q", id)
			}
		}
		published := len(q.events)
		time.Sleep(time.Minute)
		drain(t, s)
		if len(q.ids()) != published || len(q.events) != published {
			t.Errorf("%d events published, %d of them different, want %d", len(q.events), len(q.ids()), published)
		}
	})
}

// TestFailedPublishIsMadeUpFor, whether the queue took the event or not: each change's event is published, with one id however often.
func TestFailedPublishIsMadeUpFor(t *testing.T) {
	tests := []struct {
		name      string
		fates     []fate
		published int
	}{
		{"not accepted", []fate{{fail: true}}, 1},
		{"accepted, and the answer was lost", []fate{{accept: true, fail: true}}, 2},
		{"both, and the sweep's too", []fate{{fail: true}, {accept: true, fail: true}, {fail: true}}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &topic{fates: tt.fates}
				s := openOutbox(t, q, nil)
				s.mustCreate(t, "t")
				drain(t, s)
				if len(q.events) != tt.published || len(q.ids()) != 1 {
					t.Errorf("published %v", q.events)
				}
				if diff := cmp.Diff(q.events[:1], q.events[len(q.events)-1:]); diff != "" {
					t.Errorf("the first and the last differ:\n%s", diff)
				}
			})
		})
	}
}

// TestStoppedBeforePublishing: a process that stops between commit and publish leaves the event to a sweep, and not before it is due.
func TestStoppedBeforePublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &topic{}
		s := open(t, nil)
		s.Log = logging.Discard()
		s.By("kim").mustCreate(t, "t") // nobody publishes
		s.Publish = q.publish
		if more, err := s.PublishDue(t.Context(), now().Add(time.Minute)); !more || err != nil || len(q.events) != 0 {
			t.Errorf("at once: %v, %v, %v", more, err, q.events)
		}
		if more, err := s.PublishDue(t.Context(), now().Add(time.Second)); more || err != nil {
			t.Errorf("within a second: %v, %v", more, err)
		}
		time.Sleep(48 * time.Hour) // what is unpublished does not expire
		drain(t, s)
		drain(t, s)
		if len(q.events) != 1 || q.events[0].Type != "target.added" || q.events[0].UserID != "kim" {
			t.Errorf("published %v", q.events)
		}
		time.Sleep(action.ChangeKept + 25*time.Hour)
		if left, _, err := s.Changes(t.Context(), time.Unix(0, 0)); err != nil || len(left) != 0 {
			t.Errorf("a day later: %v, %v", left, err)
		}
	})
}

// TestOutboxOnAHostileDatabase: of each change that is there, the event is published; of one that is not, none.
func TestOutboxOnAHostileDatabase(t *testing.T) {
	for round := range rounds {
		synctest.Test(t, func(t *testing.T) {
			q := &topic{fates: []fate{{fail: true}, {accept: true, fail: true}, {accept: true}}}
			s := openOutbox(t, q, &emulator.Hostile{Seed: uint64(round), Abort: 0.1, Before: 0.2, After: 0.2})
			for _, id := range []action.TargetID{"a", "b", "c", "d", "e", "f"} {
				_, _ = s.CreateTarget(t.Context(), here, newTarget(id)) // what became of it may not be known
			}
			drain(t, s)
			for range 3 {
				time.Sleep(time.Minute)
				drain(t, s)
			}
			there, said := map[string]bool{}, map[string]bool{}
			for _, id := range []action.TargetID{"a", "b", "c", "d", "e", "f"} {
				if _, err := s.Target(t.Context(), here, id); err == nil {
					there[string(id)] = true
				}
			}
			for _, e := range q.events {
				said[e.AggregateID] = true
			}
			if diff := cmp.Diff(there, said); diff != "" || len(q.ids()) != len(there) {
				t.Errorf("round %d: %d events; targets there and said (-want +got):\n%s", round, len(q.ids()), diff)
			}
		})
	}
}

// TestSweepOfManyChanges takes all that is due in one look, and of every instance.
func TestSweepOfManyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		writer := s.client.BulkWriter(t.Context())
		for i := range 2*outboxBatch + 10 {
			instance := []action.InstanceID{"i", "j"}[i%2]
			doc, err := s.changeDoc(action.Change{Kind: action.ChangeTarget, ID: "t"}, action.TargetRemoved())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := writer.Create(s.collection(instance, changes).NewDoc(), doc); err != nil {
				t.Fatal(err)
			}
		}
		writer.End()
		time.Sleep(outboxTime)
		q := &topic{}
		s.Publish, s.Log = q.publish, logging.Discard()
		if more, err := s.PublishDue(t.Context(), now().Add(time.Minute)); more || err != nil || len(q.ids()) != 2*outboxBatch+10 || q.tries != 3 {
			t.Errorf("%v, %v: %d events in %d requests", more, err, len(q.ids()), q.tries)
		}
	})
}

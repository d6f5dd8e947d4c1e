package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

const (
	targets  = "targets"
	names    = "names"   // one document for each name in use: its id is derived from the name
	removals = "removed" // when a target was removed
)

// targetDoc is a target as stored.
type targetDoc struct {
	Name             string   `firestore:"name"`
	Type             string   `firestore:"type"`
	InterruptOnError bool     `firestore:"interruptOnError"`
	TimeoutNanos     int64    `firestore:"timeoutNanos"`
	Endpoint         string   `firestore:"endpoint"`
	PayloadType      string   `firestore:"payloadType"`
	SigningKeys      []keyDoc `firestore:"signingKeys"`
	// ActiveKey is absent where no public key is active.
	ActiveKey *activeKeyDoc `firestore:"activeKey,omitempty"`
	// Delivery is absent where a target has no rules of its own.
	Delivery *deliveryDoc `firestore:"delivery,omitempty"`
	Created  time.Time    `firestore:"created"`
	Changed  time.Time    `firestore:"changed"`
}

// ownFields are those that an update writes. It leaves alone those that it does not change: its rules for delivery, its public key, and what
// a newer version may have put there.
func ownFields() firestore.SetOption {
	return firestore.Merge([]string{"name"}, []string{"type"}, []string{"interruptOnError"}, []string{"timeoutNanos"}, []string{"endpoint"},
		[]string{"payloadType"}, []string{"signingKeys"}, []string{"changed"})
}

type keyDoc struct {
	Sealed  string    `firestore:"sealed"`
	Expires time.Time `firestore:"expires,omitempty"`
}

type nameDoc struct {
	Target string `firestore:"target"`
}

type removalDoc struct {
	Removed time.Time `firestore:"removed"`
	Leaving bool      `firestore:"leaving,omitempty"` // executions may still call it
}

var (
	errUpdateMissing = errs.New(errs.NotFound, "COMMAND-xj14f2cccn", "Target not found")
	errReadMissing   = errs.New(errs.NotFound, "QUERY-hj5oaniyrz", "Target not found")
	errNameTaken     = errs.New(errs.AlreadyExists, "V3-DKcYh", "Errors.Target.AlreadyExists")
	// errKey is the reference's for a signing key that cannot be decrypted.
	errKey = errs.New(errs.Internal, "QUERY-bxevy3YXwy", "An internal error occurred")
)

func (s *Store) target(instance action.InstanceID, id action.TargetID) *firestore.DocumentRef {
	return s.collection(instance, targets).Doc(string(id))
}

func (s *Store) nameOf(instance action.InstanceID, name string) *firestore.DocumentRef {
	return s.collection(instance, names).Doc(action.Key("target", name))
}

// place is what a target's signing keys are sealed for.
func place(instance action.InstanceID, id action.TargetID) string {
	return "instances/" + string(instance) + "/targets/" + string(id) + "#signingKeys"
}

// CreateTarget stores a new target and sets its dates; AlreadyExists if its name is taken.
func (s *Store) CreateTarget(ctx context.Context, instance action.InstanceID, t action.Target) (action.Target, error) {
	t.Created = now()
	t.Changed = t.Created
	doc, err := s.encodeTarget(instance, t)
	if err != nil {
		return action.Target{}, err
	}
	err = s.change(ctx, "create target", targetChange(instance, t.ID), func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		if err := claimName(tx, s.nameOf(instance, t.Name), t.ID); err != nil {
			return nil, err
		}
		return new(action.TargetAdded(t)), tx.Create(s.target(instance, t.ID), doc)
	})
	return t, err
}

func targetChange(instance action.InstanceID, id action.TargetID) action.Change {
	return action.Change{Instance: instance, Kind: action.ChangeTarget, ID: string(id)}
}

// claimName takes a name for a target that did not have it.
func claimName(tx *firestore.Transaction, name *firestore.DocumentRef, id action.TargetID) error {
	_, err := tx.Get(name)
	switch {
	case err == nil:
		return errNameTaken
	case !missing(err):
		return err
	}
	return tx.Create(name, nameDoc{Target: string(id)})
}

// UpdateTarget stores what change makes of the target; change may run more than once. If it says that nothing changed, nothing is
// written. NotFound if there is no such target.
func (s *Store) UpdateTarget(ctx context.Context, instance action.InstanceID, id action.TargetID,
	change func(action.Target) (action.Target, bool, error)) (action.Target, error) {
	var result action.Target
	if !id.Valid() {
		return result, errUpdateMissing
	}
	err := s.change(ctx, "update target", targetChange(instance, id), func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		snapshot, err := tx.Get(s.target(instance, id))
		if missing(err) {
			return nil, errUpdateMissing
		}
		if err != nil {
			return nil, err
		}
		old, err := s.decodeTarget(instance, snapshot)
		if err != nil {
			return nil, err
		}
		changed, differs, err := change(old)
		if result = changed; err != nil || !differs {
			return nil, err
		}
		changed.Changed = now()
		result = changed
		if changed.Name != old.Name {
			if err := claimName(tx, s.nameOf(instance, changed.Name), id); err != nil {
				return nil, err
			}
			if err := tx.Delete(s.nameOf(instance, old.Name)); err != nil {
				return nil, err
			}
		}
		doc, err := s.encodeTarget(instance, changed)
		if err != nil {
			return nil, err
		}
		return new(action.TargetChanged(old, changed)), tx.Set(snapshot.Ref, doc, ownFields())
	})
	return result, err
}

// DeleteTarget removes a target and says when it was removed: now, or earlier if it is gone already, or the zero time if it never was.
func (s *Store) DeleteTarget(ctx context.Context, instance action.InstanceID, id action.TargetID) (time.Time, error) {
	var removed time.Time
	var called bool // perhaps, by executions
	if !id.Valid() {
		return removed, nil
	}
	removal := s.collection(instance, removals).Doc(string(id))
	err := s.change(ctx, "delete target", targetChange(instance, id), func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		removed = time.Time{}
		snapshot, err := tx.Get(s.target(instance, id))
		if missing(err) {
			was, err := readRemoval(tx, removal)
			removed, called = was.Removed, was.Leaving
			return nil, err
		}
		if err != nil {
			return nil, err
		}
		var doc targetDoc
		if err := snapshot.DataTo(&doc); err != nil {
			return nil, err
		}
		removed = now()
		if err := s.removeKeys(tx, snapshot.Ref); err != nil {
			return nil, err
		}
		if err := tx.Create(removal, removalDoc{Removed: removed, Leaving: true}); err != nil {
			return nil, err
		}
		if err := tx.Delete(s.nameOf(instance, doc.Name)); err != nil {
			return nil, err
		}
		called = true
		return new(action.TargetRemoved()), tx.Delete(snapshot.Ref)
	})
	if err == nil && called {
		s.leaveNow(ctx, instance, id)
	}
	return removed, err
}

func readRemoval(tx *firestore.Transaction, removal *firestore.DocumentRef) (removalDoc, error) {
	var doc removalDoc
	snapshot, err := tx.Get(removal)
	if missing(err) {
		return doc, nil
	}
	if err != nil {
		return doc, err
	}
	return doc, snapshot.DataTo(&doc)
}

// Target reads a target; NotFound if there is none.
func (s *Store) Target(ctx context.Context, instance action.InstanceID, id action.TargetID) (action.Target, error) {
	if !id.Valid() {
		return action.Target{}, errReadMissing
	}
	snapshot, err := s.target(instance, id).Get(ctx)
	if missing(err) {
		return action.Target{}, errReadMissing
	}
	if err != nil {
		return action.Target{}, mapError("read target", err)
	}
	return s.decodeTarget(instance, snapshot)
}

// CheckSeal opens the secrets of one target, whichever comes first: an error says that the keys are not those the data was sealed with.
func (s *Store) CheckSeal(ctx context.Context) error {
	documents := s.client.CollectionGroup(targets).Limit(1).Documents(ctx)
	defer documents.Stop()
	snapshot, err := documents.Next()
	if err == iterator.Done {
		return nil
	}
	if err != nil {
		return mapError("check seal", err)
	}
	_, err = s.decodeTarget(action.InstanceID(snapshot.Ref.Parent.Parent.ID), snapshot)
	return err
}

// maxRead is how many documents one call asks for: more names would not fit into a message one day.
const maxRead = 1000

// existing tells which of the targets, known by ids from stored documents, exist.
func (s *Store) existing(ctx context.Context, instance action.InstanceID, ids []action.TargetID) (map[action.TargetID]bool, error) {
	found := map[action.TargetID]bool{}
	for part := range slices.Chunk(ids, maxRead) {
		snapshots, err := s.client.GetAll(ctx, s.targetRefs(instance, part))
		if err != nil {
			return nil, mapError("read targets", err)
		}
		for _, snapshot := range snapshots {
			found[action.TargetID(snapshot.Ref.ID)] = snapshot.Exists()
		}
	}
	return found, nil
}

func (s *Store) targetRefs(instance action.InstanceID, ids []action.TargetID) []*firestore.DocumentRef {
	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		refs[i] = s.target(instance, id)
	}
	return refs
}

func (s *Store) encodeTarget(instance action.InstanceID, t action.Target) (targetDoc, error) {
	doc := targetDoc{
		Name: t.Name, Type: string(t.Type), InterruptOnError: t.InterruptOnError, TimeoutNanos: int64(t.Timeout),
		Endpoint: t.Endpoint, PayloadType: string(t.PayloadType), Delivery: encodeSettings(t.Delivery), Created: t.Created, Changed: t.Changed,
	}
	for _, k := range t.SigningKeys {
		sealed, err := s.sealer.Seal(place(instance, t.ID), string(k.Value))
		if err != nil {
			return targetDoc{}, fmt.Errorf("seal signing key: %w", err)
		}
		doc.SigningKeys = append(doc.SigningKeys, keyDoc{Sealed: sealed, Expires: k.Expires})
	}
	return doc, nil
}

// decodeTarget reads a target. With an error comes as much of it as could be read, its id at the least.
func (s *Store) decodeTarget(instance action.InstanceID, snapshot *firestore.DocumentSnapshot) (action.Target, error) {
	var doc targetDoc
	t := action.Target{ID: action.TargetID(snapshot.Ref.ID)}
	if err := snapshot.DataTo(&doc); err != nil {
		return t, fmt.Errorf("target document %s: %w", snapshot.Ref.ID, err)
	}
	t = action.Target{
		ID: t.ID, Name: doc.Name, Type: action.TargetType(doc.Type), InterruptOnError: doc.InterruptOnError,
		Timeout: time.Duration(doc.TimeoutNanos), Endpoint: doc.Endpoint, PayloadType: action.PayloadType(doc.PayloadType),
		Delivery: decodeSettings(doc.Delivery), Created: doc.Created, Changed: doc.Changed,
	}
	if k := doc.ActiveKey; k != nil {
		t.PublicKey = action.PublicKey{ID: action.PublicKeyID(k.ID), PEM: k.PEM, Active: true, Expires: k.Expires}
	}
	for _, k := range doc.SigningKeys {
		value, err := s.sealer.Open(place(instance, t.ID), k.Sealed)
		if err != nil {
			t.SigningKeys = nil
			return t, errKey.Because(fmt.Errorf("target %s: %w", t.ID, err))
		}
		t.SigningKeys = append(t.SigningKeys, action.SigningKey{Value: action.Secret(value), Expires: k.Expires})
	}
	return t, nil
}

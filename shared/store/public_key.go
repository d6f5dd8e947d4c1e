package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// publicKeys lie below their target. Which one is active stands in the target's document alone: so there is one at most, and who calls the
// target has it without a further read.
const publicKeys = "publicKeys"

// publicKeyDoc is a public key as stored.
type publicKeyDoc struct {
	PEM         []byte    `firestore:"pem"`
	Fingerprint string    `firestore:"fingerprint"`
	Expires     time.Time `firestore:"expires,omitempty"`
	Created     time.Time `firestore:"created"`
	Changed     time.Time `firestore:"changed"`
}

// activeKeyDoc is the active key as it stands in the target's document.
type activeKeyDoc struct {
	ID      string    `firestore:"id"`
	PEM     []byte    `firestore:"pem"`
	Expires time.Time `firestore:"expires,omitempty"`
}

const activeKey = "activeKey"

// Refusals of actions-v2.md section 3.6.
var (
	errAddKeyMissing = errs.New(errs.FailedPrecondition, "COMMAND-nd3fsd", "Target not found")
	errNoKeyTarget   = errs.New(errs.FailedPrecondition, "COMMAND-SAF4g", "Target not found")
	errNoKey         = errs.New(errs.FailedPrecondition, "COMMAND-SAF4g", "Target public key not found")
	errKeyExpired    = errs.New(errs.FailedPrecondition, "COMMAND-SAF4g", "Target public key is expired")
	errKeyActive     = errs.New(errs.FailedPrecondition, "", "Cannot delete active target public key")
)

func (s *Store) publicKey(instance action.InstanceID, target action.TargetID, id action.PublicKeyID) *firestore.DocumentRef {
	return s.target(instance, target).Collection(publicKeys).Doc(string(id))
}

// keyRemoval is where it stands when a key was removed. No target has such an id.
func (s *Store) keyRemoval(instance action.InstanceID, target action.TargetID, id action.PublicKeyID) *firestore.DocumentRef {
	return s.collection(instance, removals).Doc(string(target) + ":" + string(id))
}

// AddPublicKey stores a new, inactive key and sets its dates; FailedPrecondition if there is no such target.
func (s *Store) AddPublicKey(ctx context.Context, instance action.InstanceID, target action.TargetID, k action.PublicKey) (action.PublicKey, error) {
	k.Created = now()
	k.Changed = k.Created
	if !target.Valid() {
		return k, errAddKeyMissing
	}
	doc := publicKeyDoc{PEM: k.PEM, Fingerprint: k.Fingerprint, Expires: k.Expires, Created: k.Created, Changed: k.Changed}
	err := s.change(ctx, "add public key", targetChange(instance, target), func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		if _, err := readTarget(tx, s.target(instance, target), errAddKeyMissing); err != nil {
			return nil, err
		}
		return new(action.KeyAdded(k)), tx.Create(s.publicKey(instance, target, k.ID), doc)
	})
	return k, err
}

// ActivatePublicKey makes a key the active one, and the one that was so inactive in the same commit. It says when the key was changed: now,
// or earlier if it is active already. FailedPrecondition if there is no such target or key, or the key is expired.
func (s *Store) ActivatePublicKey(ctx context.Context, instance action.InstanceID, target action.TargetID,
	id action.PublicKeyID) (time.Time, error) {
	next := func(tx *firestore.Transaction, t targetDoc, k publicKeyDoc) (any, error) {
		switch at := now(); {
		case action.PublicKey{Expires: k.Expires}.Expired(at):
			return nil, errKeyExpired
		case t.active() == id:
			return nil, nil
		case t.active() == "":
		default:
			former := []firestore.Update{{Path: "changed", Value: at}}
			if err := tx.Update(s.publicKey(instance, target, t.active()), former); err != nil {
				return nil, err
			}
		}
		return activeKeyDoc{ID: string(id), PEM: k.PEM, Expires: k.Expires}, nil
	}
	return s.switchKey(ctx, "activate public key", instance, target, id, action.KeyActivated(id), next)
}

// DeactivatePublicKey makes a key inactive and says when it was changed: now, or earlier if it is not the active one. FailedPrecondition if
// there is no such target or key.
func (s *Store) DeactivatePublicKey(ctx context.Context, instance action.InstanceID, target action.TargetID,
	id action.PublicKeyID) (time.Time, error) {
	next := func(_ *firestore.Transaction, t targetDoc, _ publicKeyDoc) (any, error) {
		if t.active() != id {
			return nil, nil
		}
		return firestore.Delete, nil
	}
	return s.switchKey(ctx, "deactivate public key", instance, target, id, action.KeyDeactivated(id), next)
}

// switchKey reads a target and one of its keys, and writes what next says is the target's active key, where it says anything.
func (s *Store) switchKey(ctx context.Context, operation string, instance action.InstanceID, target action.TargetID, id action.PublicKeyID,
	event action.ConfigEvent, next func(*firestore.Transaction, targetDoc, publicKeyDoc) (any, error)) (time.Time, error) {
	var changed time.Time
	switch {
	case !target.Valid():
		return changed, errNoKeyTarget
	case !id.Valid():
		return changed, errNoKey
	}
	err := s.change(ctx, operation, targetChange(instance, target), func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		t, err := readTarget(tx, s.target(instance, target), errNoKeyTarget)
		if err != nil {
			return nil, err
		}
		k, err := readKey(tx, s.publicKey(instance, target, id))
		if err != nil {
			return nil, err
		}
		active, err := next(tx, t, k)
		if changed = k.Changed; err != nil || active == nil {
			return nil, err
		}
		changed = now()
		if err := tx.Update(s.publicKey(instance, target, id), []firestore.Update{{Path: "changed", Value: changed}}); err != nil {
			return nil, err
		}
		return new(event), tx.Update(s.target(instance, target), []firestore.Update{{Path: activeKey, Value: active}})
	})
	return changed, err
}

// RemovePublicKey removes a key and says when it, or before it its target, was removed: now, or earlier if it is gone already, or the zero
// time if it never was. FailedPrecondition if it is active.
func (s *Store) RemovePublicKey(ctx context.Context, instance action.InstanceID, target action.TargetID, id action.PublicKeyID) (time.Time, error) {
	var removed time.Time
	if !target.Valid() || !id.Valid() {
		return removed, nil
	}
	removal := s.keyRemoval(instance, target, id)
	err := s.change(ctx, "remove public key", targetChange(instance, target), func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		removed = time.Time{}
		t, err := readTarget(tx, s.target(instance, target), errNoKeyTarget)
		if errors.Is(err, errNoKeyTarget) {
			was, err := readRemoval(tx, s.collection(instance, removals).Doc(string(target)))
			removed = was.Removed
			return nil, err
		}
		if err != nil {
			return nil, err
		}
		key := s.publicKey(instance, target, id)
		_, err = tx.Get(key)
		switch {
		case missing(err):
			was, err := readRemoval(tx, removal)
			removed = was.Removed
			return nil, err
		case err != nil:
			return nil, err
		case t.active() == id:
			return nil, errKeyActive
		}
		removed = now()
		if err := tx.Create(removal, removalDoc{Removed: removed}); err != nil {
			return nil, err
		}
		return new(action.KeyRemoved(id)), tx.Delete(key)
	})
	return removed, err
}

// ListPublicKeys reads the wanted part of a target's keys and how many match in all; none of a target that there is not.
func (s *Store) ListPublicKeys(ctx context.Context, instance action.InstanceID, target action.TargetID,
	q action.PublicKeyQuery) ([]action.PublicKey, int, error) {
	const operation = "list public keys"
	if !target.Valid() {
		return nil, 0, nil
	}
	snapshot, err := s.target(instance, target).Get(ctx)
	if missing(err) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, mapError(operation, err)
	}
	var t targetDoc
	if err := snapshot.DataTo(&t); err != nil {
		return nil, 0, fmt.Errorf("target document %s: %w", target, err)
	}
	var all []action.PublicKey
	err = each(ctx, s.target(instance, target).Collection(publicKeys).Query, func(snapshot *firestore.DocumentSnapshot) error {
		var doc publicKeyDoc
		if err := snapshot.DataTo(&doc); err != nil {
			return fmt.Errorf("public key document %s: %w", snapshot.Ref.ID, err)
		}
		id := action.PublicKeyID(snapshot.Ref.ID)
		all = append(all, action.PublicKey{
			ID: id, PEM: doc.PEM, Fingerprint: doc.Fingerprint, Active: t.active() == id, Expires: doc.Expires,
			Created: doc.Created, Changed: doc.Changed,
		})
		return nil
	})
	if err != nil {
		return nil, 0, mapError(operation, err)
	}
	page, total := q.Select(all)
	return page, total, nil
}

// removeKeys removes all keys of a target that is being removed.
func (s *Store) removeKeys(tx *firestore.Transaction, target *firestore.DocumentRef) error {
	keys, err := tx.Documents(target.Collection(publicKeys).Select()).GetAll()
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := tx.Delete(key.Ref); err != nil {
			return err
		}
	}
	return nil
}

// active is the id of the active key, empty where there is none.
func (d targetDoc) active() action.PublicKeyID {
	if d.ActiveKey == nil {
		return ""
	}
	return action.PublicKeyID(d.ActiveKey.ID)
}

// readTarget reads a target's document; the error is absent where there is none.
func readTarget(tx *firestore.Transaction, ref *firestore.DocumentRef, absent error) (targetDoc, error) {
	var doc targetDoc
	snapshot, err := tx.Get(ref)
	if missing(err) {
		return doc, absent
	}
	if err != nil {
		return doc, err
	}
	return doc, snapshot.DataTo(&doc)
}

func readKey(tx *firestore.Transaction, ref *firestore.DocumentRef) (publicKeyDoc, error) {
	var doc publicKeyDoc
	snapshot, err := tx.Get(ref)
	if missing(err) {
		return doc, errNoKey
	}
	if err != nil {
		return doc, err
	}
	return doc, snapshot.DataTo(&doc)
}

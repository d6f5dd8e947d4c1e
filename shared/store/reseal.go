package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/seal"
)

const (
	// resealPage is how many documents are read at once, and sealed anew in one transaction.
	resealPage = 100
	// A database that fails is asked again that often, and left alone for that long before.
	resealTries = 5
	resealPause = time.Second
)

// Reseal seals secrets anew, of all instances. The zero value does the work and says nothing.
type Reseal struct {
	// DryRun writes nothing.
	DryRun bool
	// Unreadable is told of each value that does not open, by the path of its document; it stays as it is, and the work goes on.
	Unreadable func(document string, err error)
	// Progress is told after each page what has been found so far.
	Progress func(Resealed)
}

// Resealed is what was found and done.
type Resealed struct {
	Documents int
	// Keys counts the values by the id of the key that they were found under; "" is for what is no sealed value.
	Keys map[string]int
	// Unreadable are those that did not open.
	Unreadable int
	// Stale are those that were found under another key than the first, and are not any more if this is no dry run.
	Stale int
}

// Reseal opens every sealed value, and seals with the first key what is under another one. It can be broken off and run again at any time.
// What it has come to is told with an error too.
//
// Nothing but the sealed texts is written, and nothing goes into the feed of changes: the secrets are what they were, so that no copy that
// anybody keeps is out of date. A transaction for each page conflicts with whoever changes one of its documents at the same time, so that
// neither's work is lost. What is written meanwhile by a process whose first key is the old one may stay under that: the next run finds it.
func (s *Store) Reseal(ctx context.Context, r Reseal) (Resealed, error) {
	result := Resealed{Keys: map[string]int{}}
	all, err := retry(ctx, func() ([]action.InstanceID, error) { return s.allInstances(ctx) })
	if err != nil {
		return result, err
	}
	for _, instance := range all {
		for _, f := range sealedFields() {
			if err := s.resealField(ctx, instance, f, r, &result); err != nil {
				return result, err
			}
		}
	}
	return result, nil
}

// sealedField is where documents of a collection have sealed values: each in a map of a list.
type sealedField struct {
	collection, field string
	// place is what a value is sealed for; entry is the map that it stands in.
	place func(instance action.InstanceID, document string, entry map[string]any) string
}

// sealedFields are all there are.
func sealedFields() []sealedField {
	return []sealedField{
		{targets, "signingKeys", func(instance action.InstanceID, document string, _ map[string]any) string {
			return place(instance, action.TargetID(document))
		}},
		{webKeys, "keys", func(instance action.InstanceID, _ string, entry map[string]any) string {
			id, _ := entry["id"].(string)
			return webKeyPlace(instance, action.WebKeyID(id))
		}},
	}
}

func (s *Store) resealField(ctx context.Context, instance action.InstanceID, f sealedField, r Reseal, result *Resealed) error {
	var last *firestore.DocumentSnapshot
	for {
		page, err := retry(ctx, func() ([]*firestore.DocumentSnapshot, error) { return s.sealedAfter(ctx, instance, f, last) })
		if err != nil {
			return err
		}
		stale := s.surveySealed(page, f, r, result)
		if !r.DryRun && len(stale) > 0 {
			if _, err := retry(ctx, func() (any, error) { return nil, s.reseal(ctx, f, stale) }); err != nil {
				return err
			}
		}
		if r.Progress != nil && len(page) > 0 {
			r.Progress(*result)
		}
		if len(page) < resealPage {
			return nil
		}
		last = page[len(page)-1]
	}
}

// retry repeats what the database did not do, or may not have done.
func retry[T any](ctx context.Context, do func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		result, err := do()
		if !errs.Is(err, errs.Unavailable) || try == resealTries {
			return result, err
		}
		select {
		case <-time.After(resealPause):
		case <-ctx.Done():
			return result, err
		}
	}
}

// allInstances are those that have anything. Their own documents do not exist, but are listed for what is below them.
func (s *Store) allInstances(ctx context.Context) ([]action.InstanceID, error) {
	ctx, cancel := context.WithTimeout(ctx, transactTime)
	defer cancel()
	refs, err := s.client.Collection(instances).DocumentRefs(ctx).GetAll()
	found := make([]action.InstanceID, len(refs))
	for i, ref := range refs {
		found[i] = action.InstanceID(ref.ID)
	}
	return found, mapError("list instances", err)
}

// sealedAfter reads the sealed values of a page of documents, in the order of their names; nil is for the first page.
func (s *Store) sealedAfter(ctx context.Context, instance action.InstanceID, f sealedField,
	last *firestore.DocumentSnapshot) ([]*firestore.DocumentSnapshot, error) {
	q := s.collection(instance, f.collection).Select(f.field).OrderBy(firestore.DocumentID, firestore.Asc).Limit(resealPage)
	if last != nil {
		q = q.StartAfter(last)
	}
	ctx, cancel := context.WithTimeout(ctx, transactTime)
	defer cancel()
	page, err := q.Documents(ctx).GetAll()
	return page, mapError("read sealed values", err)
}

// surveySealed counts the values of a page, tells of those that do not open, and gives the documents of which some are to be sealed anew.
func (s *Store) surveySealed(page []*firestore.DocumentSnapshot, f sealedField, r Reseal, result *Resealed) (stale []*firestore.DocumentRef) {
	for _, snapshot := range page {
		result.Documents++
		before := result.Stale
		_, values := s.sealedIn(snapshot, f)
		for _, v := range values {
			result.Keys[seal.KeyID(v.text)]++
			switch {
			case v.err != nil:
				result.Unreadable++
				if r.Unreadable != nil {
					r.Unreadable(pathOf(snapshot.Ref), v.err)
				}
			case v.stale():
				result.Stale++
			}
		}
		if result.Stale > before {
			stale = append(stale, snapshot.Ref)
		}
	}
	return stale
}

// reseal seals the values of some documents anew in one transaction.
func (s *Store) reseal(ctx context.Context, f sealedField, refs []*firestore.DocumentRef) error {
	return s.transact(ctx, "reseal", func(_ context.Context, tx *firestore.Transaction) error {
		snapshots, err := tx.GetAll(refs)
		if err != nil {
			return err
		}
		for _, snapshot := range snapshots {
			if !snapshot.Exists() { // removed meanwhile
				continue
			}
			field, values := s.sealedIn(snapshot, f)
			changed := false
			for _, v := range values {
				if v.stale() { // one that does not open was told of, or will be by the next run
					v.entry["sealed"] = v.fresh
					changed = true
				}
			}
			if !changed {
				continue
			}
			if err := tx.Update(snapshot.Ref, []firestore.Update{{Path: f.field, Value: field}}); err != nil {
				return err
			}
		}
		return nil
	})
}

// sealedValue is one in a document.
type sealedValue struct {
	entry map[string]any // what it stands in
	text  string
	fresh string // sealed with the first key: the same as text where that is so already
	err   error  // it does not open
}

// stale says whether it is to be sealed anew.
func (v sealedValue) stale() bool { return v.err == nil && v.fresh != v.text }

var errNoSealed = errors.New("there is something else where a sealed value should be")

// sealedIn gives the field that holds a document's sealed values, and these: their entries are parts of the field. It reads no more than
// that, so that what it does not know stays as it is.
func (s *Store) sealedIn(snapshot *firestore.DocumentSnapshot, f sealedField) (field any, values []sealedValue) {
	field, err := snapshot.DataAt(f.field)
	if err != nil || field == nil { // a document without secrets
		return nil, nil
	}
	entries, ok := field.([]any)
	if !ok {
		return field, []sealedValue{{err: errNoSealed}}
	}
	instance, id := placeOf(snapshot.Ref.Path)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		text, ok := entry["sealed"].(string)
		if !ok {
			values = append(values, sealedValue{err: errNoSealed})
			continue
		}
		fresh, err := s.sealer.Reseal(f.place(instance, id, entry), text)
		values = append(values, sealedValue{entry, text, fresh, err})
	}
	return field, values
}

// pathOf is a document's name within the database.
func pathOf(ref *firestore.DocumentRef) string {
	_, path, _ := strings.Cut(ref.Path, "/documents/")
	return path
}

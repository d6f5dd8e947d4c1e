package store

import (
	"context"
	"time"

	"cloud.google.com/go/firestore"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/callout-dev/callout/shared/action"
)

const (
	// maxTotals is how many are remembered.
	maxTotals = 1000
	// totalTime is how long: the feed must not forget the change that a total was counted after, and then be as empty as before it.
	totalTime = action.ChangeKept / 2
	// settled is how old the newest change must be for a total to be remembered: another one of the same time may not be seen yet.
	settled = time.Second
)

// place of a total: what is counted, and where.
type totalOf struct {
	instance   action.InstanceID
	collection string
}

// total is how many there were after a change.
type total struct {
	n       int
	after   time.Time
	counted time.Time
}

func newTotals() *lru.Cache[totalOf, total] {
	totals, err := lru.New[totalOf, total](maxTotals)
	if err != nil {
		panic(err) // a size that is not positive
	}
	return totals
}

// total counts what a query of a collection finds, which takes the longer the more there is: as long as nothing is changed in the instance,
// it is counted once.
func (s *Store) total(ctx context.Context, instance action.InstanceID, collection string, all firestore.Query) (int, error) {
	newest, calm, err := s.newestChange(ctx, instance)
	if err != nil {
		return 0, err
	}
	of, began := totalOf{instance, collection}, time.Now()
	if known, ok := s.totals.Get(of); ok && known.after.Equal(newest) && began.Sub(known.counted).Abs() < totalTime {
		return known.n, nil
	}
	n, err := count(ctx, all)
	if err == nil && calm {
		s.totals.Add(of, total{n: n, after: newest, counted: began})
	}
	return n, err
}

// newestChange says when an instance was changed last, as far as the feed knows, and whether all changes of that time are seen.
func (s *Store) newestChange(ctx context.Context, instance action.InstanceID) (at time.Time, calm bool, err error) {
	err = each(ctx, s.collection(instance, changes).OrderBy("at", firestore.Desc).Limit(1).Select("at"), func(snapshot *firestore.DocumentSnapshot) error {
		var doc changeDoc
		if err := snapshot.DataTo(&doc); err != nil {
			return err
		}
		at = doc.At
		calm = snapshot.ReadTime.Sub(at) > settled
		return nil
	})
	return at, calm || at.IsZero(), mapError("read the newest change", err)
}

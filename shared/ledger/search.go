package ledger

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
)

const (
	// MaxRead is how many documents one search reads, and maxReadBytes how large they may be together: whoever searches for what the
	// indexes do not know goes on with the position that the search ended at.
	MaxRead      = 2000
	maxReadBytes = 32 << 20
	// alternatives is how many a query of Firestore may have (https://cloud.google.com/firestore/docs/query-data/queries#limits_on_or_queries).
	alternatives = 30
)

// Search is a search for deliveries of one instance, the newest first.
type Search struct {
	Instance action.InstanceID
	Filter   action.DeliveryFilter
	// After is where the search before ended; the zero value begins with the newest.
	After Position
	// Limit is how many deliveries are wanted, at least 1.
	Limit int
	// Shards is over how many shards deliveries are spread, at least 1.
	Shards int
	// Now is when: what has expired is left out.
	Now time.Time
}

// Position is a place in the order of deliveries: by when they were made, and by id where that was the same microsecond.
type Position struct {
	Created time.Time
	ID      action.DeliveryID
}

// PositionOf is that of a delivery.
func PositionOf(d action.Delivery) Position { return Position{d.Created, d.ID} }

// before says whether p comes earlier in a search: it is newer.
func (p Position) before(q Position) bool {
	return cmp.Or(q.Created.Compare(p.Created), cmp.Compare(q.ID, p.ID)) < 0
}

// Found is what a search found. More says that there may be more from Last on, though nothing was found.
type Found struct {
	Deliveries []Version
	Last       Position
	More       bool
}

// Search finds deliveries. States, target and time are the indexes' to find; all else is asked of what was read, MaxRead documents or
// 32 MiB at the most. Indexes: (shard, state, created) and (shard, target, state, created). No index begins with a time, which would hold a
// database to some 500 writes a second.
func (l *Ledger) Search(ctx context.Context, s Search) (Found, error) {
	if s.Filter.Text != "" {
		exact, ids, err := l.named(ctx, s)
		if exact || err != nil {
			return l.among(ctx, s, ids, err)
		}
	}
	if s.Filter.Held != nil && *s.Filter.Held { // what is final waits for nothing
		s.Filter.States = unfinished(s.Filter)
		if len(s.Filter.States) == 0 {
			return Found{}, nil
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the streams that were not read to their end
	m, err := l.merge(ctx, s)
	if err != nil {
		return Found{}, err
	}
	var found Found
	for read, size := 0, 0; ; read++ {
		if read == MaxRead || size >= maxReadBytes || len(found.Deliveries) == s.Limit {
			found.More, err = m.more(ctx)
			return found, err
		}
		v, ok, err := m.next(ctx)
		if err != nil || !ok {
			return found, err
		}
		found.Last = PositionOf(v.Delivery)
		size += weight(v.Delivery)
		if s.wants(v.Delivery) {
			found.Deliveries = append(found.Deliveries, v)
		}
	}
}

// wants says whether a delivery that was read is one of those searched for.
func (s Search) wants(d action.Delivery) bool { return s.Filter.Matches(d) && !expired(d, s.Now) }

func expired(d action.Delivery, now time.Time) bool {
	return !d.Expires.IsZero() && !now.Before(d.Expires)
}

func unfinished(f action.DeliveryFilter) (states []action.State) {
	for _, s := range []action.State{action.Pending, action.Retrying} {
		if f.MatchesState(s) {
			states = append(states, s)
		}
	}
	return states
}

// weight is about how many bytes a delivery takes.
func weight(d action.Delivery) int {
	n := 1 << 10
	for _, a := range d.Attempts {
		n += 200 + len(a.Answer)
	}
	return n
}

// named finds the deliveries that a text names as a whole: by the id of their event, by its key, by their own. Exact says that these are
// all there can be: the text is such a name, or cannot be a part of one.
func (l *Ledger) named(ctx context.Context, s Search) (exact bool, ids []action.DeliveryID, err error) {
	text := strings.ToLower(s.Filter.Text)
	events, err := l.EventsByID(ctx, s.Instance, action.EventID(s.Filter.Text), s.Now)
	if err != nil {
		return false, nil, err
	}
	if whole := action.DeliveryID(text); whole.Valid() {
		ids = append(ids, whole)
		event, found, err := l.eventIfThere(ctx, s.Instance, action.EventKey(text), s.Now)
		if err != nil {
			return false, nil, err
		}
		if found {
			events = append(events, event)
		}
	}
	for _, e := range events {
		ids = append(ids, e.Deliveries()...)
	}
	slices.Sort(ids)
	return len(ids) > 0 || len(events) > 0 || !partOfKey(text), slices.Compact(ids), nil
}

// partOfKey says whether a text can stand in a key at all (action.Key).
func partOfKey(text string) bool {
	return len(text) < 26 && !strings.ContainsFunc(text, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '2' && r <= '7') })
}

// among searches in some deliveries instead of all.
func (l *Ledger) among(ctx context.Context, s Search, ids []action.DeliveryID, err error) (Found, error) {
	if err != nil {
		return Found{}, err
	}
	all, err := l.Deliveries(ctx, s.Instance, ids)
	if err != nil {
		return Found{}, err
	}
	s.Filter.Text = "" // they have been found by it
	slices.SortFunc(all, func(a, b Version) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID))
	})
	var found Found
	for _, v := range all {
		if s.After != (Position{}) && !s.After.before(PositionOf(v.Delivery)) || !s.wants(v.Delivery) {
			continue
		}
		if len(found.Deliveries) == s.Limit {
			found.More = true
			return found, nil
		}
		found.Deliveries, found.Last = append(found.Deliveries, v), PositionOf(v.Delivery)
	}
	return found, nil
}

// merger reads from several queries at once, each in order.
type merger struct{ from []*source }

// merge begins the queries: as few as the limit on alternatives allows.
func (l *Ledger) merge(ctx context.Context, s Search) (*merger, error) {
	states := s.Filter.States
	if len(states) == 0 {
		states = allStates()
	}
	slices.Sort(states)
	states = slices.Compact(slices.Clone(states))
	var groups [][]int
	for shard := range max(s.Shards, 1) {
		if n := len(groups) - 1; n >= 0 && (len(groups[n])+1)*len(states) <= alternatives {
			groups[n] = append(groups[n], shard)
			continue
		}
		groups = append(groups, []int{shard})
	}
	// One more than wanted says whether there are more; where much may be left out, all that may be read is shared out.
	limit := min(s.Limit+1, MaxRead)
	if !s.Filter.Indexed() {
		limit = MaxRead
	}
	limit = max(limit/len(groups), min(limit, 20))
	m := &merger{}
	for _, shards := range groups {
		m.from = append(m.from, &source{ledger: l, search: s, shards: shards, states: states, after: s.After, limit: limit})
	}
	return m, nil
}

func allStates() []action.State {
	return []action.State{action.Pending, action.Retrying, action.Delivered, action.Dead, action.Skipped}
}

// next gives the newest delivery that was not given yet; false when there is none.
func (m *merger) next(ctx context.Context) (Version, bool, error) {
	var first *source
	for _, f := range m.from {
		if err := f.fill(ctx); err != nil {
			return Version{}, false, err
		}
		if f.head != nil && (first == nil || PositionOf(f.head.Delivery).before(PositionOf(first.head.Delivery))) {
			first = f
		}
	}
	if first == nil {
		return Version{}, false, nil
	}
	v := *first.head
	first.head = nil
	return v, true, nil
}

// more says whether next would give one.
func (m *merger) more(ctx context.Context) (bool, error) {
	for _, f := range m.from {
		if err := f.fill(ctx); err != nil {
			return false, err
		}
		if f.head != nil {
			return true, nil
		}
	}
	return false, nil
}

// source is one query, asked again from where its limit ended it.
type source struct {
	ledger *Ledger
	search Search
	shards []int
	states []action.State
	after  Position
	limit  int

	stream firestorepb.Firestore_RunQueryClient
	seen   int // of the stream
	head   *Version
	ended  bool
}

// fill reads the next delivery, if there is one. A document that this version cannot read is logged and left out.
func (s *source) fill(ctx context.Context) error {
	for s.head == nil && !s.ended {
		if s.stream == nil {
			var err error
			if s.stream, err = s.ledger.client.RunQuery(ctx, s.query()); err != nil {
				return mapError("search deliveries", err)
			}
			s.seen = 0
		}
		answer, err := s.stream.Recv()
		if err == io.EOF {
			s.stream, s.ended = nil, s.seen < s.limit
			continue
		}
		if err != nil {
			return mapError("search deliveries", err)
		}
		doc := answer.GetDocument()
		if doc == nil {
			continue
		}
		s.seen++
		f := &fields{values: doc.GetFields()}
		s.after = Position{f.time("created"), action.DeliveryID(lastSegment(doc.GetName()))}
		v, err := version(doc)
		if err != nil {
			s.ledger.log.ErrorContext(ctx, "delivery left out of a search", "error", err)
			continue
		}
		s.head = &v
	}
	return nil
}

func (s *source) query() *firestorepb.RunQueryRequest {
	q := searchQuery(s.search.Filter, s.shards, s.states)
	if s.after != (Position{}) {
		q.StartAt = &firestorepb.Cursor{Before: false, Values: []*firestorepb.Value{
			timestamp(s.after.Created),
			{ValueType: &firestorepb.Value_ReferenceValue{ReferenceValue: s.ledger.deliveryName(s.search.Instance, s.after.ID)}},
		}}
	}
	q.Limit = wrapperspb.Int32(int32(s.limit))
	return &firestorepb.RunQueryRequest{
		Parent:    s.ledger.database + "/documents/instances/" + string(s.search.Instance),
		QueryType: &firestorepb.RunQueryRequest_StructuredQuery{StructuredQuery: q},
	}
}

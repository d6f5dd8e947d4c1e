package pubsub

import (
	"sync"
	"time"

	"github.com/callout-dev/callout/emulator/storage"
)

// A group of writes that go to the store in one batch is closed when it has so many bytes.
const groupBytes = 16 << 20

// write is one change of the store. Both functions run on the journal's goroutine: stage puts the change into the batch, or refuses it and
// puts nothing; done learns what became of it, in the order of submission. Neither may block.
type write struct {
	synced bool // durable before done is called
	stage  func(b *storage.Batch) error
	done   func(err error)
}

// journal is the one writer of this service: what is submitted while a commit is on its way to the disk goes together in the next. It gives
// out the sequence numbers, so numbers become visible in their order, and nobody has to ask whether a lower one is still to come.
type journal struct {
	store *storage.Store
	wake  chan struct{} // holds one token
	ended chan struct{}

	mu      sync.Mutex
	pending []write
	closed  bool

	highest seq       // used in stage only
	latest  time.Time // of the last stamp
	stamped bool      // highest has moved since it was last written
}

func newJournal(store *storage.Store, highest seq) *journal {
	j := &journal{store: store, highest: highest, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go j.run()
	return j
}

// submit hands in a write; it does not wait. After close the write is refused.
func (j *journal) submit(w write) {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		w.done(errClosing)
		return
	}
	j.pending = append(j.pending, w)
	j.mu.Unlock()
	j.poke()
}

func (j *journal) poke() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// commit submits a synced write and waits for its end. Then, where it is not nil, is run on the journal's goroutine if the write succeeded,
// before anything that was submitted later.
func (j *journal) commit(operation string, stage func(*storage.Batch) error, then func()) error {
	result := make(chan error, 1)
	j.submit(write{synced: true, stage: stage, done: func(err error) {
		if err == nil && then != nil {
			then()
		}
		result <- err
	}})
	return stored(operation, <-result)
}

// close commits what was submitted and ends the goroutine.
func (j *journal) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.poke()
	<-j.ended
}

func (j *journal) run() {
	defer close(j.ended)
	for range j.wake {
		todo, closed := j.take()
		for len(todo) > 0 {
			todo = todo[j.commitSome(todo):]
		}
		if closed {
			return
		}
	}
}

// take gives what is pending, and whether nothing comes after it.
func (j *journal) take() (todo []write, closed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	todo, j.pending = j.pending, nil
	return todo, j.closed
}

// commitSome commits the first of todo in one batch and says how many they were.
func (j *journal) commitSome(todo []write) int {
	b := j.store.NewBatch()
	refused := make([]error, 0, len(todo))
	synced := false
	for _, w := range todo {
		err := w.stage(b)
		refused = append(refused, err)
		synced = synced || w.synced && err == nil
		if b.Size() > groupBytes {
			break
		}
	}
	// What a synced write has to say may stand in an earlier batch that was not synced. An empty batch syncs nothing, so it gets a key: the
	// log up to it is then on the disk.
	if j.stamped || synced && b.Len() == 0 {
		b.Set([]byte{'p', kindHighest}, appendUint64(nil, uint64(j.highest)))
		j.stamped = false
	}
	var err error
	if synced {
		err = j.store.Commit(b)
	} else {
		err = j.store.CommitUnsynced(b)
	}
	for i, refusal := range refused {
		if refusal != nil {
			todo[i].done(refusal)
		} else {
			todo[i].done(err)
		}
	}
	return len(refused)
}

// stamp gives the next sequence number and the publish time that belongs to it, which is in whole milliseconds as production's. It is
// called from stage only.
func (j *journal) stamp() (seq, time.Time) {
	now := time.Now()
	if now.Before(j.latest) {
		now = j.latest
	}
	j.latest = now
	j.highest = max(j.highest+1, seqAt(now))
	j.stamped = true
	return j.highest, now.Truncate(time.Millisecond)
}

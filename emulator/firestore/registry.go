package firestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/storage"
)

// collection is a collection that has had a document.
type collection struct {
	number   uint32
	database uint32 // the number of db
	db       resource.Database
	path     resource.Path // identifiers of the collection and what it is in; odd in number
	name     string        // the path's full name
}

func (c *collection) id() string { return c.path.ID() }

// getter is what the registry and reads need of the store or of a snapshot.
type getter interface {
	Get(key []byte) ([]byte, error)
}

// maxCached bounds what the registry remembers; beyond it starts afresh.
const maxCached = 50_000

// registry knows the numbers of databases and collections. What it remembers is only what the store has, so it may forget at any time.
type registry struct {
	mu        sync.RWMutex
	byPath    map[string]*collection // by full name
	byNumber  map[uint32]*collection
	databases map[resource.Database]uint32
	forgot    int // how often; what was read before it last did is not remembered
}

func newRegistry() *registry {
	r := new(registry)
	r.forget()
	return r
}

func (r *registry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
	r.forgot++
}

func (r *registry) clear() {
	r.byPath, r.byNumber, r.databases = map[string]*collection{}, map[uint32]*collection{}, map[resource.Database]uint32{}
}

// remember keeps what was read since the registry forgot so often.
func (r *registry) remember(c *collection, forgot int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if forgot != r.forgot {
		return
	}
	if len(r.byPath) >= maxCached {
		r.clear()
	}
	r.byPath[c.name], r.byNumber[c.number] = c, c
}

// find gives the collection at path, nil if there never was one.
func (r *registry) find(g getter, db resource.Database, path resource.Path) (*collection, error) {
	r.mu.RLock()
	c, forgot := r.byPath[db.Name(path)], r.forgot
	r.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	number, err := readNumber(g, pathKey(db, path))
	if number == 0 || err != nil {
		return nil, err
	}
	return r.load(g, number, db, path, forgot)
}

func (r *registry) load(g getter, number uint32, db resource.Database, path resource.Path, forgot int) (*collection, error) {
	database, err := r.database(g, db)
	if err != nil {
		return nil, err
	}
	c := &collection{number: number, database: database, db: db, path: path, name: db.Name(path)}
	r.remember(c, forgot)
	return c, nil
}

// database gives the number of a database, 0 if nothing was ever written to it.
func (r *registry) database(g getter, db resource.Database) (uint32, error) {
	r.mu.RLock()
	number, forgot := r.databases[db], r.forgot
	r.mu.RUnlock()
	if number != 0 {
		return number, nil
	}
	number, err := readNumber(g, databaseKey(db))
	if number != 0 && err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if forgot == r.forgot {
			r.databases[db] = number
		}
	}
	return number, err
}

// numbered gives the collection of a number that stands in a key.
func (r *registry) numbered(g getter, number uint32) (*collection, error) {
	r.mu.RLock()
	c, forgot := r.byNumber[number], r.forgot
	r.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	b, err := g.Get(numberKey(numberKind, number))
	if err != nil {
		return nil, fmt.Errorf("collection %d: %w", number, err)
	}
	db, rest, err := resource.CutText(b)
	if err != nil {
		return nil, fmt.Errorf("collection %d: %w", number, err)
	}
	path, err := resource.CutPath(rest)
	if err != nil {
		return nil, fmt.Errorf("collection %d: %w", number, err)
	}
	return r.load(g, number, resource.Database(db), path, forgot)
}

// locate finds collection and identifier of a document's key.
func (r *registry) locate(g getter, key []byte) (*collection, string, error) {
	if len(key) < documentKeyHead {
		return nil, "", fmt.Errorf("document key %x is too short", key)
	}
	c, err := r.numbered(g, binary.BigEndian.Uint32(key[prefixBytes:]))
	if err != nil {
		return nil, "", err
	}
	id, _, err := resource.CutSegment(key[documentKeyHead:])
	return c, id, err
}

// register makes a collection known before the commit of its first document. It is not waited for: batches reach the disk in order, so
// the document's commit makes it durable, and a collection without documents harms nobody. The caller holds the commit lock.
func (r *registry) register(store *storage.Store, generation int64, db resource.Database, path resource.Path) (*collection, error) {
	if c, err := r.find(store, db, path); c != nil || err != nil {
		return c, err
	}
	b := store.NewBatchOf(generation)
	database, err := r.database(store, db)
	if err != nil {
		return nil, err
	}
	if database == 0 {
		if database, err = take(store, b, "next database"); err != nil {
			return nil, err
		}
		b.Set(databaseKey(db), binary.BigEndian.AppendUint32(nil, database))
	}
	number, err := take(store, b, "next collection")
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.AppendUint32(nil, number)
	b.Set(pathKey(db, path), n)
	b.Set(groupKey(db, path.ID(), path[:len(path)-1]), n)
	b.Set(numberKey(numberKind, number), resource.AppendPath(resource.AppendText(nil, string(db)), path))
	if err := store.CommitUnsynced(b); err != nil {
		return nil, err
	}
	c, err := r.find(store, db, path)
	if c == nil && err == nil { // the store failed, and was opened afresh without it
		err = storage.ErrUnavailable
	}
	return c, err
}

// take gives the next number of a sequence that begins at 1.
func take(g getter, b *storage.Batch, name string) (uint32, error) {
	next, err := readNumber(g, metaKey(name))
	if err != nil {
		return 0, err
	}
	next++
	b.Set(metaKey(name), binary.BigEndian.AppendUint32(nil, next))
	return next, nil
}

// readNumber is 0 where there is no such key.
func readNumber(g getter, key []byte) (uint32, error) {
	v, err := g.Get(key)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(v) != numberBytes {
		return 0, fmt.Errorf("key %x: %d bytes instead of a number", key, len(v))
	}
	return binary.BigEndian.Uint32(v), nil
}

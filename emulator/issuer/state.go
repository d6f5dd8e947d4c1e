package issuer

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	stateFile          = "issuer.json"
	serviceAccountFile = "service-account.json"

	// tokenLifetime is how long access tokens, id tokens and push tokens live.
	tokenLifetime = time.Hour
	// leeway is by how much a verifier's clock may be behind ours.
	leeway = time.Minute
	// publishAhead is how long a key is published before it signs: whoever keeps a copy of the key set has it by then.
	publishAhead = 24 * time.Hour
	// rotateRetry is the pause after a roll-over that failed.
	rotateRetry = time.Minute
	// maxRevoked bounds the revoked tokens that have not expired yet.
	maxRevoked = 4096
)

// state is the document in memory and, unless the folder is empty, on disk. Whatever is read from it has been synced.
type state struct {
	path   string
	newKey func() (*rsa.PrivateKey, error)

	rotating sync.Mutex // guards rested
	rested   time.Time  // no roll-over by age before

	writing sync.Mutex   // one change at a time, held across the write
	mu      sync.RWMutex // guards doc
	doc     document
}

// openState reads the folder's state or, where there is none, makes it. A file that cannot be understood stays as it is.
func openState(dir string, newKey func() (*rsa.PrivateKey, error)) (*state, error) {
	if dir == "" {
		doc, err := newDocument(newKey)
		return &state{newKey: newKey, doc: doc}, err
	}
	s := &state{path: filepath.Join(dir, stateFile), newKey: newKey}
	data, err := readFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, s.create(dir)
	case err != nil:
		return nil, err
	}
	if s.doc, err = decodeDocument(data); err != nil {
		return nil, fmt.Errorf("%s %w; restore it, or remove it to begin with new keys and secrets", s.path, err)
	}
	return s, nil
}

func (s *state) create(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	doc, err := newDocument(s.newKey)
	if err != nil {
		return err
	}
	return s.save(doc)
}

// save makes doc durable, then visible.
func (s *state) save(doc document) error {
	if s.path != "" {
		data, err := json.MarshalIndent(doc, "", "  ")
		if err != nil {
			return err
		}
		if err := writeFile(s.path, data); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doc = doc
	return nil
}

func (s *state) read() document {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.doc
}

// change saves what edit made of a copy. If edit or the disk fails, nothing has changed.
func (s *state) change(edit func(*document) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	doc := s.read().clone()
	now := time.Now()
	doc.Keys = slices.DeleteFunc(doc.Keys, func(k storedKey) bool { return k.dead(now) })
	maps.DeleteFunc(doc.Revoked, func(_ string, expires time.Time) bool { return !expires.After(now) })
	if err := edit(&doc); err != nil {
		return err
	}
	return s.save(doc)
}

// rotate publishes a new key, which signs after publishAhead. The old one stays published until nothing it has signed is alive. One
// durable change says all that: no crash can come between its parts. Where a key waits for its time already, nothing changes.
func (s *state) rotate() error {
	if s.waiting() {
		return nil
	}
	fresh, err := newStoredKey(s.newKey)
	if err != nil {
		return err
	}
	return s.change(func(doc *document) error {
		last := &doc.Keys[len(doc.Keys)-1]
		now := time.Now().UTC()
		if last.From.After(now) {
			return nil // somebody was faster
		}
		fresh.From = now.Add(publishAhead)
		last.Until = fresh.From.Add(tokenLifetime + leeway)
		doc.Keys = append(doc.Keys, fresh)
		return nil
	})
}

// waiting says whether a key is published whose time has not come.
func (s *state) waiting() bool {
	keys := s.read().Keys
	return keys[len(keys)-1].From.After(time.Now())
}

// rotateIfOld publishes the next key once the one in use has signed for longer than age. One caller does it, at the price of making a
// key; the others go on. After a failure it rests for a while.
func (s *state) rotateIfOld(age time.Duration) error {
	now := time.Now()
	if now.Sub(s.signing().From) < age || s.waiting() || !s.rotating.TryLock() {
		return nil
	}
	defer s.rotating.Unlock()
	if now.Before(s.rested) {
		return nil
	}
	if err := s.rotate(); err != nil {
		s.rested = now.Add(rotateRetry)
		return err
	}
	return nil
}

// signing is the key in use: the last one whose time has come, and the first one where the clock was put back before all of them.
func (s *state) signing() storedKey {
	keys, now := s.read().Keys, time.Now()
	for i := len(keys) - 1; i > 0; i-- {
		if !keys[i].From.After(now) {
			return keys[i]
		}
	}
	return keys[0]
}

// published are all keys whose tokens may be alive or are to come, oldest first.
func (s *state) published() []storedKey {
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(s.read().Keys), func(k storedKey) bool { return k.dead(now) })
}

func (k storedKey) dead(now time.Time) bool { return !k.Until.IsZero() && !k.Until.After(now) }

// revoke takes a token back for good, until it would have expired anyway.
func (s *state) revoke(id string, expires time.Time) error {
	return s.change(func(doc *document) error {
		if len(doc.Revoked) >= maxRevoked {
			return fmt.Errorf("%d revoked tokens have not expired yet", len(doc.Revoked))
		}
		if doc.Revoked == nil {
			doc.Revoked = map[string]time.Time{}
		}
		doc.Revoked[id] = expires.UTC()
		return nil
	})
}

func (s *state) revoked(id string) bool {
	_, ok := s.read().Revoked[id]
	return ok
}

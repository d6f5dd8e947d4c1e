package issuer

import (
	"sync"
	"time"
)

const (
	// maxGuesses is how many wrong passwords a user may have within guessWindow before sign-in is refused to the right one too.
	maxGuesses  = 10
	guessWindow = time.Minute
)

// guesses counts wrong passwords by user. Names that no user has share one count, so that it stays small.
type guesses struct {
	mu     sync.Mutex
	counts map[string]guessCount
}

type guessCount struct {
	wrong int
	until time.Time
}

func newGuesses() *guesses { return &guesses{counts: map[string]guessCount{}} }

// next counts a try before its password is looked at, so that tries at the same time are counted too. It says how long the user has to
// wait instead; zero is not at all. The window begins with the first try.
func (g *guesses) next(user string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	key, now := guessKey(user), time.Now()
	c := g.counts[key]
	if !c.until.After(now) {
		c = guessCount{until: now.Add(guessWindow)}
	}
	if c.wrong >= maxGuesses {
		return c.until.Sub(now)
	}
	c.wrong++
	g.counts[key] = c
	return 0
}

// succeeded forgets the wrong passwords of a user who knew the right one.
func (g *guesses) succeeded(user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.counts, guessKey(user))
}

func guessKey(user string) string {
	if _, ok := clientRoles[user]; ok {
		return user
	}
	return ""
}

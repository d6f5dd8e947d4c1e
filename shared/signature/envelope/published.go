package envelope

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// fetchTime bounds one request for the keys.
	fetchTime = 10 * time.Second
	// defaultAge is how long keys are kept whose answer does not say it, and maxAge how long whatever it says.
	defaultAge = 5 * time.Minute
	maxAge     = time.Hour
	// again is how soon they are asked for once more because of a key that is not among them, or because asking failed.
	again = 10 * time.Second
)

// Published are the keys at a URL: https://<Callout's API>/oauth/v2/keys. They are asked for when they are needed, kept as long as the
// answer allows, and asked for again when a call names another key, once in ten seconds at most. While they cannot be read, those that are
// known still hold. It may be used by many at once.
type Published struct {
	url    string
	client *http.Client

	asking chan struct{} // holds who is asking
	mu     sync.Mutex
	known  KeySet
	until  time.Time // when they are to be asked for again
	asked  time.Time // when they were asked for last
	failed error     // why that failed
}

// NewPublished makes one that asks with client; nil is a client of its own.
func NewPublished(url string, client *http.Client) *Published {
	if client == nil {
		client = &http.Client{}
	}
	return &Published{url: url, client: client, asking: make(chan struct{}, 1)}
}

// Key finds a key by its id.
func (p *Published) Key(ctx context.Context, id string) (Key, error) {
	if k, ok := p.find(id); ok {
		return k, nil
	}
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return Key{}, fmt.Errorf("%w: %w", ErrKeys, ctx.Err())
	}
	if k, ok := p.find(id); ok { // somebody else has asked
		return k, nil
	}
	p.mu.Lock()
	now := time.Now()
	rests := !p.asked.IsZero() && now.Sub(p.asked) < again
	p.mu.Unlock()
	if !rests {
		p.ask(ctx, now)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, ok := p.known[id]; ok {
		return k, nil
	}
	if p.failed != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKeys, p.failed)
	}
	return p.known.Key(ctx, id)
}

// find finds a key among the known, as long as they need not be asked for.
func (p *Published) find(id string) (Key, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.known[id]
	return k, ok && time.Now().Before(p.until)
}

// ask reads the keys. It goes on when whoever needed them has gone: others need them too.
func (p *Published) ask(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
	defer cancel()
	set, age, err := p.fetch(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.failed = time.Now(), err // a request may take longer than the pause after it
	if err != nil {
		p.until = now.Add(again)
		return
	}
	p.known, p.until = set, now.Add(age)
}

func (p *Published) fetch(ctx context.Context) (KeySet, time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := p.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, 0, errors.New(response.Status)
	}
	document, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err != nil {
		return nil, 0, err
	}
	set, err := ParseKeySet(document)
	return set, ageOf(response.Header.Get("Cache-Control")), err
}

// ageOf reads how long an answer may be kept.
func ageOf(control string) time.Duration {
	age := defaultAge
	for part := range strings.SplitSeq(strings.ToLower(control), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
				age = min(time.Duration(seconds)*time.Second, maxAge)
			}
		}
	}
	return age
}

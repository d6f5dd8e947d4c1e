package pubsub

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// What is read of an answer, so that the connection can be used again.
const answerBytes = 64 << 10

// pusher sends messages to the endpoints of push subscriptions.
type pusher struct {
	transport http.RoundTripper
	tokens    *tokens // nil without a TokenSource
	window    int
	slog      *slog.Logger

	under sync.WaitGroup

	mu      sync.Mutex
	cutOff  bool // the server may wait no longer
	last    int
	cancels map[int]context.CancelFunc // of the pushes under way
}

func newPusher(o Options) *pusher {
	p := &pusher{transport: o.Transport, window: o.PushWindow, slog: o.Log, cancels: map[int]context.CancelFunc{}}
	if o.Tokens != nil {
		p.tokens = &tokens{source: o.Tokens, kept: map[tokenKey]*token{}}
	}
	return p
}

// begin makes the context of one push, which ends with its deadline or when the server waits no longer.
func (p *pusher) begin(deadline time.Duration) (ctx context.Context, end func()) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cutOff {
		cancel()
	}
	p.last++
	n := p.last
	p.cancels[n] = cancel
	return ctx, func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.cancels, n)
	}
}

// cut ends all pushes.
func (p *pusher) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutOff = true
	for _, cancel := range p.cancels {
		cancel()
	}
}

// consumer is the pusher as one subscription sees it.
func (p *pusher) consumer(s *subscription) *consumer {
	c := &consumer{push: true, maxMessages: p.window, maxBytes: maxPushBytes}
	c.take = func(h handout) {
		conf := s.conf
		p.under.Go(func() { p.push(s, c, conf, h) })
	}
	return c
}

// cutTime is how long pushes may take to end once they are cut off.
const cutTime = time.Second

// drain waits for the pushes under way; when ctx ends first, it cuts them off, which refuses their messages. It waits no longer than
// cutTime for what does not heed that.
func (p *pusher) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() { p.under.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		p.cut()
		timer := time.NewTimer(cutTime)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
		return fmt.Errorf("close pub/sub: pushes were cut off: %w", ctx.Err())
	}
}

// push makes one attempt and tells the subscription what came of it.
func (p *pusher) push(s *subscription, c *consumer, conf *pubsubpb.Subscription, h handout) {
	begin := time.Now()
	m, err := s.body(h)
	status := 0
	if err == nil && m != nil {
		status, err = p.post(conf, m, h.attempt)
	}
	ok := err == nil && (m == nil || accepts(status))
	s.pushed(c, h, ok)
	if !ok {
		p.slog.Warn("push failed", "subscription", conf.Name, "message", h.seq, "attempt", h.attempt, "status", status, "took", time.Since(begin), "error", err)
	}
}

// accepts says which answers are acknowledgements (https://cloud.google.com/pubsub/docs/push#receive_push).
func accepts(status int) bool {
	switch status {
	case http.StatusProcessing, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return true
	}
	return false
}

// post sends one request; it takes no longer than the subscription's deadline, token included.
func (p *pusher) post(conf *pubsubpb.Subscription, m *message, attempt int) (status int, err error) {
	ctx, end := p.begin(time.Duration(conf.AckDeadlineSeconds) * time.Second)
	defer end()
	req, err := newPush(ctx, conf, m, attempt)
	if err != nil {
		return 0, err
	}
	if oidc := conf.PushConfig.GetOidcToken(); oidc != nil {
		audience := oidc.Audience
		if audience == "" {
			audience = conf.PushConfig.PushEndpoint
		}
		bearer, err := p.tokens.get(ctx, tokenKey{audience: audience, email: oidc.ServiceAccountEmail})
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := p.transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, answerBytes))
	return res.StatusCode, ctx.Err()
}

// pushed is the end of one push.
func (s *subscription) pushed(c *consumer, h handout, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.messages--
	c.bytes -= h.size
	d := s.live[h.seq]
	if d != nil && d.state == out && d.turn == h.turn {
		if ok && !s.chaos.dropAck(d) {
			s.active = time.Now()
			s.finish(d)
		} else {
			s.fail(d)
		}
	}
	s.pump()
}

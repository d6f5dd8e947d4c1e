package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/callout-dev/callout/infra"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/queue"
)

const (
	nextQueue = "Is it there, and do GOOGLE_CLOUD_PROJECT and PUBSUB_EMULATOR_HOST name it? Who runs this must be able to read it (roles/pubsub.viewer)."
	nextPush  = "scripts/deploy makes topics and subscriptions as infra/gcp/queue.tf says; a server on this machine makes its own at its start."
	// ackDeadline is longer than the longest attempt with all around it.
	ackDeadline = 600 * time.Second
)

// push is a topic that is pushed to a path of a function.
type push struct{ function, topic, path string }

// pushes are those of the table of functions.
func pushes() ([]push, error) {
	var table struct {
		Functions []struct {
			Name          string
			Paths, Topics []string
		}
	}
	if err := json.Unmarshal(infra.Functions(), &table); err != nil {
		return nil, fmt.Errorf("read the table of functions: %w", err)
	}
	var all []push
	for _, f := range table.Functions {
		for i, topic := range f.Topics {
			all = append(all, push{f.Name, topic, f.Paths[i]})
		}
	}
	return all, nil
}

// queues looks at all topics, and at who pushes what where.
func queues(ctx context.Context, p *Patient) Finding {
	switch {
	case !p.known():
		return skipped("it is not known where it is")
	case p.Local && p.Config.PubSubHost == "":
		return skipped("the server on this machine has no port for it")
	}
	wanted, err := pushes()
	if err != nil {
		return failed("This is a mistake of callout's.", "%v", err)
	}
	opened, err := env.OpenQueue(context.WithoutCancel(ctx), p.Config, p.Services, slog.New(slog.DiscardHandler))
	if err != nil {
		return failed(nextCredentials, "%s", reason(err))
	}
	p.closers = append(p.closers, opened.Close)
	var wrong []string
	for _, topic := range queue.Topics() {
		subscriptions, err := opened.Queue.Subscriptions(ctx, topic)
		switch {
		case errs.Is(err, errs.NotFound):
			wrong = append(wrong, "there is no topic "+string(topic))
			continue
		case err != nil:
			return failed(nextQueue, "%s: %s", place(p.Config.PubSubHost, "project "+p.Config.Project), reason(err))
		}
		for _, w := range wanted {
			if w.topic == string(topic) {
				wrong = append(wrong, p.compare(w, subscriptions)...)
			}
		}
	}
	if len(wrong) > 0 {
		return failed(nextPush, "%s", strings.Join(wrong, "; "))
	}
	return fine("%s has all %d topics and %d push subscriptions", place(p.Config.PubSubHost, "project "+p.Config.Project), len(queue.Topics()), len(wanted))
}

// compare finds what is wrong with how a topic is pushed.
func (p *Patient) compare(w push, subscriptions []queue.Subscription) (wrong []string) {
	found := 0
	for _, s := range subscriptions {
		if !strings.HasSuffix(s.Endpoint, w.path) {
			continue
		}
		found++
		name := s.Name[strings.LastIndexByte(s.Name, '/')+1:]
		add := func(format string, args ...any) {
			wrong = append(wrong, "the subscription "+name+" "+fmt.Sprintf(format, args...))
		}
		if s.Detached {
			add("is detached from its topic")
		}
		if s.DeadLetters != "" {
			add("has a dead-letter policy, which gives deliveries up when a function fails")
		}
		if s.AckDeadline != ackDeadline {
			add("has an ack deadline of %s, and not of %s", s.AckDeadline, ackDeadline)
		}
		if s.Expires {
			add("expires when nothing comes for a while")
		}
		mine := p.Config.Function == "" || p.Config.Function == w.function // each function may have its own
		switch {
		case s.Account == "":
			add("pushes without a token, which no function takes")
		case mine && len(p.Config.PushAccounts) > 0 && !slices.Contains(p.Config.PushAccounts, s.Account):
			add("pushes as %s, who is not among CALLOUT_PUSH_ACCOUNTS", s.Account)
		}
		if mine && p.Config.PushAudience != "" && s.Audience != p.Config.PushAudience {
			add("pushes for the audience %s, and CALLOUT_PUSH_AUDIENCE is %s", s.Audience, p.Config.PushAudience)
		}
	}
	switch found {
	case 0:
		return []string{fmt.Sprintf("nothing pushes the topic %s to %s", w.topic, w.path)}
	case 1:
		return wrong
	}
	return append(wrong, fmt.Sprintf("%d subscriptions push the topic %s to %s: each message comes that often", found, w.topic, w.path))
}

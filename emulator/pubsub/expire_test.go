package pubsub_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/pubsub"
)

const day = 24 * time.Hour

// expect checks which subscriptions exist.
func (g *ground) expect(after time.Duration, want map[string]codes.Code) {
	g.Helper()
	for name, code := range want {
		_, err := g.sub.GetSubscription(g.Context(), &pubsubpb.GetSubscriptionRequest{Subscription: "projects/p/subscriptions/" + name})
		if status.Code(err) != code {
			g.Errorf("after %v, %s: got %v, want %v", after, name, err, code)
		}
	}
}

// A subscription expires when its policy's time has passed since anybody used it: a pull, an open stream, an accepted push.
func TestSubscriptionsExpire(t *testing.T) {
	bubble(t, pubsub.Options{Transport: &endpoint{}}, func(g *ground) {
		g.topic(topicT)
		begin := time.Now()
		until := func(after time.Duration) { g.Helper(); time.Sleep(time.Until(begin.Add(after))) }
		aDay := &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(day)}
		for id, conf := range map[string]*pubsubpb.Subscription{
			"idle":   {ExpirationPolicy: aDay},
			"pulled": {ExpirationPolicy: aDay},
			"open":   {ExpirationPolicy: aDay},
			"never":  {ExpirationPolicy: &pubsubpb.ExpirationPolicy{}},
			"pushed": {ExpirationPolicy: aDay, PushConfig: pushTo(hook)},
			"month":  {}, // 31 days, unless one says otherwise
		} {
			conf.Name, conf.Topic = "projects/p/subscriptions/"+id, topicT
			if conf.ExpirationPolicy != nil {
				conf.MessageRetentionDuration = durationpb.New(time.Hour)
			}
			must(g, func() (*pubsubpb.Subscription, error) { return g.sub.CreateSubscription(g.Context(), conf) })
		}
		stream := must(g, func() (pubsubpb.Subscriber_StreamingPullClient, error) { return g.sub.StreamingPull(g.Context()) })
		if err := stream.Send(&pubsubpb.StreamingPullRequest{Subscription: "projects/p/subscriptions/open", StreamAckDeadlineSeconds: 600}); err != nil {
			g.Fatal(err)
		}
		synctest.Wait()
		until(2 * time.Hour)
		g.publish(data("x"))
		must(g, func() (*pubsubpb.PullResponse, error) {
			return g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: "projects/p/subscriptions/pulled", MaxMessages: 1})
		})
		const gone, there = codes.NotFound, codes.OK
		until(23 * time.Hour)
		g.expect(23*time.Hour, map[string]codes.Code{"idle": there, "pulled": there, "open": there, "never": there, "pushed": there})
		until(25 * time.Hour)
		g.expect(25*time.Hour, map[string]codes.Code{"idle": gone, "pulled": there, "open": there, "never": there, "pushed": there})
		until(27 * time.Hour)
		g.expect(27*time.Hour, map[string]codes.Code{"pulled": gone, "open": there, "never": there, "pushed": gone})
		if err := stream.CloseSend(); err != nil {
			g.Fatal(err)
		}
		until(52 * time.Hour)
		g.expect(52*time.Hour, map[string]codes.Code{"open": gone, "never": there, "month": there})
		until(30*day + 23*time.Hour)
		g.expect(31*day, map[string]codes.Code{"month": there})
		until(31*day + time.Hour)
		g.expect(31*day, map[string]codes.Code{"month": gone, "never": there})
		until(90 * day)
		g.expect(90*day, map[string]codes.Code{"never": there})
	})
}

// An endpoint that is down for eight days is asked every ten minutes for the first message of each key, and then gets all in order; what is
// older than the seven days of retention by then never comes.
func TestOutageOfDays(t *testing.T) {
	var up atomic.Bool
	e := &endpoint{}
	e.answer = func(*http.Request, []byte) (int, error) {
		if !up.Load() {
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusNoContent, nil
	}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{
			PushConfig: pushTo(hook), EnableMessageOrdering: true,
			RetryPolicy: &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(10 * time.Second), MaximumBackoff: durationpb.New(600 * time.Second)},
		})
		g.publish(keyed("k", "too old"))
		time.Sleep(2 * day)
		var want []string
		for _, s := range []string{"a", "b", "c"} {
			g.publish(keyed("k", s))
			want = append(want, s)
			time.Sleep(2 * day)
		}
		attempts := e.got()
		if gap := attempts[len(attempts)-1].at.Sub(attempts[len(attempts)-2].at); gap != 600*time.Second {
			g.Errorf("after days there are %v between two attempts", gap)
		}
		if n := len(attempts); n < 8*144-10 || n > 8*144+20 {
			g.Errorf("%d attempts in eight days, want about six an hour", n)
		}
		up.Store(true)
		time.Sleep(15 * time.Minute)
		var got []string
		for _, p := range e.got()[len(attempts):] {
			var body struct{ Message struct{ Data []byte } }
			if err := json.Unmarshal([]byte(p.body), &body); err != nil {
				g.Fatal(err)
			}
			got = append(got, string(body.Message.Data))
		}
		if !slices.Equal(got, want) {
			g.Errorf("in the end: got %v, want %v", got, want)
		}
		if n := g.stored(); n > len(want)+1 {
			g.Errorf("%d messages are stored", n)
		}
		time.Sleep(day)
		if n := g.stored(); n != 0 {
			g.Errorf("%d messages are stored a day later", n)
		}
	})
}

// A hundred attempts ten minutes apart take most of a day; then the message is in the dead-letter topic, once, and stays there for a week.
func TestDeadLettersAfterADay(t *testing.T) {
	const letters = "projects/p/subscriptions/letters"
	e := &endpoint{answer: func(*http.Request, []byte) (int, error) { return 0, errNoAnswer }}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		g.topic(topicD)
		must(g, func() (*pubsubpb.Subscription, error) {
			return g.sub.CreateSubscription(g.Context(), &pubsubpb.Subscription{Name: letters, Topic: topicD})
		})
		g.subscribe(&pubsubpb.Subscription{
			PushConfig:       pushTo(hook),
			RetryPolicy:      &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(600 * time.Second)},
			DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topicD, MaxDeliveryAttempts: 100},
		})
		g.publish(data("x"))
		time.Sleep(16*time.Hour + time.Minute)
		if n := len(e.got()); n != 97 {
			g.Errorf("%d attempts in sixteen hours, want 97", n)
		}
		time.Sleep(6 * day)
		if n := len(e.got()); n != 100 {
			g.Errorf("%d attempts, want 100", n)
		}
		res := must(g, func() (*pubsubpb.PullResponse, error) {
			return g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: letters, MaxMessages: 10})
		})
		if got := bodies(res.ReceivedMessages); !slices.Equal(got, []string{"x"}) {
			g.Errorf("dead letters: %v", got)
		}
	})
}

package local_test

import (
	"os/exec"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// checkTick runs the image's program as a job does: each time is a message more on the topic. There are so many that those which the emulator
// and the functions send themselves meanwhile are none of them.
func (c *cloud) checkTick(t *testing.T) {
	const jobs = 8
	subscriber := pubsubpb.NewSubscriberClient(c.pubsub)
	project := "projects/" + c.info.Project
	subscription, err := subscriber.CreateSubscription(t.Context(), &pubsubpb.Subscription{
		Name: project + "/subscriptions/counter", Topic: project + "/topics/ticks",
	})
	if err != nil {
		t.Fatal(err)
	}
	for range jobs {
		if out, err := c.tick(t, c.services(), "tick"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for got := 0; got < jobs; {
		answer, err := subscriber.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: subscription.Name, MaxMessages: jobs})
		if err != nil || len(answer.ReceivedMessages) == 0 {
			t.Fatalf("%d ticks, want %d: %v", got, jobs, err)
		}
		got += len(answer.ReceivedMessages)
	}
	for name, wrong := range map[string]struct {
		environ []string
		args    []string
		want    string
	}{
		"nothing is set":              {nil, []string{"tick"}, "GOOGLE_CLOUD_PROJECT"},
		"a project that has no topic": {append(c.services(), "GOOGLE_CLOUD_PROJECT=another"), []string{"tick"}, "publish a tick"},
		"another word":                {c.services(), []string{"tock"}, "not understood"},
		"a word too many":             {c.services(), []string{"tick", "tick"}, "not understood"},
	} {
		if out, err := c.tick(t, wrong.environ, wrong.args...); err == nil || !strings.Contains(out, wrong.want) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// tick runs the image's program to its end.
func (c *cloud) tick(t *testing.T, environ []string, args ...string) (string, error) {
	t.Helper()
	job := exec.CommandContext(t.Context(), c.binary, args...)
	job.Env = environ
	out, err := job.CombinedOutput()
	return string(out), err
}

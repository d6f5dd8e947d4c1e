package pubsub_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// peakMiB is the most memory that a process has had resident so far.
func peakMiB(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("no /proc here")
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		b.Fatal("no VmHWM")
	}
	kb, _ := strconv.ParseFloat(string(m[1]), 64)
	return kb / 1024
}

// BenchmarkBacklog publishes messages of 1 KiB that nobody takes, then drains them over a stream: a million, or as many as
// CALLOUT_BACKLOG says. It reports the server's peak of resident memory (the bound is 300 MiB), and how fast the last tenth is drained as a
// share of the first (the aim is 1).
func BenchmarkBacklog(b *testing.B) {
	total := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("CALLOUT_BACKLOG")); err == nil {
		total = n
	}
	for b.Loop() {
		p := spawn(b, b.TempDir())
		must(b, func() (*pubsubpb.Topic, error) { return p.pub.CreateTopic(b.Context(), &pubsubpb.Topic{Name: topicT}) })
		must(b, func() (*pubsubpb.Subscription, error) {
			return p.sub.CreateSubscription(b.Context(), &pubsubpb.Subscription{Name: subS, Topic: topicT, AckDeadlineSeconds: 600})
		})
		begin := time.Now()
		fillBacklog(b, p.pub, total)
		filled := time.Since(begin)
		full := peakMiB(b, p.cmd.Process.Pid)
		tenths := drainBacklog(b, p.sub, total)
		b.ReportMetric(full, "MiB(full)")
		b.ReportMetric(peakMiB(b, p.cmd.Process.Pid), "MiB(peak)")
		b.ReportMetric(float64(tenths[0])/float64(tenths[9]), "last/first")
		b.ReportMetric(float64(total)/filled.Seconds(), "published/s")
		var drained time.Duration
		for _, d := range tenths {
			drained += d
		}
		b.ReportMetric(float64(total)/drained.Seconds(), "drained/s")
		p.end(syscall.SIGTERM)
	}
}

func fillBacklog(b *testing.B, pub pubsubpb.PublisherClient, total int) {
	const batch = 500
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range total / batch / 4 {
				req := &pubsubpb.PublishRequest{Topic: topicT}
				for range batch {
					req.Messages = append(req.Messages, &pubsubpb.PubsubMessage{Data: bytes.Repeat([]byte("x"), 1024)})
				}
				if _, err := pub.Publish(b.Context(), req); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// drainBacklog receives and acknowledges all, and gives the time of each tenth.
func drainBacklog(b *testing.B, sub pubsubpb.SubscriberClient, total int) (tenths [10]time.Duration) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	stream, err := sub.StreamingPull(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if err := stream.Send(&pubsubpb.StreamingPullRequest{Subscription: subS, StreamAckDeadlineSeconds: 60, MaxOutstandingMessages: 10_000}); err != nil {
		b.Fatal(err)
	}
	begin, got := time.Now(), 0
	for tenth := 0; tenth < 10; {
		res, err := stream.Recv()
		if err != nil {
			b.Fatal(err)
		}
		if len(res.ReceivedMessages) == 0 {
			continue
		}
		if err := stream.Send(&pubsubpb.StreamingPullRequest{AckIds: ackIDs(res.ReceivedMessages)}); err != nil {
			b.Fatal(err)
		}
		for got += len(res.ReceivedMessages); tenth < 10 && got >= total/10*(tenth+1); tenth++ {
			tenths[tenth] = time.Since(begin)
			begin = time.Now()
		}
	}
	return tenths
}

package pubsub_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// A client that pings and does not read is made to wait, not remembered.
func TestPingsThatNobodyReads(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		stream := g.open(g.Context(), &pubsubpb.StreamingPullRequest{})
		var sent atomic.Int64
		const most = 50_000
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range most {
				if stream.Send(&pubsubpb.StreamingPullRequest{}) != nil {
					return
				}
				sent.Add(1)
			}
		}()
		synctest.Wait()
		if n := sent.Load(); n == most {
			g.Errorf("%d pings were taken in", n)
		}
		for range 25_000 { // whoever reads is answered
			if _, err := stream.Recv(); err != nil {
				g.Fatal(err)
			}
			if sent.Load() == most {
				break
			}
		}
		g.stop()
		<-done
	})
}

// Acknowledgement ids of another subscription, or more of them than production takes, are refused and do nothing.
func TestForgedAckIDs(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		const other = "projects/p/subscriptions/other"
		must(g, func() (*pubsubpb.Subscription, error) {
			return g.sub.CreateSubscription(g.Context(), &pubsubpb.Subscription{Name: other, Topic: topicT})
		})
		g.publish(data("x"))
		theirs := must(g, func() (*pubsubpb.PullResponse, error) {
			return g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: other, MaxMessages: 1})
		}).ReceivedMessages[0].AckId
		for name, ids := range map[string][]string{
			"of another subscription": {theirs},
			"made up":                 {strings.Repeat("A", 32)},
			"with a line end":         {theirs[:16] + "\n" + theirs[17:]},
			"too many":                strings.Split(strings.Repeat(theirs+" ", 20_000), " "),
		} {
			_, err := g.sub.Acknowledge(g.Context(), &pubsubpb.AcknowledgeRequest{Subscription: subS, AckIds: ids})
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "ack_ids") {
				g.Errorf("%s, acknowledged: %v", name, err)
			}
			_, err = g.sub.ModifyAckDeadline(g.Context(), &pubsubpb.ModifyAckDeadlineRequest{Subscription: subS, AckIds: ids})
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "ack_ids") {
				g.Errorf("%s, extended: %v", name, err)
			}
		}
		if got := bodies(g.pullNow(10)); len(got) != 1 {
			g.Errorf("the message is gone: %v", got)
		}
	})
}

// raw is an endpoint below HTTP: it reads one request on each connection and writes what it is told.
func raw(t *testing.T, called chan<- struct{}, write func(io.Writer)) (url string, calls *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	calls = new(atomic.Int64)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					calls.Add(1)
					write(conn)
					select {
					case called <- struct{}{}:
					default:
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return "http://" + l.Addr().String(), calls
}

// endless writes s until the other side has had enough.
func endless(head, s string) func(io.Writer) {
	return func(w io.Writer) {
		_, err := io.WriteString(w, head)
		for err == nil {
			_, err = io.WriteString(w, s)
		}
	}
}

// Endpoints that answer nonsense, too much or somewhere else are refusals that are tried again; the server reads a bounded part of it, goes
// nowhere else, and others are not held up.
func TestHostileEndpoints(t *testing.T) {
	called := make(chan struct{}, 1)
	elsewhere, redirected := raw(t, called, func(io.Writer) {})
	good, received := raw(t, called, func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") })
	long := strings.Repeat("x", 60_000)
	hooks := map[string]func(io.Writer){
		"garbage":     func(w io.Writer) { _, _ = io.WriteString(w, "\x00\x16\x03 not http\r\n\r\n") },
		"early-hints": endless("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
		"headers":     endless("HTTP/1.1 200 OK\r\n", "X-A: "+long+"\r\n"),
		"header-line": endless("HTTP/1.1 200 OK\r\nX-A: ", long),
		"redirect": func(w io.Writer) {
			_, _ = io.WriteString(w, "HTTP/1.1 307 Go\r\nLocation: "+elsewhere+"\r\nContent-Length: 0\r\n\r\n")
		},
		"closes": func(io.Writer) {},
		"switches": func(w io.Writer) {
			_, _ = io.WriteString(w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		},
		"status-of-words": func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 TWO HUNDRED\r\n\r\n") },
	}
	store, err := storage.Open(storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	g := start(t, store, pubsub.Options{})
	defer g.stop()
	g.topic(topicT)
	subscribe := func(name, url string) {
		t.Helper()
		conf := &pubsubpb.Subscription{Name: "projects/p/subscriptions/" + name, Topic: topicT, PushConfig: pushTo(url)}
		must(t, func() (*pubsubpb.Subscription, error) { return g.sub.CreateSubscription(t.Context(), conf) })
	}
	calls := map[string]*atomic.Int64{}
	for name, write := range hooks {
		var url string
		url, calls[name] = raw(t, called, write)
		subscribe(name, url)
	}
	huge, taken := raw(t, called, endless("HTTP/1.1 200 OK\r\n\r\n", long)) // an answer without end is one
	subscribe("huge", huge)
	subscribe("good", good)
	g.publish(data("x"))
	tooLong := time.After(20 * time.Second)
	done := func() bool {
		for _, n := range calls {
			if n.Load() < 3 {
				return false
			}
		}
		return received.Load() == 1 && taken.Load() >= 1
	}
	for waiting := true; waiting && !done(); {
		select {
		case <-called:
		case <-tooLong:
			waiting = false
		}
	}
	for name, n := range calls {
		if n.Load() < 3 {
			t.Errorf("%s was asked %d times, want 3 and more", name, n.Load())
		}
	}
	if received.Load() != 1 || taken.Load() != 1 || redirected.Load() != 0 {
		t.Errorf("good %d, huge %d, elsewhere %d; want 1, 1, 0", received.Load(), taken.Load(), redirected.Load())
	}
}

// A thousand subscriptions of one topic all get what is published, and a filter as long and deep as may be holds up nobody.
func TestManySubscriptions(t *testing.T) {
	const n = 1000
	var got atomic.Int64
	e := &endpoint{answer: func(*http.Request, []byte) (int, error) { got.Add(1); return 200, nil }}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		g.topic(topicT)
		deep := strings.Repeat("(", 120) + "attributes:a" + strings.Repeat(")", 120)
		for i := range n {
			conf := &pubsubpb.Subscription{Name: fmt.Sprintf("projects/p/subscriptions/sub%d", i), Topic: topicT, PushConfig: pushTo(hook), Filter: deep}
			must(g, func() (*pubsubpb.Subscription, error) { return g.sub.CreateSubscription(g.Context(), conf) })
		}
		for range 5 {
			g.publish(&pubsubpb.PubsubMessage{Attributes: map[string]string{"a": ""}})
		}
		synctest.Wait()
		if got.Load() != 5*n {
			g.Errorf("%d pushes, want %d", got.Load(), 5*n)
		}
	})
}

package pubsub_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// childDir names the data folder to a copy of the test binary that is to be a server, and nothing else.
const childDir = "CALLOUT_PUBSUB_TEST_SERVER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child serves a folder on a free port, which it prints, until SIGTERM stops it cleanly or SIGKILL does not.
func child(dir string) error {
	store, err := storage.Open(storage.Options{Dir: dir})
	if err != nil {
		return err
	}
	server, err := pubsub.New(store, pubsub.Options{})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g := grpc.NewServer()
	server.Register(g)
	go func() { _ = g.Serve(l) }()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Println(l.Addr())
	go func() { // the parent holds the other end: should it die, so does this
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	<-ctx.Done()
	if err := server.Close(context.Background()); err != nil {
		return err
	}
	g.Stop()
	return store.Close()
}

// process is a running child and clients of it.
type process struct {
	cmd  *exec.Cmd
	conn *grpc.ClientConn
	pub  pubsubpb.PublisherClient
	sub  pubsubpb.SubscriberClient
}

func spawn(t testing.TB, dir string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), childDir+"="+dir)
	p.cmd.Stderr = os.Stderr
	if _, err := p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	p.conn, err = grpc.NewClient(strings.TrimSpace(addr), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	p.pub, p.sub = pubsubpb.NewPublisherClient(p.conn), pubsubpb.NewSubscriberClient(p.conn)
	return p
}

// end signals the process and waits for its end.
func (p *process) end(signal os.Signal) {
	_ = p.cmd.Process.Signal(signal)
	_ = p.cmd.Wait()
	_ = p.conn.Close()
}

// Real processes are killed under load, and nothing that was answered is lost; after a clean stop nothing that was acknowledged comes again.
// CALLOUT_CRASH_ROUNDS=20 makes it the full test.
func TestKilledProcesses(t *testing.T) {
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("CALLOUT_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	dir, y := t.TempDir(), newTally()
	for round := range rounds {
		p := spawn(t, dir)
		if round == 0 {
			must(t, func() (*pubsubpb.Topic, error) { return p.pub.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topicT}) })
			must(t, func() (*pubsubpb.Subscription, error) {
				return p.sub.CreateSubscription(t.Context(), &pubsubpb.Subscription{Name: subS, Topic: topicT})
			})
		}
		y.aim(300)
		var work sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		for range 8 {
			work.Go(func() { y.publishUntil(ctx, p.pub) })
		}
		for range 2 {
			work.Go(func() { y.consumeUntil(ctx, p.sub, false) })
		}
		select {
		case <-y.reached:
		case <-ctx.Done():
			t.Error("too slow")
		}
		p.end(syscall.SIGKILL)
		work.Wait()
		cancel()
	}

	// What was acknowledged before a clean stop is not delivered after it.
	p := spawn(t, dir)
	y.acked = map[string]bool{}
	y.aim(1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	y.consumeUntil(ctx, p.sub, true)
	cancel()
	p.end(syscall.SIGTERM)
	acked := y.acked
	before := map[string]int{}
	for body := range acked {
		before[body] = y.received[body]
	}
	p = spawn(t, dir)
	y.consumeUntil(t.Context(), p.sub, true)
	for body, n := range before {
		if y.received[body] > n {
			t.Errorf("%s was acknowledged before a clean stop, and delivered after it", body)
		}
	}
	p.end(syscall.SIGTERM)
	y.check(t)
	t.Logf("%d rounds, %d messages published and received", rounds, len(y.published))
}

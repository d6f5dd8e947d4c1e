package memnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/callout-dev/callout/emulator/memnet"
)

func TestConnIsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		l := memnet.Listen("test")
		accepted := make(chan net.Conn, 1)
		go func() {
			c, _ := l.Accept()
			accepted <- c
		}()
		c1, err = l.Dial(context.Background())
		if err != nil {
			return nil, nil, nil, err
		}
		c2 = <-accepted
		return c1, c2, func() { c1.Close(); c2.Close(); l.Close() }, nil
	})
}

func TestReaderGetsWhatWasWrittenBeforeClose(t *testing.T) {
	c1, c2 := memnet.Pipe("test")
	if _, err := c1.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	c1.Close()
	got, err := io.ReadAll(c2)
	if string(got) != "last words" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestHTTPInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memnet.Listen("api.test")
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour) // virtual
			_, _ = io.Copy(w, r.Body)
		})}
		go func() { _ = server.Serve(l) }()
		transport := &http.Transport{DialContext: l.DialContext}
		client := &http.Client{Transport: transport}

		body := strings.Repeat("x", 1<<20) // more than the buffer holds
		start := time.Now()
		res, err := client.Post("http://api.test/", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Equal(got, []byte(body)) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("took %v of virtual time", took)
		}
		transport.CloseIdleConnections()
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestDialFails(t *testing.T) {
	l := memnet.Listen("test")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := l.Dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody accepts: %v", err)
	}
	l.Close()
	if _, err := l.Dial(t.Context()); err == nil {
		t.Error("dialled a closed listener")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
}

func TestDeadlineMovedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c1, c2 := memnet.Pipe("test")
		defer c1.Close()
		defer c2.Close()
		start := time.Now()
		_ = c1.SetReadDeadline(start.Add(time.Hour))
		go func() {
			time.Sleep(time.Second)
			_ = c1.SetReadDeadline(start.Add(time.Minute))
		}()
		_, err := c1.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		_ = c1.SetReadDeadline(time.Time{})
		go func() { _, _ = c2.Write([]byte("x")) }()
		if _, err := c1.Read(make([]byte, 1)); err != nil {
			t.Errorf("deadline lifted: %v", err)
		}
	})
}

// TestCloseIsTheEnd: what the peer writes when it sees the end does not reach a read that was under way.
func TestCloseIsTheEnd(t *testing.T) {
	for range 1000 {
		ours, peers := memnet.Pipe("p")
		go func() {
			_, _ = peers.Read(make([]byte, 1)) // io.EOF
			_, _ = peers.Write([]byte("x"))
		}()
		read := make(chan int)
		go func() {
			n, _ := ours.Read(make([]byte, 1))
			read <- n
		}()
		runtime.Gosched()
		_ = ours.Close()
		if <-read != 0 {
			t.Fatal("a byte was read after the end")
		}
	}
}

package faults_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/callout-dev/callout/scripts/callout/command"
)

// TestKilledDuringABackup kills the emulator with SIGKILL while it sends a backup. The command line leaves no file; the emulator starts again,
// removes what it had copied, and has everything.
func TestKilledDuringABackup(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: builds and runs programs")
	}
	t.Parallel()
	data, into := filepath.Join(t.TempDir(), "data"), t.TempDir()
	ports := freePorts(t, 2)
	start := func() *process {
		return launch(t, nil, "Callout is ready", program(t, "emulator"), "-data", data, "-listen", ports[0], "-issuer", ports[1], "-firestore", "", "-pubsub", "")
	}
	running := start()
	a := newAPI(readInfo(t, data), &http.Client{Timeout: 10 * time.Second})
	s := realSite(t, well)
	route(t, a, s)
	for range 8 { // more than what is under way on a connection that nobody reads
		noise := make([]byte, 300_000)
		_, _ = rand.Read(noise)
		a.must(t, http.MethodPost, "/v1/events", map[string]any{"event_type": "order.created", "event_payload": noise})
	}
	awaitFinal(t, a)
	copied := filepath.Join(data, "backup.tmp")

	var errs bytes.Buffer
	code := command.Run(t.Context(), command.Process{
		Args: []string{"backup", filepath.Join(into, "b"), "--data", data}, Out: &bytes.Buffer{}, Err: &errs, Getenv: func(string) string { return "" },
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if tcp, ok := conn.(*net.TCPConn); ok {
				err = tcp.SetReadBuffer(4096)
			}
			return &fatal{conn, 2, func() {
				if _, err := os.Stat(copied); err != nil {
					t.Errorf("the backup is not being made: %v", err)
				}
				running.kill()
			}}, err
		},
	})
	if code != command.ExitFailed {
		t.Errorf("exit %d: %s", code, &errs)
	}
	if left, err := os.ReadDir(into); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if _, err := os.Stat(copied); err != nil {
		t.Errorf("the kill came too late: %v", err)
	}
	start()
	if _, err := os.Stat(copied); !os.IsNotExist(err) {
		t.Errorf("the copy is left: %v", err)
	}
	if counts := states(t, a); counts["delivered"] != 8 {
		t.Errorf("after the kill: %v", counts)
	}
}

// fatal is a connection on which something happens before a certain read.
type fatal struct {
	net.Conn
	reads int
	then  func()
}

func (f *fatal) Read(p []byte) (int, error) {
	if f.reads--; f.reads == 0 {
		f.then()
	}
	return f.Conn.Read(p)
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/signature"
)

// setting is what a receiver is started with.
type setting struct {
	keys      []string
	tolerance time.Duration
}

// language is a receiver: start gives its URL until the test ends.
type language struct {
	name, needs string
	start       func(*testing.T, setting) string
}

var languages = []language{
	{"Go", "go", func(t *testing.T, s setting) string { return serve(t, receive(s.keys, s.tolerance)) }},
	{"Node.js", "node", func(t *testing.T, s setting) string { return launch(t, s, "node", "receiver.mjs") }},
	{"Python", "python3", func(t *testing.T, s setting) string { return launch(t, s, "python3", "receiver.py") }},
	{"shell", "openssl", func(t *testing.T, s setting) string {
		dir, err := filepath.Abs(".")
		if err != nil {
			t.Fatal(err)
		}
		// The variables of the tests' own process would come with those of the call.
		return serve(t, &cgi.Handler{Path: "/bin/sh", Args: []string{"receiver.sh"}, Dir: dir, Env: s.variables(), Stderr: io.Discard})
	}},
}

// inEachLanguage runs a test for each language that is installed.
func inEachLanguage(t *testing.T, test func(*testing.T, language)) {
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(l.needs); err != nil {
				t.Skipf("%s is not installed", l.needs)
			}
			test(t, l)
		})
	}
}

func serve(t *testing.T, h http.Handler) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func (s setting) variables() []string {
	return []string{"CALLOUT_ADDRESS=127.0.0.1:0", "CALLOUT_SIGNING_KEYS=" + strings.Join(s.keys, ","),
		"CALLOUT_TOLERANCE=" + strconv.Itoa(int(s.tolerance.Seconds()))}
}

// launch starts a program that says where it listens.
func launch(t *testing.T, s setting, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), s.variables()...), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	address, ok := strings.CutPrefix(lines.Text(), "listening at ")
	if !ok {
		t.Fatalf("it does not say where it listens: %q", lines.Text())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, out) // what it prints is not to hold it up
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait() // it was killed
	})
	return "http://" + address
}

// send posts a call, and gives the status.
func send(ctx context.Context, to string, h http.Header, body string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header = h.Clone()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

func wants(t *testing.T, to, name string, h http.Header, body string, want int) {
	t.Helper()
	if got, err := send(t.Context(), to, h, body); err != nil || got != want {
		t.Errorf("%s: %d %v, want %d", name, got, err, want)
	}
}

type vector struct {
	Name    string            `json:"name"`
	Keys    []string          `json:"keys"`
	Body    string            `json:"body"`
	Headers map[string]string `json:"headers"`
}

func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("../../../shared/signature/testdata/vectors.json")
	var file struct {
		Vectors []vector `json:"vectors"`
	}
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil || len(file.Vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	return file.Vectors
}

// TestVectors: what openssl signed is taken, and another body is not. The signatures are old, and so must be let be.
func TestVectors(t *testing.T) {
	inEachLanguage(t, func(t *testing.T, l language) {
		all := vectors(t)
		var keys []string
		for _, v := range all {
			keys = append(keys, v.Keys[len(v.Keys)-1]) // of two, the former: the receiver has not heard of the next one
		}
		to := l.start(t, setting{keys, 100 * 365 * 24 * time.Hour})
		for _, v := range all {
			h := http.Header{}
			for name, value := range v.Headers {
				h.Set(name, value)
			}
			wants(t, to, v.Name, h, v.Body, 204)
			wants(t, to, v.Name+", another body", h, v.Body+" ", 401)
		}
	})
}

func TestCalls(t *testing.T) {
	const body = `{"event_type":"user.human.added","event_payload":{"userName":"kïm"}}`
	const own, next, other = "0123456789abcdefghijABCDEFGHIJ012345", "next9789abcdefghijABCDEFGHIJ0123next", "other456789abcdefghijABCDEFGHIJother"
	with := func(name, from, to string) func(http.Header) {
		return func(h http.Header) {
			for _, n := range strings.Split(name, " ") {
				h.Set(n, strings.Replace(h.Get(n), from, to, 1))
			}
		}
	}
	without := func(names ...string) func(http.Header) {
		return func(h http.Header) {
			for _, n := range names {
				h.Del(n)
			}
		}
	}
	references := []string{"ZITADEL-Signature", "X-ZITADEL-Signature"}
	standards := []string{"webhook-id", "webhook-timestamp", "webhook-signature"}
	tests := []struct {
		name string
		keys []string // of the sender
		at   time.Duration
		edit func(http.Header)
		want int
	}{
		{name: "as it comes", keys: []string{own}, want: 204},
		{name: "while a key rotates", keys: []string{other, own}, want: 204},
		{name: "the receiver's second key", keys: []string{next}, want: 204},
		{name: "only the reference's header", keys: []string{own}, edit: without(standards...), want: 204},
		{name: "only Standard Webhooks", keys: []string{own}, edit: without(references...), want: 204},
		{name: "upper-case hex", keys: []string{own}, edit: func(h http.Header) {
			h.Set("ZITADEL-Signature", strings.ReplaceAll(strings.ToUpper(h.Get("ZITADEL-Signature")), "T=", "t=")[:13]+
				strings.ReplaceAll(strings.ToUpper(h.Get("ZITADEL-Signature")[13:]), "V1=", "v1="))
		}, want: 204},
		{name: "parts of later versions", keys: []string{own}, edit: with("ZITADEL-Signature", ",v1=", ",v0=ab,v2=cd,v1=zz,v1="), want: 204},
		{name: "nearly five minutes ago", keys: []string{own}, at: -290 * time.Second, want: 204},
		{name: "nearly five minutes ahead", keys: []string{own}, at: 290 * time.Second, want: 204},
		{name: "more than five minutes ago", keys: []string{own}, at: -310 * time.Second, want: 401},
		{name: "more than five minutes ahead", keys: []string{own}, at: 310 * time.Second, want: 401},
		{name: "another key", keys: []string{other}, want: 401},
		{name: "an empty key", keys: []string{""}, want: 401},
		{name: "no signature", keys: []string{own}, edit: without(append(references, standards...)...), want: 401},
		{name: "a signature without its time", keys: []string{own}, edit: with("ZITADEL-Signature", "t=", "u="), want: 401},
		{name: "a time that is none", keys: []string{own}, edit: with("ZITADEL-Signature", "t=1", "t=x"), want: 401},
		{name: "a time without end", keys: []string{own}, edit: with("ZITADEL-Signature", "t=1", "t=99999999999999999999"), want: 401},
		{name: "half a signature", keys: []string{own}, edit: func(h http.Header) { h.Set("ZITADEL-Signature", h.Get("ZITADEL-Signature")[:40]) }, want: 401},
		{name: "an empty one", keys: []string{own}, edit: func(h http.Header) { h.Set("ZITADEL-Signature", h.Get("ZITADEL-Signature")[:16]) }, want: 401},
		{name: "a bad standard one beside a good reference", keys: []string{own}, edit: with("webhook-signature", "v1,", "v1,A"), want: 401},
		{name: "another id", keys: []string{own}, edit: with("webhook-id", "evt", "tve"), want: 401},
		{name: "no id", keys: []string{own}, edit: without("webhook-id"), want: 401},
		{name: "another standard time", keys: []string{own}, edit: with("webhook-timestamp", "1", "2"), want: 401},
		{name: "a version that is not known", keys: []string{own}, edit: with("webhook-signature", "v1,", "v1a,"), want: 401},
		{name: "a command in place of a time", keys: []string{own}, edit: with("ZITADEL-Signature webhook-timestamp", "1", "$(echo 1)"), want: 401},
	}
	inEachLanguage(t, func(t *testing.T, l language) {
		to := l.start(t, setting{[]string{own, next}, 5 * time.Minute})
		for _, tt := range tests {
			h := http.Header{}
			signature.Sign(h, tt.keys, "evt_1", time.Now().Add(tt.at), []byte(body))
			if tt.edit != nil {
				tt.edit(h)
			}
			wants(t, to, tt.name, h, body, tt.want)
		}
		h := http.Header{}
		signature.Sign(h, []string{""}, "evt_1", time.Now(), []byte(body))
		wants(t, l.start(t, setting{nil, 5 * time.Minute}), "nobody has set a key", h, body, 401)
	})
}

// TestLargeBodies: what is larger than any call is refused.
func TestLargeBodies(t *testing.T) {
	body := strings.Repeat("x", 12<<20)
	inEachLanguage(t, func(t *testing.T, l language) {
		to := l.start(t, setting{[]string{"key"}, 5 * time.Minute})
		h := http.Header{}
		signature.Sign(h, []string{"key"}, "evt_1", time.Now(), []byte(body))
		if status, err := send(t.Context(), to, h, body); err == nil && status < 400 {
			t.Errorf("12 MiB: %d", status)
		}
		signature.Sign(h, []string{"key"}, "evt_1", time.Now(), []byte(body[:1<<20]))
		wants(t, to, "1 MiB", h, body[:1<<20], 204)
	})
}

// TestProgram: the Go receiver as a program.
func TestProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CALLOUT_TEST_PROGRAM", "1")
	to := launch(t, setting{[]string{"key"}, 5 * time.Minute}, self)
	h := http.Header{}
	signature.Sign(h, []string{"key"}, "evt_1", time.Now(), []byte("{}"))
	wants(t, to, "signed", h, "{}", 204)
	wants(t, to, "not signed", nil, "{}", 401)
}

func TestMain(m *testing.M) {
	if os.Getenv("CALLOUT_TEST_PROGRAM") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

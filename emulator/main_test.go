package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/emulator/local"
)

func TestFlags(t *testing.T) {
	tests := []struct {
		name    string
		args    []string
		environ []string
		check   func(local.Config) bool
	}{
		{"defaults", nil, nil, func(c local.Config) bool {
			return c.Listen == "127.0.0.1:8080" && c.Firestore == "127.0.0.1:8081" && c.PubSub == "127.0.0.1:8085" && c.Issuer == "127.0.0.1:8082" &&
				c.Data == ".callout" && c.EgressAllow == "127.0.0.0/8,::1/128" && c.Functions == "" && c.History == time.Minute
		}},
		{"flags", []string{"-data=", "-firestore=", "-history", "2h"}, nil, func(c local.Config) bool {
			return c.Data == "" && c.Firestore == "" && c.History == 2*time.Hour
		}},
		{"the environment", nil, []string{"CALLOUT_EMULATOR_EGRESS_ALLOW=10.0.0.0/8", "CALLOUT_EMULATOR_HISTORY=5m", "CALLOUT_EMULATOR_PUBSUB="}, func(c local.Config) bool {
			return c.EgressAllow == "10.0.0.0/8" && c.History == 5*time.Minute && c.PubSub == ""
		}},
		{"a flag wins", []string{"-listen", "127.0.0.1:1"}, []string{"CALLOUT_EMULATOR_LISTEN=127.0.0.1:2"}, func(c local.Config) bool {
			return c.Listen == "127.0.0.1:1"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parse(tt.args, tt.environ, &bytes.Buffer{})
			if err != nil || !tt.check(c) {
				t.Errorf("%+v %v", c, err)
			}
		})
	}
}

func TestBadFlags(t *testing.T) {
	tests := []struct {
		args, environ []string
		want          string
	}{
		{[]string{"-nonsense"}, nil, "-nonsense"},
		{[]string{"extra"}, nil, `"extra"`},
		{[]string{"-history=soon"}, nil, "-history"},
		{[]string{"-listen="}, nil, "-listen"},
		{nil, []string{"CALLOUT_EMULATOR_HISTORY=soon"}, "CALLOUT_EMULATOR_HISTORY"},
	}
	for _, tt := range tests {
		if _, err := parse(tt.args, tt.environ, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q %q: got %v, want one line with %s", tt.args, tt.environ, err, tt.want)
		}
	}
	var help bytes.Buffer
	if _, err := parse([]string{"-help"}, nil, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-egress-allow") {
		t.Errorf("-help: %v %q", err, help.String())
	}
	if _, err := logLevel([]string{"CALLOUT_LOG_LEVEL=loud"}); err == nil {
		t.Error("a log level that is none")
	}
}

// The whole program on free ports: it greets with lines that can be pasted, and ends when it is told to.
func TestRun(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	out := &greeting{ready: cancel}
	const free = "127.0.0.1:0"
	err := run(ctx, []string{"-data", data, "-listen", free, "-firestore", free, "-pubsub=", "-issuer", free}, nil, out, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"Callout is ready.", "http://127.0.0.1:", "--data " + data + " target create", "execution set event/order.created demo", "event publish order.created --data"} {
		if !strings.Contains(text, want) {
			t.Errorf("the greeting lacks %q:\n%s", want, text)
		}
	}
	for _, file := range []string{"local.json", "seal.key", "issuer.json", "service-account.json"} {
		info, err := os.Stat(filepath.Join(data, file))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info, err)
		}
	}
}

// greeting stops the program once it has said its last line.
type greeting struct {
	bytes.Buffer
	ready func()
}

func (g *greeting) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "event publish") {
		g.ready()
	}
	return g.Buffer.Write(p)
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// client calls the API of an installation.
type client struct {
	api  string
	http *http.Client
	key  string // signs what the receiver gets
}

// connect reads local.json in the data folder.
func connect(ctx context.Context, data string) (*client, error) {
	text, err := os.ReadFile(filepath.Join(data, "local.json"))
	if err != nil {
		return nil, err
	}
	var info struct {
		API     string `json:"api"`
		Issuer  string `json:"issuer"`
		Clients map[string]struct {
			ID     string `json:"id"`
			Secret string `json:"secret"`
		} `json:"clients"`
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, fmt.Errorf("local.json: %w", err)
	}
	grant := clientcredentials.Config{
		ClientID: info.Clients["admin"].ID, ClientSecret: info.Clients["admin"].Secret, TokenURL: info.Issuer + "/oauth/v2/token",
		Scopes: []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"},
	}
	base := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 60 * time.Second}
	return &client{api: info.API, http: grant.Client(context.WithValue(ctx, oauth2.HTTPClient, base))}, nil
}

func (c *client) send(ctx context.Context, method, path, body string) (map[string]any, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.api+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	var answer map[string]any
	return answer, json.Unmarshal(text, &answer)
}

// route makes a target at the receiver and the execution that calls it.
func (c *client) route(ctx context.Context, endpoint string) error {
	target, err := c.send(ctx, http.MethodPost, "/v2/actions/targets",
		fmt.Sprintf(`{"name":"bench %d","restWebhook":{},"timeout":"10s","endpoint":%q}`, time.Now().UnixNano(), endpoint))
	if err != nil {
		return err
	}
	c.key, _ = target["signingKey"].(string)
	_, err = c.send(ctx, http.MethodPut, "/v2/actions/executions",
		fmt.Sprintf(`{"condition":{"event":{"event":"bench.happened"}},"targets":[%q]}`, target["id"]))
	return err
}

func (c *client) publish(ctx context.Context, event string) error {
	_, err := c.send(ctx, http.MethodPost, "/v1/events", event)
	return err
}

func (c *client) publishBatch(ctx context.Context, ids []string, size int) error {
	events := make([]string, len(ids))
	for i, id := range ids {
		events[i] = event(id, size)
	}
	return c.publish(ctx, `{"events":[`+strings.Join(events, ",")+`]}`)
}

// emulator is a process that this one started.
type emulator struct {
	data string
	cmd  *exec.Cmd
}

// startEmulator builds the emulator and runs it on a temporary folder and free ports.
func startEmulator(ctx context.Context) (*emulator, error) {
	folder, err := os.MkdirTemp("", "callout-bench-")
	if err != nil {
		return nil, err
	}
	e := &emulator{data: filepath.Join(folder, "data")}
	binary := filepath.Join(folder, "emulator")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./emulator")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build ./emulator, from the project's root: %w", err)
	}
	const free = "127.0.0.1:0"
	e.cmd = exec.Command(binary, "-data", e.data, "-listen", free, "-firestore", free, "-pubsub", free, "-issuer", free)
	e.cmd.Env = append(os.Environ(), "CALLOUT_LOG_LEVEL=ERROR")
	e.cmd.Stderr = os.Stderr
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	if err := e.ready(ctx); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

// ready waits for local.json, which is written when all of it is.
func (e *emulator) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(filepath.Join(e.data, "local.json")); err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.New("the emulator did not become ready in 30 s")
		}
	}
}

func (e *emulator) stop() {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	_ = e.cmd.Wait()
	_ = os.RemoveAll(filepath.Dir(e.data))
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/errgroup"
)

// changeTime is when all processes of an installation have seen a change.
const changeTime = 2500 * time.Millisecond

// ports are those of an installation's Firestore and Pub/Sub as local.json names them; empty: out of reach.
type ports struct {
	Firestore string `json:"firestore"`
	PubSub    string `json:"pubsub"`
	Project   string `json:"project"`
}

// reachable says whether the installation's services can be called.
func (p ports) reachable() bool { return p.Firestore != "" && p.PubSub != "" }

// client calls the API of an installation.
type client struct {
	ports
	api  string // without a slash at its end
	http *http.Client
	far  bool // it may have many processes

	mu         sync.Mutex // guards what forget removes
	targets    []target
	conditions map[string]bool
}

// target is one that the client made.
type target struct {
	id, key string // key signs what it gets
}

// connect gets a token, so that it is told here where there is none. Network is nil but in tests.
func connect(ctx context.Context, at place, getenv func(string) string, network http.RoundTripper) (*client, error) {
	settings, err := at.settings(getenv)
	if err != nil {
		return nil, err
	}
	c := &client{api: settings.API, far: at.api != "", conditions: map[string]bool{}}
	if !c.far {
		if c.ports, err = readPorts(at.data); err != nil {
			return nil, err
		}
	}
	if network == nil {
		network = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 64}
	}
	// What was made is removed with a token too, after ctx has ended.
	tokens, err := settings.TokenSource(context.WithoutCancel(ctx), &http.Client{Transport: network, Timeout: 30 * time.Second})
	if err != nil {
		return nil, err
	}
	if _, err := tokens.Token(); err != nil {
		return nil, err
	}
	c.http = &http.Client{Transport: &oauth2.Transport{Source: tokens, Base: network}, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// readPorts reads local.json in the data folder.
func readPorts(data string) (p ports, err error) {
	text, err := os.ReadFile(filepath.Join(data, "local.json"))
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("local.json: %w", err)
	}
	return p, nil
}

// send makes a call and decodes its answer into a pointer, or nowhere if that is nil.
func (c *client) send(ctx context.Context, method, path, body string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.api+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.500s%s", method, path, response.Status, text, adviceFor(response.StatusCode, string(text)))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// route makes a target and the execution that calls it, and nothing else, for events of a type.
func (c *client) route(ctx context.Context, kind, endpoint string, timeout time.Duration) (target, error) {
	t, err := c.make(ctx, "restWebhook", endpoint, timeout)
	if err != nil {
		return t, err
	}
	return t, c.execute(context.WithoutCancel(ctx), eventCondition(kind), t)
}

func eventCondition(kind string) string { return fmt.Sprintf(`{"event":{"event":%q}}`, kind) }

// make makes a target of a kind. It does not end with ctx once it is under way: a target that nobody knows of could not be removed.
func (c *client) make(ctx context.Context, kind, endpoint string, timeout time.Duration) (target, error) {
	if err := ctx.Err(); err != nil {
		return target{}, err
	}
	var made struct {
		ID         string `json:"id"`
		SigningKey string `json:"signingKey"`
	}
	err := c.send(context.WithoutCancel(ctx), http.MethodPost, "/v2/actions/targets",
		fmt.Sprintf(`{"name":"bench %s",%q:{},"timeout":"%ds","endpoint":%q}`, newKey(), kind, int(timeout.Seconds()), endpoint), &made)
	if err != nil {
		return target{}, err
	}
	t := target{id: made.ID, key: made.SigningKey}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.targets = append(c.targets, t)
	return t, nil
}

// execute says which targets a condition calls. Who makes one lets it end, as make does: it could take effect after it was removed.
func (c *client) execute(ctx context.Context, condition string, targets ...target) error {
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = strconv.Quote(t.id)
	}
	c.mu.Lock()
	c.conditions[condition] = true
	c.mu.Unlock()
	return c.send(ctx, http.MethodPut, "/v2/actions/executions", fmt.Sprintf(`{"condition":%s,"targets":[%s]}`, condition, strings.Join(ids, ",")), nil)
}

// seen returns when all processes of the installation know what was changed.
func (c *client) seen(ctx context.Context) error {
	if !c.far {
		return nil // it is the one process that changed it
	}
	return sleep(ctx, changeTime)
}

// forget removes all that was made: an installation that goes on is left as it was, but for its log. What cannot be removed does not keep
// the rest, and the error names it.
func (c *client) forget(ctx context.Context) error {
	var conditions, targets errgroup.Group
	conditions.SetLimit(8)
	targets.SetLimit(8)
	var mu sync.Mutex
	var left []error
	note := func(err error) error {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			left = append(left, fmt.Errorf("left behind: %w", err))
		}
		return nil
	}
	for _, condition := range slices.Collect(maps.Keys(c.conditions)) {
		conditions.Go(func() error { return note(c.execute(ctx, condition)) })
	}
	_ = conditions.Wait() // both note their errors
	for _, t := range c.targets {
		targets.Go(func() error { return note(c.send(ctx, http.MethodDelete, "/v2/actions/targets/"+t.id, "", nil)) })
	}
	_ = targets.Wait()
	return errors.Join(left...)
}

// pause holds all that is still to be delivered to a target.
func (c *client) pause(ctx context.Context, t target) error {
	return c.send(ctx, http.MethodPost, "/v1/targets/"+t.id+":pause", "{}", nil)
}

// valve is what stands between Callout and a target; State is empty for a target in good standing.
type valve struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
	Held   int    `json:"held"` // deliveries that wait
}

func (c *client) valve(ctx context.Context, t target) (valve, error) {
	var answer struct {
		Valve valve `json:"valve"`
	}
	err := c.send(ctx, http.MethodGet, "/v1/targets/"+t.id+"/delivery", "", &answer)
	return answer.Valve, err
}

// delivered is how many deliveries the ledger holds that have succeeded.
func (c *client) delivered(ctx context.Context) (int, error) {
	var answer struct {
		Counts map[string]int `json:"counts"`
	}
	err := c.send(ctx, http.MethodPost, "/v1/deliveries/search", `{"pageSize":1,"counts":true}`, &answer)
	return answer.Counts["delivered"], err
}

// publish sends one event or several in one request.
func (c *client) publish(ctx context.Context, size int, events ...event) error {
	texts := make([]string, len(events))
	for i, e := range events {
		texts[i] = e.text(size)
	}
	if len(texts) == 1 {
		return c.send(ctx, http.MethodPost, "/v1/events", texts[0], nil)
	}
	return c.send(ctx, http.MethodPost, "/v1/events", `{"events":[`+strings.Join(texts, ",")+`]}`, nil)
}

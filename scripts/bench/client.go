package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/errgroup"
)

// installation is what local.json says of one.
type installation struct {
	API       string `json:"api"`
	Issuer    string `json:"issuer"`
	Firestore string `json:"firestore"`
	PubSub    string `json:"pubsub"`
	Project   string `json:"project"`
	Clients   map[string]struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	} `json:"clients"`
}

// client calls the API of an installation.
type client struct {
	installation
	http *http.Client

	mu   sync.Mutex
	made map[string]target // by id: what forget removes
}

// target is one that the client made.
type target struct {
	id, key, kind string // key signs what it gets; kind is the event type of the one execution that calls it
}

// connect reads local.json in the data folder.
func connect(ctx context.Context, data string) (*client, error) {
	text, err := os.ReadFile(filepath.Join(data, "local.json"))
	if err != nil {
		return nil, err
	}
	c := &client{made: map[string]target{}}
	if err := json.Unmarshal(text, &c.installation); err != nil {
		return nil, fmt.Errorf("local.json: %w", err)
	}
	grant := clientcredentials.Config{
		ClientID: c.Clients["admin"].ID, ClientSecret: c.Clients["admin"].Secret, TokenURL: c.Issuer + "/oauth/v2/token",
		Scopes: []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"},
	}
	base := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 60 * time.Second}
	c.http = grant.Client(context.WithValue(ctx, oauth2.HTTPClient, base))
	return c, nil
}

// send makes a call and decodes its answer into a pointer, or nowhere if that is nil.
func (c *client) send(ctx context.Context, method, path, body string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.API+path, strings.NewReader(body))
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
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// route makes a target and the execution that calls it, and nothing else, for events of a type.
func (c *client) route(ctx context.Context, kind, endpoint string, timeout time.Duration) (target, error) {
	var made struct {
		ID         string `json:"id"`
		SigningKey string `json:"signingKey"`
	}
	err := c.send(ctx, http.MethodPost, "/v2/actions/targets",
		fmt.Sprintf(`{"name":"bench %d","restWebhook":{},"timeout":"%ds","endpoint":%q}`, time.Now().UnixNano(), int(timeout.Seconds()), endpoint), &made)
	if err != nil {
		return target{}, err
	}
	t := target{id: made.ID, key: made.SigningKey, kind: kind}
	c.mu.Lock()
	c.made[t.id] = t
	c.mu.Unlock()
	return t, c.execute(ctx, kind, t)
}

// execute says which targets get events of a type.
func (c *client) execute(ctx context.Context, kind string, targets ...target) error {
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = strconv.Quote(t.id)
	}
	return c.send(ctx, http.MethodPut, "/v2/actions/executions",
		fmt.Sprintf(`{"condition":{"event":{"event":%q}},"targets":[%s]}`, kind, strings.Join(ids, ",")), nil)
}

// forget removes all that route made: an installation that goes on is left as it was, but for its log.
func (c *client) forget(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, t := range c.made {
		group.Go(func() error {
			if err := c.execute(groupCtx, t.kind); err != nil {
				return err
			}
			return c.send(groupCtx, http.MethodDelete, "/v2/actions/targets/"+t.id, "", nil)
		})
	}
	return group.Wait()
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

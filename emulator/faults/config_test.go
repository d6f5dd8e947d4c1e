package faults_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
)

// configRPC is a method that changes the configuration. Before makes what it needs while nothing is broken; done looks, when nothing is
// broken any more, whether it is as the method said.
type configRPC struct {
	name   string
	before func(c *configWorld)
	call   func(c *configWorld)
	done   func(c *configWorld) bool
	silent bool // it is nobody's business outside: no event is published
}

// configWorld is a world whose target is changed. What it holds is what the API said.
type configWorld struct {
	*world
	key string // the public key
}

const catalogPath = "/v1/catalog/shop.example"

func (c *configWorld) ask(method, path string, body any) map[string]any {
	return c.api.must(c.t, method, path, body)
}

func (c *configWorld) target(path string) string {
	return "/v2/actions/targets/" + c.sites["changed"].target + path
}

func (c *configWorld) setCatalog() {
	c.ask(http.MethodPut, catalogPath, map[string]any{"events": []string{"shop.opened"}, "functions": []string{"greet"}})
}

func (c *configWorld) addKey() {
	pair, err := keys()
	if err != nil {
		c.t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(pair[0].Public())
	if err != nil {
		c.t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	c.key, _ = c.ask(http.MethodPost, c.target("/publickeys"), map[string]any{"publicKey": text})["keyId"].(string)
}

func (c *configWorld) activateKey() {
	c.ask(http.MethodPost, c.target("/publickeys/"+c.key+"/activate"), map[string]any{})
}

// keys lists the target's public keys: whether each is active.
func (c *configWorld) keys() map[string]bool {
	found := map[string]bool{}
	list, _ := c.ask(http.MethodPost, c.target("/publickeys/search"), map[string]any{})["publicKeys"].([]any)
	for _, k := range list {
		key, _ := k.(map[string]any)
		id, _ := key["keyId"].(string)
		found[id], _ = key["active"].(bool)
	}
	return found
}

func (c *configWorld) hosts() string {
	return fmt.Sprint(c.ask(http.MethodGet, "/v1/catalog", nil)["hosts"])
}

func configRPCs() []configRPC {
	return []configRPC{
		{name: "SetCatalog", silent: true, call: (*configWorld).setCatalog, done: func(c *configWorld) bool {
			return strings.Contains(fmt.Sprint(c.ask(http.MethodGet, "/v1/catalog?host=shop.example", nil)), "shop.opened")
		}},
		{name: "RemoveCatalog", silent: true, before: (*configWorld).setCatalog,
			call: func(c *configWorld) { c.ask(http.MethodDelete, catalogPath, nil) },
			done: func(c *configWorld) bool { return !strings.Contains(c.hosts(), "shop.example") }},
		{name: "AddPublicKey", call: (*configWorld).addKey,
			done: func(c *configWorld) bool { _, there := c.keys()[c.key]; return there && c.key != "" }},
		{name: "ActivatePublicKey", before: (*configWorld).addKey, call: (*configWorld).activateKey,
			done: func(c *configWorld) bool { return c.keys()[c.key] }},
		{name: "DeactivatePublicKey", before: func(c *configWorld) { c.addKey(); c.activateKey() },
			call: func(c *configWorld) {
				c.ask(http.MethodPost, c.target("/publickeys/"+c.key+"/deactivate"), map[string]any{})
			},
			done: func(c *configWorld) bool { active, there := c.keys()[c.key]; return there && !active }},
		{name: "RemovePublicKey", before: (*configWorld).addKey,
			call: func(c *configWorld) { c.ask(http.MethodDelete, c.target("/publickeys/"+c.key), nil) },
			done: func(c *configWorld) bool { return len(c.keys()) == 0 }},
		{name: "UpdateTargetDelivery", silent: true,
			call: func(c *configWorld) { c.settings("changed", map[string]any{"ratePerSecond": 7}) },
			done: func(c *configWorld) bool {
				path := "/v1/targets/" + c.sites["changed"].target + "/delivery"
				return strings.Contains(fmt.Sprint(c.ask(http.MethodGet, path, nil)), "ratePerSecond:7")
			}},
	}
}

// TestConfiguration breaks what each of these methods needs, in each way. Called until it is told to be done, it is done; and each of its
// commits that holds is published once as an event, whoever was told of it.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	type fault struct {
		name  string
		rules []rule
		ci    bool
		event bool // it is about the event that says what changed
	}
	var faults []fault
	for n, code := range failures {
		faults = append(faults,
			fault{fmt.Sprintf("its commit is not applied, %v", code), []rule{{kind: configure, code: code, first: 2, chance: 0.2}}, n == 0, false},
			fault{fmt.Sprintf("its commit is applied, reported failed, %v", code),
				[]rule{{kind: configure, code: code, first: 2, chance: 0.2, applied: true}}, n == 0, false})
	}
	faults = append(faults,
		fault{"what it reads fails or breaks off", []rule{{kind: batchGet, code: codes.Unavailable, first: 2, chance: 0.3}}, false, false},
		fault{"its event is not published", []rule{{kind: publishEvents, code: codes.Unavailable, first: 2}}, false, true},
		fault{"its event is published, and not marked as such", []rule{{kind: markEvent, code: codes.Unavailable, first: 2}}, false, true})
	rows := uint64(0)
	for _, rpc := range configRPCs() {
		for _, f := range faults {
			if !f.ci && !*report || f.event && rpc.silent {
				continue
			}
			rows++
			row, name := rows, rpc.name+": "+f.name
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				inBubble(t, func(t *testing.T, seed uint64) {
					c := &configWorld{world: newWorld(t, seed+row, quick)}
					c.site("changed", well)
					c.site("watcher", well)
					c.route("order.created", "changed")
					if rpc.before != nil {
						rpc.before(c)
					}
					c.send("order.created", "before", scale()/2)
					time.Sleep(time.Second) // the events of what was made are matched before anybody watches
					c.ask(http.MethodPut, "/v2/actions/executions", map[string]any{
						"condition": map[string]any{"event": map[string]any{"group": "target"}}, "targets": []string{c.sites["watcher"].target},
					})
					before := c.changes()
					time.Sleep(3 * time.Second) // others learn of it within two
					c.inject.arm(f.rules...)
					rpc.call(c)
					c.inject.disarm()
					if !rpc.done(c) {
						t.Error("it was told to be done, and is not")
					}
					time.Sleep(2 * time.Minute) // what is left to a sweep is published
					made := c.published(before)
					if (made == 0) != rpc.silent {
						t.Errorf("%d events", made)
					}
					c.send("order.created", "after", scale()/2)
					if sum(c.inject.injected()) == 0 {
						t.Error("nothing was broken: no such call")
					}
					record(t, c.judge(groupConfig, rpc.name, name, expectation{unbounded: true}))
				})
			})
		}
	}
}

// changes are the names of what is in the feed.
func (c *configWorld) changes() (names []string) {
	c.t.Helper()
	err := readAll(context.Background(), c.firestore, "changes", func(doc *firestorepb.Document) {
		names = append(names, last(doc.GetName()))
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return names
}

// published takes into account the events of changes that are new in the feed: the watcher must have got each, and none is left
// unpublished.
func (c *configWorld) published(before []string) (made int) {
	c.t.Helper()
	err := readAll(context.Background(), c.firestore, "changes", func(doc *firestorepb.Document) {
		name, fields := last(doc.GetName()), doc.GetFields()
		event := fields["event"].GetStringValue()
		if event == "" || slices.Contains(before, name) {
			return
		}
		if fields["due"] != nil {
			c.t.Errorf("%s is not published", event)
		}
		c.sent["change-"+name], c.routes[event] = event, []string{"watcher"}
		made++
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return made
}

package command_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

// targetList is api.Targets, kept in memory.
type targetList struct {
	mu   sync.Mutex
	keys []action.PublicKey // of the one target that tests give keys
	all  []action.Target
	made int
}

func (l *targetList) Create(_ context.Context, _ auth.Caller, t action.Target) (action.Target, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := t.Validate(); err != nil {
		return t, err
	}
	l.made++
	t.ID = action.TargetID("t" + string(rune('0'+l.made)))
	t.Created, t.Changed = time.Now(), time.Now()
	t.SigningKeys = []action.SigningKey{{Value: action.Secret("key-of-" + t.Name)}}
	l.all = append(l.all, t)
	return t, nil
}

func (l *targetList) Update(_ context.Context, _ auth.Caller, id action.TargetID, c action.TargetChange) (action.Target, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.all, func(t action.Target) bool { return t.ID == id })
	if i < 0 {
		return action.Target{}, false, errs.New(errs.NotFound, "COMMAND-xj14f2cccn", "Target not found")
	}
	t, _, err := c.Apply(l.all[i], time.Now(), action.NewSigningKey)
	if err == nil {
		t.Changed = time.Now()
		l.all[i] = t
	}
	return t, c.RotateKey != nil, err
}

func (l *targetList) Delete(_ context.Context, _ auth.Caller, id action.TargetID) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(t action.Target) bool { return t.ID == id })
	return time.Now(), nil
}

func (l *targetList) Get(context.Context, auth.Caller, action.TargetID) (action.Target, error) {
	return action.Target{}, errs.Newf(errs.Unimplemented, "not asked for by this client")
}

func (l *targetList) List(_ context.Context, _ auth.Caller, q action.TargetQuery) ([]action.Target, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	page, total := q.Select(l.all)
	return page, total, nil
}

func (l *targetList) AddKey(_ context.Context, _ auth.Caller, _ action.TargetID, k action.PublicKey) (action.PublicKey, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k.ID, k.Created, k.Changed = action.PublicKeyID("k"+string(rune('1'+len(l.keys)))), time.Now(), time.Now()
	l.keys = append(l.keys, k)
	return k, nil
}

// switchKey makes a key the active one, or none.
func (l *targetList) switchKey(id action.PublicKeyID, active bool) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.keys {
		l.keys[i].Active = active && l.keys[i].ID == id
	}
	return time.Now(), nil
}

func (l *targetList) ActivateKey(_ context.Context, _ auth.Caller, _ action.TargetID, id action.PublicKeyID) (time.Time, error) {
	return l.switchKey(id, true)
}

func (l *targetList) DeactivateKey(_ context.Context, _ auth.Caller, _ action.TargetID, id action.PublicKeyID) (time.Time, error) {
	return l.switchKey(id, false)
}

func (l *targetList) RemoveKey(_ context.Context, _ auth.Caller, _ action.TargetID, id action.PublicKeyID) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = slices.DeleteFunc(l.keys, func(k action.PublicKey) bool { return k.ID == id })
	return time.Now(), nil
}

func (l *targetList) ListKeys(_ context.Context, _ auth.Caller, _ action.TargetID, q action.PublicKeyQuery) ([]action.PublicKey, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	page, total := q.Select(l.keys)
	return page, total, nil
}

func (l *targetList) get(name string) action.Target {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.all, func(t action.Target) bool { return t.Name == name })
	if i < 0 {
		return action.Target{}
	}
	return l.all[i]
}

// executionList is api.Executions, kept in memory.
type executionList struct {
	mu  sync.Mutex
	all []action.Execution
}

func (l *executionList) Set(_ context.Context, _ auth.Caller, c action.Condition, targets []action.TargetID) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := action.ValidateTargets(targets); err != nil {
		return time.Time{}, err
	}
	l.all = slices.DeleteFunc(l.all, func(e action.Execution) bool { return e.Condition == c })
	if len(targets) > 0 {
		l.all = append(l.all, action.Execution{Condition: c, Targets: targets, Created: time.Now(), Changed: time.Now()})
	}
	return time.Now(), nil
}

func (l *executionList) List(_ context.Context, _ auth.Caller, q action.ExecutionQuery) ([]action.Execution, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	page, total := q.Select(l.all)
	return page, total, nil
}

func (l *executionList) Names(context.Context, auth.Caller) (action.Names, error) {
	return action.Names{}, nil
}

// catalogList is api.Catalog, kept in memory.
type catalogList struct {
	mu    sync.Mutex
	hosts map[action.HostName]action.HostPart
}

func (l *catalogList) ListCatalog(_ context.Context, _ auth.Caller, host action.HostName) (action.Names, []action.HostNames, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []action.HostNames
	var names action.Names
	for name, part := range l.hosts {
		if host == "" || host == name {
			names.Services, names.Methods = append(names.Services, part.Names.Services...), append(names.Methods, part.Names.Methods...)
			names.Events, names.Functions = append(names.Events, part.Names.Events...), append(names.Functions, part.Names.Functions...)
			all = append(all, action.HostNames{HostVersion: action.HostVersion{Host: name, Changed: time.Now()}, Names: part.Names, Described: part.Described})
		}
	}
	return names, all, nil
}

func (l *catalogList) SetCatalog(_ context.Context, _ auth.Caller, host action.HostName, part action.HostPart) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts[host] = part
	return time.Now(), nil
}

func (l *catalogList) RemoveCatalog(_ context.Context, _ auth.Caller, host action.HostName) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.hosts[host]; !there {
		return time.Time{}, nil
	}
	delete(l.hosts, host)
	return time.Now(), nil
}

// eventList is api.Events: it takes an event that it knows already once, as dispatch does.
type eventList struct {
	mu   sync.Mutex
	ids  map[string]bool
	all  []action.Occurrence
	keys []string // Idempotency-Key of each call
}

func (l *eventList) Publish(_ context.Context, _ auth.Caller, events []action.Occurrence, key string) ([]action.EventID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = append(l.keys, key)
	ids := make([]action.EventID, len(events))
	for i, e := range events {
		if err := e.Complete(time.Now()).Validate(); err != nil {
			return nil, action.AtIndex(i, err)
		}
	}
	for i, e := range events {
		if ids[i] = e.ID; e.ID == "" {
			ids[i] = action.EventID(action.Key(key))
		}
		if known := e.Source + " " + string(ids[i]); !l.ids[known] {
			l.ids[known] = true
			l.all = append(l.all, e)
		}
	}
	return ids, nil
}

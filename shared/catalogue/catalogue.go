// Package catalogue knows which names may be conditions in each instance: the built-in ones and those that hosts have set, from memory. A
// change in another process is seen after a second; while the database fails, what was known last holds.
package catalogue

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

const (
	// fresh is how old the last look may be for the known to be used without another.
	fresh = time.Second
	// loadTime bounds a look where something is known that can be used in its place.
	loadTime = time.Second
	// logEvery is how often it is logged that the database fails.
	logEvery = time.Minute
)

// Hosts reads what hosts have set.
type Hosts interface {
	// HostNames reads all hosts' names. Those that are among the known in the same version are not read again.
	HostNames(ctx context.Context, instance action.InstanceID, known []action.HostNames) ([]action.HostNames, error)
	// HostTypes reads the message types of a host's part: NotFound if it was replaced.
	HostTypes(ctx context.Context, instance action.InstanceID, v action.HostVersion) ([]byte, error)
}

// View is an instance's catalogue as it was at one time. It is shared: nobody changes it.
type View struct {
	*action.Catalogue
	// Hosts are by name.
	Hosts []action.HostNames
}

// Keeper keeps the catalogues of all instances. It may be used by many at once.
type Keeper struct {
	hosts Hosts
	mode  action.CatalogueMode
	log   *slog.Logger

	mu    sync.Mutex
	known map[action.InstanceID]*entry
}

// New makes a keeper.
func New(hosts Hosts, mode action.CatalogueMode, log *slog.Logger) *Keeper {
	return &Keeper{hosts: hosts, mode: mode, log: log, known: map[action.InstanceID]*entry{}}
}

// entry is an instance. The keeper's lock guards it.
type entry struct {
	view   *View         // nil: nothing is known
	looked time.Time     // when the last look began, good or not; zero: there was none since the last change of ours
	wrote  uint64        // how many changes of ours there were
	logged time.Time     // when it was last logged that the database fails
	busy   chan struct{} // holds who is looking
}

func (k *Keeper) entry(instance action.InstanceID) *entry {
	e := k.known[instance]
	if e == nil {
		e = &entry{busy: make(chan struct{}, 1)}
		k.known[instance] = e
	}
	return e
}

// Of gives an instance's catalogue. It fails only where nothing is known yet.
func (k *Keeper) Of(ctx context.Context, instance action.InstanceID) (*View, error) {
	k.mu.Lock()
	e := k.entry(instance)
	view, young := e.view, e.young()
	k.mu.Unlock()
	if young {
		return view, nil
	}
	select {
	case e.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, errs.New(errs.Unavailable, "", "the catalogue could not be read in time").Because(ctx.Err())
	}
	defer func() { <-e.busy }()
	return k.look(ctx, instance, e)
}

// young says whether the last look is recent. A clock that was set back makes it old.
func (e *entry) young() bool {
	age := time.Now().Round(0).Sub(e.looked.Round(0))
	return e.view != nil && !e.looked.IsZero() && age >= 0 && age < fresh
}

// look reads what changed, one caller at a time.
func (k *Keeper) look(ctx context.Context, instance action.InstanceID, e *entry) (*View, error) {
	k.mu.Lock()
	last, wrote, young := e.view, e.wrote, e.young()
	k.mu.Unlock()
	if young { // somebody else has looked
		return last, nil
	}
	began := time.Now()
	var hosts []action.HostNames
	if last != nil {
		hosts = last.Hosts
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, loadTime)
		defer cancel()
	}
	view, err := k.read(ctx, instance, last, hosts)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil && last == nil {
		return nil, err
	}
	if err != nil {
		k.stayed(ctx, e, err)
		view = last
	}
	e.view = view
	if e.wrote == wrote { // else what was read may be older than what we wrote
		e.looked = began
	}
	return view, nil
}

func (k *Keeper) read(ctx context.Context, instance action.InstanceID, last *View, known []action.HostNames) (*View, error) {
	hosts, err := k.hosts.HostNames(ctx, instance, known)
	if err != nil {
		return nil, err
	}
	same := func(a, b action.HostNames) bool { return a.HostVersion == b.HostVersion }
	if last != nil && slices.EqualFunc(hosts, known, same) {
		return last, nil
	}
	names := make([]action.Names, len(hosts))
	for i, h := range hosts {
		names[i] = h.Names
	}
	united, err := action.BuiltinCatalogue(k.mode, names...)
	if err != nil {
		return nil, err
	}
	return &View{Catalogue: united, Hosts: hosts}, nil
}

// stayed logs once a minute that the known is used although it may be too old. It needs the lock.
func (k *Keeper) stayed(ctx context.Context, e *entry, err error) {
	if now := time.Now(); e.logged.IsZero() || now.Sub(e.logged) >= logEvery {
		e.logged = now
		k.log.WarnContext(ctx, "the catalogue cannot be read: names are those that are known", logging.Err, err)
	}
}

// Forget makes the next look come at once. Who wrote a change calls it when the commit has ended, well or not.
func (k *Keeper) Forget(changes ...action.Change) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range changes {
		if c.Kind != action.ChangeCatalogue {
			continue
		}
		e := k.entry(c.Instance)
		e.looked = time.Time{}
		e.wrote++
	}
}

// Describer finds the host that has described a method's messages; false where none has. FullMethod is /package.Service/Method.
func (k *Keeper) Describer(ctx context.Context, instance action.InstanceID, fullMethod string) (action.HostVersion, bool, error) {
	service, _, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	view, err := k.Of(ctx, instance)
	if err != nil {
		return action.HostVersion{}, false, err
	}
	for _, h := range view.Hosts {
		_, described := slices.BinarySearch(h.Described, service)
		_, has := slices.BinarySearch(h.Names.Methods, fullMethod)
		if described && has {
			return h.HostVersion, true, nil
		}
	}
	return action.HostVersion{}, false, nil
}

// Types gives the FileDescriptorSet, with all imports, in which a host's messages are: NotFound if it was replaced since the last look, and
// then Describer finds the new one.
func (k *Keeper) Types(ctx context.Context, instance action.InstanceID, v action.HostVersion) ([]byte, error) {
	set, err := k.hosts.HostTypes(ctx, instance, v)
	if errs.Is(err, errs.NotFound) {
		k.Forget(action.Change{Instance: instance, Kind: action.ChangeCatalogue})
	}
	return set, err
}

package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// The catalogue's head says which hosts have set their parts. What they set lies in documents beside it, whose names say which content they
// are of: they are made and removed, and never changed. So whoever has read the head reads whole parts, or finds that they are gone.
const (
	catalogue      = "catalogue"
	catalogueHead  = "head"
	catalogueParts = "catalogueParts"

	// partSize keeps a document under Firestore's limit of 1 MiB, and maxPart a commit under that of 10 MiB.
	partSize = 900 << 10
	maxPart  = 9 << 20
	// rereads is how often the head is read again when a part was replaced meanwhile.
	rereads = 3
)

// headDoc is the catalogue's head as stored.
type headDoc struct {
	Hosts map[string]hostDoc `firestore:"hosts"`
}

// hostDoc says which documents are a host's.
type hostDoc struct {
	Version string    `firestore:"version"`
	Names   int       `firestore:"names"`
	Types   int       `firestore:"types"`
	Changed time.Time `firestore:"changed"`
}

type partDoc struct {
	Data []byte `firestore:"data"`
}

// namesText is what the documents of names hold when they are put together.
type namesText struct {
	action.Names
	Described []string `json:"described,omitempty"`
}

var (
	errHosts       = errs.Newf(errs.FailedPrecondition, "the catalogue has %d hosts, the most there may be", action.MaxHosts)
	errPartMissing = errs.New(errs.NotFound, "", "a host's part of the catalogue was replaced while it was read")
)

func (s *Store) catalogueHead(instance action.InstanceID) *firestore.DocumentRef {
	return s.collection(instance, catalogue).Doc(catalogueHead)
}

// sort of a part's documents.
const (
	ofNames = "names"
	ofTypes = "types"
)

func (s *Store) partRefs(instance action.InstanceID, v action.HostVersion, sort string, count int) []*firestore.DocumentRef {
	refs := make([]*firestore.DocumentRef, count)
	for i := range refs {
		refs[i] = s.collection(instance, catalogueParts).Doc(action.Key(string(v.Host), v.Version) + "-" + sort + "-" + strconv.Itoa(i))
	}
	return refs
}

func changeOfHost(instance action.InstanceID, host action.HostName) action.Change {
	return action.Change{Instance: instance, Kind: action.ChangeCatalogue, ID: string(host)}
}

// SetHost replaces a host's part of the catalogue in one commit and says when it was set: now, or earlier if it is the same already.
// TooLarge if it does not fit, FailedPrecondition if there are too many hosts.
func (s *Store) SetHost(ctx context.Context, instance action.InstanceID, host action.HostName, part action.HostPart) (time.Time, error) {
	names, err := json.Marshal(namesText{part.Names, part.Described})
	if err != nil {
		return time.Time{}, fmt.Errorf("set host: %w", err)
	}
	if n := len(names) + len(part.Types); n > maxPart {
		return time.Time{}, errs.Newf(errs.TooLarge, "the host's names and message types take %d bytes, and may take %d", n, maxPart)
	}
	nameParts, typeParts := slices.Collect(slices.Chunk(names, partSize)), slices.Collect(slices.Chunk(part.Types, partSize))
	next := action.HostVersion{Host: host, Version: action.Key(string(names), string(part.Types)), NameParts: len(nameParts), TypeParts: len(typeParts)}
	var set time.Time
	err = s.change(ctx, "set host", changeOfHost(instance, host), func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		head, err := readHead(tx, s.catalogueHead(instance))
		if err != nil {
			return nil, err
		}
		old, known := head.Hosts[string(host)]
		set = old.Changed
		switch {
		case known && old.Version == next.Version:
			return nil, nil
		case !known && len(head.Hosts) >= action.MaxHosts:
			return nil, errHosts
		}
		if err := s.removeParts(tx, instance, host, old); err != nil {
			return nil, err
		}
		set = now()
		refs := append(s.partRefs(instance, next, ofNames, next.NameParts), s.partRefs(instance, next, ofTypes, next.TypeParts)...)
		for i, data := range slices.Concat(nameParts, typeParts) {
			if err := tx.Set(refs[i], partDoc{data}); err != nil {
				return nil, err
			}
		}
		doc := hostDoc{Version: next.Version, Names: next.NameParts, Types: next.TypeParts, Changed: set}
		// What a newer version may have put there stays.
		return new(action.ConfigEvent{}), tx.Set(s.catalogueHead(instance), headDoc{Hosts: map[string]hostDoc{string(host): doc}},
			firestore.Merge(firestore.FieldPath{"hosts", string(host)}))
	})
	return set, err
}

// RemoveHost removes a host's part of the catalogue and says when: the zero time if it was not there.
func (s *Store) RemoveHost(ctx context.Context, instance action.InstanceID, host action.HostName) (time.Time, error) {
	var removed time.Time
	err := s.change(ctx, "remove host", changeOfHost(instance, host), func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		removed = time.Time{}
		head, err := readHead(tx, s.catalogueHead(instance))
		if err != nil {
			return nil, err
		}
		old, known := head.Hosts[string(host)]
		if !known {
			return nil, nil
		}
		if err := s.removeParts(tx, instance, host, old); err != nil {
			return nil, err
		}
		removed = now()
		return new(action.ConfigEvent{}), tx.Update(s.catalogueHead(instance), []firestore.Update{
			{FieldPath: firestore.FieldPath{"hosts", string(host)}, Value: firestore.Delete},
		})
	})
	return removed, err
}

func readHead(tx *firestore.Transaction, ref *firestore.DocumentRef) (headDoc, error) {
	var head headDoc
	snapshot, err := tx.Get(ref)
	if missing(err) {
		return head, nil
	}
	if err != nil {
		return head, err
	}
	return head, snapshot.DataTo(&head)
}

func (s *Store) removeParts(tx *firestore.Transaction, instance action.InstanceID, host action.HostName, old hostDoc) error {
	v := versionOf(string(host), old)
	for _, ref := range append(s.partRefs(instance, v, ofNames, v.NameParts), s.partRefs(instance, v, ofTypes, v.TypeParts)...) {
		if err := tx.Delete(ref); err != nil {
			return err
		}
	}
	return nil
}

func versionOf(host string, doc hostDoc) action.HostVersion {
	return action.HostVersion{Host: action.HostName(host), Changed: doc.Changed, Version: doc.Version, NameParts: doc.Names, TypeParts: doc.Types}
}

// Hosts reads which hosts have set their parts, by name.
func (s *Store) Hosts(ctx context.Context, instance action.InstanceID) ([]action.HostVersion, error) {
	snapshot, err := s.catalogueHead(instance).Get(ctx)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, mapError("read hosts", err)
	}
	var head headDoc
	if err := snapshot.DataTo(&head); err != nil {
		return nil, fmt.Errorf("catalogue head: %w", err)
	}
	var hosts []action.HostVersion
	for host, doc := range head.Hosts {
		hosts = append(hosts, versionOf(host, doc))
	}
	slices.SortFunc(hosts, func(a, b action.HostVersion) int { return cmp.Compare(a.Host, b.Host) })
	return hosts, nil
}

// HostNames reads all hosts' names, each of them as it was set at one time. Those that are among the known in the same version are not read.
func (s *Store) HostNames(ctx context.Context, instance action.InstanceID, known []action.HostNames) ([]action.HostNames, error) {
	var err error
	for range rereads {
		var hosts []action.HostVersion
		if hosts, err = s.Hosts(ctx, instance); err != nil {
			return nil, err
		}
		all := make([]action.HostNames, len(hosts))
		for i, v := range hosts {
			if all[i], err = s.hostNames(ctx, instance, v, known); err != nil {
				break
			}
		}
		if !errs.Is(err, errs.NotFound) {
			return all, err
		}
	}
	return nil, errUnavailable.Because(err)
}

func (s *Store) hostNames(ctx context.Context, instance action.InstanceID, v action.HostVersion, known []action.HostNames) (action.HostNames, error) {
	for _, k := range known {
		if k.Host == v.Host && k.Version == v.Version {
			k.HostVersion = v
			return k, nil
		}
	}
	text, err := s.readParts(ctx, s.partRefs(instance, v, ofNames, v.NameParts))
	if err != nil {
		return action.HostNames{}, err
	}
	var names namesText
	if err := json.Unmarshal(text, &names); err != nil {
		return action.HostNames{}, fmt.Errorf("names of host %s: %w", v.Host, err)
	}
	return action.HostNames{HostVersion: v, Names: names.Names, Described: names.Described}, nil
}

// HostTypes reads the message types of a host's part, a FileDescriptorSet: nil if it has none, NotFound if the part was replaced.
func (s *Store) HostTypes(ctx context.Context, instance action.InstanceID, v action.HostVersion) ([]byte, error) {
	if v.TypeParts == 0 {
		return nil, nil
	}
	return s.readParts(ctx, s.partRefs(instance, v, ofTypes, v.TypeParts))
}

func (s *Store) readParts(ctx context.Context, refs []*firestore.DocumentRef) ([]byte, error) {
	snapshots, err := s.client.GetAll(ctx, refs)
	if err != nil {
		return nil, mapError("read catalogue", err)
	}
	var all bytes.Buffer
	for _, snapshot := range snapshots {
		if !snapshot.Exists() {
			return nil, errPartMissing
		}
		var doc partDoc
		if err := snapshot.DataTo(&doc); err != nil {
			return nil, fmt.Errorf("catalogue document %s: %w", snapshot.Ref.ID, err)
		}
		all.Write(doc.Data)
	}
	return all.Bytes(), nil
}

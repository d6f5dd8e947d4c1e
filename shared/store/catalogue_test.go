package store

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// partOf is one whose names and types all say n, of a size that takes several documents.
func partOf(n, size int) action.HostPart {
	var events []string
	for i := range size / 100 {
		events = append(events, fmt.Sprintf("order%d.e%06d.%s", n, i, strings.Repeat("x", 80)))
	}
	return action.HostPart{Names: action.Names{Events: events, Services: []string{"a.A"}, Methods: []string{"/a.A/M"}}, Described: []string{"a.A"},
		Types: bytes.Repeat([]byte{byte(n)}, size)}
}

func (s *Store) hostsAre(t *testing.T, want map[action.HostName]action.HostPart) {
	t.Helper()
	hosts, err := s.HostNames(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[action.HostName]action.HostPart{}
	for _, h := range hosts {
		types, err := s.HostTypes(t.Context(), here, h.HostVersion)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Host] = action.HostPart{Names: h.Names, Described: h.Described, Types: types}
	}
	if !reflect.DeepEqual(want, got) { // a difference between parts this large takes long to find, and nobody could read it
		t.Errorf("%d hosts, want %d, and each whole", len(got), len(want))
	}
}

func (s *Store) partDocuments(t *testing.T) int {
	t.Helper()
	all, err := s.collection(here, catalogueParts).Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestHostPartsAreReplacedWhole(t *testing.T) {
	s := open(t, nil)
	var told []action.Change
	s.OnChange = func(c ...action.Change) { told = append(told, c...) }
	large, small := partOf(1, 4<<20), partOf(2, 100)
	first, err := s.SetHost(t.Context(), here, "orders", large)
	if err != nil || first.IsZero() {
		t.Fatal(first, err)
	}
	if _, err := s.SetHost(t.Context(), here, "a.b-c", small); err != nil {
		t.Fatal(err)
	}
	s.hostsAre(t, map[action.HostName]action.HostPart{"orders": large, "a.b-c": small})
	if again, err := s.SetHost(t.Context(), here, "orders", large); err != nil || !again.Equal(first) {
		t.Errorf("the same again: %v %v, want %v", again, err, first)
	}
	if _, err := s.SetHost(t.Context(), here, "orders", small); err != nil {
		t.Fatal(err)
	}
	s.hostsAre(t, map[action.HostName]action.HostPart{"orders": small, "a.b-c": small})
	if n := s.partDocuments(t); n != 4 {
		t.Errorf("%d documents of parts are left, want 4", n)
	}
	if removed, err := s.RemoveHost(t.Context(), here, "orders"); err != nil || removed.IsZero() {
		t.Error(removed, err)
	}
	if removed, err := s.RemoveHost(t.Context(), here, "orders"); err != nil || !removed.IsZero() {
		t.Error("removed twice:", removed, err)
	}
	s.hostsAre(t, map[action.HostName]action.HostPart{"a.b-c": small})
	if n := s.partDocuments(t); n != 2 {
		t.Errorf("%d documents of parts are left, want 2", n)
	}
	if elsewhere, err := s.Hosts(t.Context(), "there"); err != nil || len(elsewhere) != 0 {
		t.Errorf("another instance has %v %v", elsewhere, err)
	}
	if last := told[len(told)-1]; len(told) != 4 || last.Kind != action.ChangeCatalogue || last.ID != "orders" {
		t.Errorf("told was %v", told)
	}
	changes, _, err := s.Changes(t.Context(), first.AddDate(0, 0, -1))
	if err != nil || len(changes) != 4 {
		t.Errorf("the feed has %v %v", changes, err)
	}
}

func TestHostPartLimits(t *testing.T) {
	s := open(t, nil)
	if _, err := s.SetHost(t.Context(), here, "h", action.HostPart{Types: make([]byte, maxPart)}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := s.SetHost(t.Context(), here, "h", action.HostPart{Types: make([]byte, maxPart-100)}); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	for i := range action.MaxHosts - 1 {
		if _, err := s.SetHost(t.Context(), here, action.HostName(fmt.Sprint("h", i)), partOf(i, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SetHost(t.Context(), here, "one-more", partOf(0, 0)); !errors.Is(err, errHosts) {
		t.Errorf("one more host: %v", err)
	}
	if _, err := s.SetHost(t.Context(), here, "h1", partOf(7, 0)); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}

// TestReadersSeeWholeParts: while a part is replaced, each reader sees the one or the other.
func TestReadersSeeWholeParts(t *testing.T) {
	s := open(t, nil)
	versions := []action.HostPart{partOf(1, 1<<20), partOf(2, 2<<20)}
	if _, err := s.SetHost(t.Context(), here, "h", versions[0]); err != nil {
		t.Fatal(err)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := range 20 {
			if _, err := s.SetHost(t.Context(), here, "h", versions[(i+1)%2]); err != nil {
				t.Error(err)
			}
		}
	})
	done := make(chan struct{})
	go func() { writer.Wait(); close(done) }()
	for reads := 0; ; reads++ {
		hosts, err := s.HostNames(t.Context(), here, nil)
		if errs.Is(err, errs.Unavailable) { // replaced again and again
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := hosts[0].Names.Events; !slices.Equal(got, versions[0].Names.Events) && !slices.Equal(got, versions[1].Names.Events) {
			t.Fatalf("read %d: half a part of %d events", reads, len(got))
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestHeadKeepsWhatANewerVersionWrote(t *testing.T) {
	s := open(t, nil)
	newer := map[string]any{"hosts": map[string]any{"h": map[string]any{"version": "v", "names": 0, "types": 0, "color": "red"}}, "more": 1}
	if _, err := s.catalogueHead(here).Set(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetHost(t.Context(), here, "other", partOf(1, 0)); err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.catalogueHead(here).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	more, _ := snapshot.DataAt("more")
	color, _ := snapshot.DataAtPath(firestore.FieldPath{"hosts", "h", "color"})
	if more != int64(1) || color != "red" {
		t.Errorf("left are %v", snapshot.Data())
	}
}

package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/callout-dev/callout/infra"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/store"
)

const (
	nextFirestore = "Is it there, and do GOOGLE_CLOUD_PROJECT, CALLOUT_DATABASE and FIRESTORE_EMULATOR_HOST name it? " +
		"Who runs this must be able to read it (roles/datastore.viewer)."
	nextCredentials = "Log in for programs (gcloud auth application-default login), or name a key file in GOOGLE_APPLICATION_CREDENTIALS."
	nextIndexes     = "Make those of infra/firestore.indexes.json (scripts/deploy does), and wait until they are ready."
	nextSealKeys    = "Put the missing key back into CALLOUT_SEAL_KEYS of every function: without it, what it has sealed is lost."
)

// database opens it and reads.
func database(ctx context.Context, p *Patient) Finding {
	switch {
	case !p.known():
		return skipped("it is not known where it is")
	case p.Local && p.Config.FirestoreHost == "":
		return skipped("the server on this machine has no port for it")
	}
	opened, err := env.OpenDatabase(context.WithoutCancel(ctx), p.Config, p.Services, slog.New(slog.DiscardHandler))
	if err != nil {
		return failed(nextCredentials, "%s", reason(err))
	}
	p.closers = append(p.closers, opened.Close)
	began := time.Now()
	if err := opened.Store.Ping(ctx); err != nil {
		return failed(nextFirestore, "%s: %s", place(p.Config.FirestoreHost, p.Config.Database()), reason(err))
	}
	p.store = opened.Store
	return fine("%s answers in %s", place(p.Config.FirestoreHost, p.Config.Database()), time.Since(began).Round(time.Millisecond))
}

// place is where a service is.
func place(host, name string) string {
	if host == "" {
		return name
	}
	return name + " at " + host
}

// indexes asks for what each index is there for.
func indexes(ctx context.Context, p *Patient) Finding {
	if p.store == nil {
		return skipped("Firestore does not answer")
	}
	all, err := wantedIndexes()
	if err != nil {
		return failed("This is a mistake of callout's.", "%v", err)
	}
	var missing []string
	for _, x := range all {
		err := p.store.Probe(ctx, x)
		switch {
		case errs.Is(err, errs.FailedPrecondition):
			missing = append(missing, nameOf(x))
		case err != nil:
			return failed(nextFirestore, "%s: %s", nameOf(x), reason(err))
		}
	}
	if len(missing) > 0 {
		return failed(nextIndexes, "%d of %d are not there, or not ready: %s", len(missing), len(all), strings.Join(missing, "; "))
	}
	return fine("all %d answer", len(all))
}

// wantedIndexes are those of infra/firestore.indexes.json.
func wantedIndexes() ([]store.Index, error) {
	type field struct{ FieldPath, Order, QueryScope string }
	var file struct {
		Indexes []struct {
			CollectionGroup, QueryScope string
			Fields                      []field
		}
		FieldOverrides []struct {
			CollectionGroup, FieldPath string
			Indexes                    []field
		}
	}
	if err := json.Unmarshal(infra.FirestoreIndexes(), &file); err != nil {
		return nil, fmt.Errorf("read the list of indexes: %w", err)
	}
	const everywhere, descending = "COLLECTION_GROUP", "DESCENDING"
	var all []store.Index
	for _, i := range file.Indexes {
		x := store.Index{Collection: i.CollectionGroup, Everywhere: i.QueryScope == everywhere}
		for _, f := range i.Fields {
			x.Fields = append(x.Fields, store.IndexField{Path: f.FieldPath, Descending: f.Order == descending})
		}
		all = append(all, x)
	}
	for _, o := range file.FieldOverrides {
		for _, i := range o.Indexes {
			all = append(all, store.Index{Collection: o.CollectionGroup, Everywhere: i.QueryScope == everywhere,
				Fields: []store.IndexField{{Path: o.FieldPath, Descending: i.Order == descending}}})
		}
	}
	return all, nil
}

func nameOf(x store.Index) string {
	var fields []string
	for _, f := range x.Fields {
		if f.Descending {
			f.Path += " descending"
		}
		fields = append(fields, f.Path)
	}
	return x.Collection + " by " + strings.Join(fields, ", ")
}

// sealKeys opens everything that is sealed.
func sealKeys(ctx context.Context, p *Patient) Finding {
	switch {
	case p.store == nil:
		return skipped("Firestore does not answer")
	case p.Config.SealKeys == "" && p.Local:
		return failed("Put the file back: without it the secrets in the data cannot be read.", "there is no seal.key in the data folder, and CALLOUT_SEAL_KEYS is not set")
	case p.Config.SealKeys == "":
		return skipped("CALLOUT_SEAL_KEYS is not set here")
	}
	var first string
	r, err := p.store.Reseal(ctx, store.Reseal{DryRun: true, Unreadable: func(document string, err error) {
		if first == "" {
			first = document + ": " + err.Error()
		}
	}})
	values := 0
	for _, n := range r.Keys {
		values += n
	}
	switch {
	case r.Unreadable > 0:
		return failed(nextSealKeys, "%d of %d values cannot be opened; the first is %s", r.Unreadable, values, oneLine(first))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return warning(`"callout reseal --dry-run" takes the time that it needs.`, "the first %d values open, and there was no time for the rest", values)
	case err != nil:
		return failed(nextFirestore, "%s", reason(err))
	case r.Stale > 0:
		return warning(`"callout reseal" seals them with the first key; until then keep the others.`,
			"all %d values open, %d of them with another key than the first", values, r.Stale)
	case values == 0:
		return fine("nothing is sealed yet")
	}
	return fine("all %d values open, with the key %s", values, oneLine(strings.Join(slices.Sorted(maps.Keys(r.Keys)), ", ")))
}

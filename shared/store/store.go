// Package store keeps the configuration in Firestore: targets with their public keys, executions, and the names that hosts add to the
// catalogue, under instances/{instance}. Secrets are sealed before they leave the process. What changes is added to the feed
// instances/{instance}/changes in the same commit, from which other processes learn of it, and which is the outbox of the events that say so
// outside.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	documents "cloud.google.com/go/firestore/apiv1"
	lru "github.com/hashicorp/golang-lru/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// Sealer makes secrets unreadable at rest; the place is the field that the secret belongs to.
type Sealer interface {
	Seal(place, value string) (string, error)
	Open(place, sealed string) (string, error)
	// Reseal seals what is sealed with the present key, and gives back what is so already.
	Reseal(place, sealed string) (string, error)
}

// Store reads and writes the configuration.
type Store struct {
	// OnChange is told of what this store wrote, after the commit and also when it is not known what became of it; nil: nobody is. Set
	// it before the first write.
	OnChange func(...action.Change)
	// Publish puts events on the events topic, and returns when the queue has all of them. Set it before the first write; nil leaves what
	// changes say in the outbox.
	Publish func(context.Context, ...action.Occurrence) error
	// Log is told of events that could not be published at once; nil is slog's default.
	Log *slog.Logger

	user      string
	client    *firestore.Client
	raw       *documents.Client
	documents string // projects/{p}/databases/{d}/documents
	sealer    Sealer
	totals    *lru.Cache[totalOf, total]
}

// New makes a store in client's database. Raw reaches the same one: it tells when an empty answer was read.
func New(client *firestore.Client, raw *documents.Client, sealer Sealer) *Store {
	return &Store{
		client: client, raw: raw, documents: strings.TrimSuffix(client.Collection(instances).Path, "/"+instances), sealer: sealer,
		totals: newTotals(),
	}
}

// By is the same store, and what is written through it was done by that user.
func (s *Store) By(user string) *Store {
	by := *s
	by.user = user
	return &by
}

const instances = "instances"

func (s *Store) collection(instance action.InstanceID, name string) *firestore.CollectionRef {
	return s.client.Collection(instances).Doc(string(instance)).Collection(name)
}

// What callers are told of a database that does not do its work.
var (
	errFull        = errs.New(errs.Unavailable, "", "the database takes no writes, for want of disk or quota; reads go on")
	errUnavailable = errs.New(errs.Unavailable, "", "the database does not answer or takes no writes; nothing was changed, as far as is known; try again")
)

// now is the current time as Firestore keeps it: to the microsecond.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// transactTime bounds a transaction with all its retries: a database that refuses writes for a while is asked again and again until then.
const transactTime = 10 * time.Second

// transact runs fn in a transaction, again when it loses against another one. When the answer to a commit is lost, the client sends the
// commit once more and is told that the transaction is over: it is not known then what became of it.
func (s *Store) transact(ctx context.Context, operation string, fn func(context.Context, *firestore.Transaction) error) error {
	ctx, cancel := context.WithTimeout(ctx, transactTime)
	defer cancel()
	err := s.client.RunTransaction(ctx, fn)
	if _, ours := errs.As(err); !ours && status.Code(err) == codes.InvalidArgument { // we send none that are invalid in themselves
		return errUnavailable.Because(fmt.Errorf("%s: a commit's answer was lost, and it was sent again: %w", operation, err))
	}
	return mapError(operation, err)
}

// mapError is where Firestore's statuses become kinds; errors that have one already stay as they are.
func mapError(operation string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errs.As(err); ok {
		return err
	}
	kind := errs.Internal
	switch status.Code(err) {
	case codes.NotFound:
		kind = errs.NotFound
	case codes.AlreadyExists:
		kind = errs.AlreadyExists
	case codes.ResourceExhausted:
		return errFull.Because(fmt.Errorf("%s: %w", operation, err))
	case codes.Unavailable, codes.Aborted, codes.DeadlineExceeded:
		return errUnavailable.Because(fmt.Errorf("%s: %w", operation, err))
	case codes.Canceled:
		kind = errs.Canceled
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errUnavailable.Because(fmt.Errorf("%s: %w", operation, err))
	}
	return errs.New(kind, "", operation).Because(err)
}

// missing says whether a read found nothing.
func missing(err error) bool { return status.Code(err) == codes.NotFound }

// placeOf reads instance and id from a document's name: …/documents/instances/{instance}/{collection}/{id}.
func placeOf(name string) (action.InstanceID, string) {
	_, rest, _ := strings.Cut(name, "/documents/"+instances+"/")
	instance, _, _ := strings.Cut(rest, "/")
	return action.InstanceID(instance), name[strings.LastIndexByte(name, '/')+1:]
}

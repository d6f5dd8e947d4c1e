package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

const sessions = "sessions"

var errNoSession = errs.New(errs.NotFound, "", "there is no such session, or it is over")

// sessionDoc is a session as stored. Its document's name is a hash of its reference: who reads the database cannot use what is there.
type sessionDoc struct {
	Sealed string `firestore:"sealed"`
	// Expires is the field by which the database removes documents in its own time.
	Expires time.Time `firestore:"expireAt"`
}

func (s *Store) session(instance action.InstanceID, reference string) *firestore.DocumentRef {
	sum := sha256.Sum256([]byte(reference))
	return s.collection(instance, sessions).Doc(hex.EncodeToString(sum[:]))
}

func placeOfSession(ref *firestore.DocumentRef) string {
	return instances + "/" + ref.Parent.Parent.ID + "/" + sessions + "/" + ref.ID + "#sealed"
}

// PutSession keeps what belongs to a signed-in browser under a reference that nobody can guess, sealed, until it expires.
func (s *Store) PutSession(ctx context.Context, instance action.InstanceID, reference, content string, expires time.Time) error {
	ref := s.session(instance, reference)
	sealed, err := s.sealer.Seal(placeOfSession(ref), content)
	if err != nil {
		return err
	}
	_, err = ref.Set(ctx, sessionDoc{Sealed: sealed, Expires: expires.UTC()})
	return mapError("keep session", err)
}

// ReplaceSession changes what belongs to a session. NotFound where it has ended: who signs out meanwhile stays signed out.
func (s *Store) ReplaceSession(ctx context.Context, instance action.InstanceID, reference, content string) error {
	ref := s.session(instance, reference)
	sealed, err := s.sealer.Seal(placeOfSession(ref), content)
	if err != nil {
		return err
	}
	_, err = ref.Update(ctx, []firestore.Update{{Path: "sealed", Value: sealed}})
	if missing(err) {
		return errNoSession
	}
	return mapError("replace session", err)
}

// Session gives what was kept, and until when. NotFound where there is nothing, where its time is over, and where it does not open: it was
// sealed with a key that is gone.
func (s *Store) Session(ctx context.Context, instance action.InstanceID, reference string) (string, time.Time, error) {
	ref := s.session(instance, reference)
	snapshot, err := ref.Get(ctx)
	if missing(err) {
		return "", time.Time{}, errNoSession
	}
	var doc sessionDoc
	if err == nil {
		err = snapshot.DataTo(&doc)
	}
	if err != nil {
		return "", time.Time{}, mapError("read session", err)
	}
	if !time.Now().Before(doc.Expires) {
		return "", time.Time{}, errNoSession
	}
	content, err := s.sealer.Open(placeOfSession(ref), doc.Sealed)
	if err != nil {
		return "", time.Time{}, errNoSession.Because(err)
	}
	return content, doc.Expires, nil
}

// RemoveSession ends a session. One that is not there has ended already.
func (s *Store) RemoveSession(ctx context.Context, instance action.InstanceID, reference string) error {
	_, err := s.session(instance, reference).Delete(ctx)
	return mapError("remove session", err)
}

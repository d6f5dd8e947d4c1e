package store

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// webKeys has one document for an instance, with all its keys: so they change in one write.
const webKeys = "webKeys"

// maxDueWebKeys is how many instances' keys one sweep rotates.
const maxDueWebKeys = 100

// webKeysDoc is the keys as stored.
type webKeysDoc struct {
	Keys []webKeyDoc `firestore:"keys"`
	// Due is when the next one should be published.
	Due time.Time `firestore:"due"`
}

type webKeyDoc struct {
	ID        string `firestore:"id"`
	Algorithm string `firestore:"algorithm"`
	// Public is PKIX, Sealed holds PKCS #8.
	Public  []byte    `firestore:"public"`
	Sealed  string    `firestore:"sealed"`
	Created time.Time `firestore:"created"`
	Signs   time.Time `firestore:"signs"`
	Ends    time.Time `firestore:"ends,omitempty"`
}

func (s *Store) webKeys(instance action.InstanceID) *firestore.DocumentRef {
	return s.collection(instance, webKeys).Doc(action.WebKeysID)
}

// webKeyPlace is what a web key is sealed for.
func webKeyPlace(instance action.InstanceID, id action.WebKeyID) string {
	return "instances/" + string(instance) + "/webKeys/" + string(id)
}

// WebKeys reads an instance's web keys; none where none were made. Those that are among the known are not opened again. One whose private
// part cannot be opened is there with its Err.
func (s *Store) WebKeys(ctx context.Context, instance action.InstanceID, known action.WebKeys) (action.WebKeys, error) {
	snapshot, err := s.webKeys(instance).Get(ctx)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, mapError("read web keys", err)
	}
	doc, err := decodeWebKeys(snapshot)
	if err != nil {
		return nil, err
	}
	return s.openWebKeys(instance, doc, known)
}

// AddWebKey publishes a further key if they want one, and gives the keys as they are then. Two that do so at once add one key: want is
// asked again in the transaction. The key is made before it, for that takes long.
func (s *Store) AddWebKey(ctx context.Context, instance action.InstanceID,
	want func(action.WebKeys, time.Time) bool) (action.WebKeys, error) {
	keys, err := s.WebKeys(ctx, instance, nil)
	if err != nil || !want(keys, now()) {
		return keys, err
	}
	fresh, err := action.NewWebKey(now())
	if err != nil {
		return nil, fmt.Errorf("make web key: %w", err)
	}
	added, err := s.encodeWebKey(instance, fresh)
	if err != nil {
		return nil, err
	}
	change := action.Change{Instance: instance, Kind: action.ChangeWebKeys, ID: action.WebKeysID}
	err = s.change(ctx, "add web key", change, func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		var doc webKeysDoc
		snapshot, err := tx.Get(s.webKeys(instance))
		if err == nil {
			doc, err = decodeWebKeys(snapshot)
		} else if missing(err) {
			err = nil
		}
		if err != nil {
			return nil, err
		}
		if keys, err = s.openWebKeys(instance, doc, keys); err != nil {
			return nil, err
		}
		if at := now(); want(keys, at) {
			keys = keys.Rotate(fresh, at)
		} else {
			return nil, nil
		}
		return new(action.ConfigEvent{}), tx.Set(s.webKeys(instance), doc.next(keys, added), firestore.Merge([]string{"keys"}, []string{"due"}))
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// next is the document of keys of which one is new.
func (d webKeysDoc) next(keys action.WebKeys, added webKeyDoc) webKeysDoc {
	docs := map[string]webKeyDoc{added.ID: added}
	for _, doc := range d.Keys {
		docs[doc.ID] = doc
	}
	next := webKeysDoc{Due: keys.Due()}
	for _, k := range keys {
		doc := docs[string(k.ID)]
		doc.Signs, doc.Ends = k.Signs, k.Ends
		next.Keys = append(next.Keys, doc)
	}
	return next
}

// RotateOldWebKeys publishes the next key wherever it is time for it. What fails for one instance does not keep the others from it.
func (s *Store) RotateOldWebKeys(ctx context.Context) error {
	due := s.client.CollectionGroup(webKeys).Where("due", "<=", now()).OrderBy("due", firestore.Asc).Limit(maxDueWebKeys)
	var instances []action.InstanceID
	err := each(ctx, due.Select(), func(snapshot *firestore.DocumentSnapshot) error {
		instances = append(instances, action.InstanceID(snapshot.Ref.Parent.Parent.ID))
		return nil
	})
	if err != nil {
		return mapError("read old web keys", err)
	}
	var failed []error
	for _, instance := range instances {
		keys, err := s.AddWebKey(ctx, instance, action.WebKeys.Old)
		if err != nil {
			failed = append(failed, fmt.Errorf("instance %s: %w", instance, err))
			continue
		}
		s.log().InfoContext(ctx, "web keys rotated for their age", "instance", instance, "keys", len(keys))
	}
	return errors.Join(failed...)
}

func (s *Store) encodeWebKey(instance action.InstanceID, k action.WebKey) (webKeyDoc, error) {
	public, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return webKeyDoc{}, fmt.Errorf("encode web key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.Private.Signer())
	if err != nil {
		return webKeyDoc{}, fmt.Errorf("encode web key: %w", err)
	}
	sealed, err := s.sealer.Seal(webKeyPlace(instance, k.ID), string(private))
	if err != nil {
		return webKeyDoc{}, fmt.Errorf("seal web key: %w", err)
	}
	return webKeyDoc{ID: string(k.ID), Algorithm: k.Algorithm, Public: public, Sealed: sealed, Created: k.Created, Signs: k.Signs}, nil
}

func decodeWebKeys(snapshot *firestore.DocumentSnapshot) (webKeysDoc, error) {
	var doc webKeysDoc
	if err := snapshot.DataTo(&doc); err != nil {
		return doc, fmt.Errorf("web keys document: %w", err)
	}
	return doc, nil
}

func (s *Store) openWebKeys(instance action.InstanceID, doc webKeysDoc, known action.WebKeys) (action.WebKeys, error) {
	opened := map[action.WebKeyID]action.WebKey{}
	for _, k := range known {
		if k.Err == nil {
			opened[k.ID] = k
		}
	}
	var keys action.WebKeys
	for _, d := range doc.Keys {
		k, ok := opened[action.WebKeyID(d.ID)]
		if !ok {
			var err error
			if k, err = s.openWebKey(instance, d); err != nil {
				return nil, err
			}
		}
		k.Signs, k.Ends = d.Signs, d.Ends
		keys = append(keys, k)
	}
	return keys, nil
}

func (s *Store) openWebKey(instance action.InstanceID, d webKeyDoc) (action.WebKey, error) {
	k := action.WebKey{ID: action.WebKeyID(d.ID), Algorithm: d.Algorithm, Created: d.Created}
	var err error
	if k.Public, err = x509.ParsePKIXPublicKey(d.Public); err != nil {
		return k, errs.New(errs.Internal, "", "read web keys").Because(fmt.Errorf("web key %s: %w", d.ID, err))
	}
	if k.Private, err = s.openPrivate(instance, k, d.Sealed); err != nil {
		k.Err = fmt.Errorf("web key %s: %w", d.ID, err)
	}
	return k, nil
}

// openPrivate opens the private part, which must be that of the public one: it is what receivers verify with.
func (s *Store) openPrivate(instance action.InstanceID, k action.WebKey, sealed string) (action.PrivateKey, error) {
	text, err := s.sealer.Open(webKeyPlace(instance, k.ID), sealed)
	if err != nil {
		return action.PrivateKey{}, err
	}
	private, err := x509.ParsePKCS8PrivateKey([]byte(text))
	if err != nil {
		return action.PrivateKey{}, errors.New("the sealed value is not a private key") // the error might quote it
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return action.PrivateKey{}, errors.New("the sealed key cannot sign")
	}
	if public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(k.Public) {
		return action.PrivateKey{}, errors.New("the private key is not that of the public one")
	}
	return action.Hide(signer), nil
}

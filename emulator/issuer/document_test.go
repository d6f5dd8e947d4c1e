package issuer

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// What decodes can be written and decodes again to the same; everything else is an error, never a panic.
func FuzzDocument(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	doc, err := newDocument(func() (*rsa.PrivateKey, error) { return key, nil })
	if err != nil {
		f.Fatal(err)
	}
	good, err := json.Marshal(doc)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{good, nil, []byte("{}"), []byte(`{"version":1}`), []byte(`{"version":1,"keys":[{}]}`),
		bytes.Replace(good, []byte(`"version":1`), []byte(`"version":1,"revoked":{"x":"2030-01-01T00:00:00Z"}`), 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := decodeDocument(data)
		if err != nil {
			return
		}
		first, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeDocument(first)
		if err != nil {
			t.Fatalf("decode what was written: %v", err)
		}
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(first, second) {
			t.Errorf("error %v, first %s, then %s", err, first, second)
		}
	})
}

func TestSecretsAreRandomAndOfPlainCharacters(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		s := random()
		if len(s) != 43 || !isToken(s, minSecret) || seen[s] {
			t.Fatalf("%q", s)
		}
		seen[s] = true
	}
}

func TestRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newRequests()
		first := q.add(request{})
		time.Sleep(time.Second)
		for range maxRequests - 1 {
			q.add(request{})
		}
		if _, err := q.get(first.id); err != nil {
			t.Fatal("the first one went too early")
		}
		last := q.add(request{})
		if _, err := q.get(first.id); err == nil {
			t.Error("the oldest is still there")
		}
		if _, err := q.get(last.id); err != nil {
			t.Error("the newest is not there")
		}
		time.Sleep(requestLifetime)
		q.add(request{})
		if len(q.byID) != 1 || len(q.code) != 0 {
			t.Errorf("%d requests and %d codes are left of those that have expired", len(q.byID)-1, len(q.code))
		}
	})
}

// The code is replayed after it was redeemed and before its token is made: the token is never given out.
func TestReplayDuringRedemption(t *testing.T) {
	q := newRequests()
	r := q.add(request{})
	if _, err := q.signIn(r.id, "admin"); err != nil {
		t.Fatal(err)
	}
	if err := q.saveCode(r.id, "code"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.redeem("code"); err != nil {
		t.Fatal(err)
	}
	if _, stolen, err := q.redeem("code"); err == nil || stolen {
		t.Errorf("second redemption: error %v, stolen %v, want an error and nothing to revoke yet", err, stolen)
	}
	if err := q.issued(r.id, "token", time.Now().Add(time.Hour)); err == nil {
		t.Error("the token is given out")
	}
}

func TestRevocationsAreBoundedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		s, err := openState("", func() (*rsa.PrivateKey, error) { return key, nil })
		if err != nil {
			t.Fatal(err)
		}
		end := time.Now().Add(time.Hour)
		if err := s.change(func(doc *document) error {
			doc.Revoked = map[string]time.Time{}
			for n := range maxRevoked - 1 {
				doc.Revoked[fmt.Sprint(n)] = end
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.revoke("the last one", end); err != nil || !s.revoked("the last one") {
			t.Fatalf("the last one: %v", err)
		}
		if err := s.revoke("one more", end); err == nil || s.revoked("one more") {
			t.Error("there is no bound")
		}
		time.Sleep(time.Hour)
		if err := s.revoke("later", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if !s.revoked("later") || s.revoked("the last one") || len(s.read().Revoked) != 1 {
			t.Errorf("%d are kept, want the one that is alive", len(s.read().Revoked))
		}
	})
}

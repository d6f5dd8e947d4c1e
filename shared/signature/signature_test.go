package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/callout-dev/callout/shared/signature"
)

type vector struct {
	Name      string            `json:"name"`
	Keys      []string          `json:"keys"`
	Timestamp int64             `json:"timestamp"`
	ID        string            `json:"id"`
	Body      string            `json:"body"`
	Secrets   []string          `json:"secrets"`
	Headers   map[string]string `json:"headers"`
}

// vectors were made with openssl: the code under test has no part in them.
func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(data, &file); err != nil || len(file.Vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	return file.Vectors
}

func (v vector) header() http.Header {
	h := http.Header{}
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	return h
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			at := time.Unix(v.Timestamp, 999_999_999)
			got := http.Header{}
			signature.Sign(got, v.Keys, v.ID, at, []byte(v.Body))
			if diff := cmp.Diff(v.header(), got); diff != "" {
				t.Errorf("signed (-want +got):\n%s", diff)
			}
			var secrets []string
			for _, key := range v.Keys {
				secrets = append(secrets, signature.WebhookSecret(key))
				if err := signature.Verify(v.header(), []string{key}, at, 0, []byte(v.Body)); err != nil {
					t.Errorf("key %s: %v", key, err)
				}
			}
			if diff := cmp.Diff(v.Secrets, secrets); diff != "" {
				t.Errorf("secrets (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReceiversAccept verifies with what receivers have: the Standard Webhooks library, and the reference's rule written out by hand.
func TestReceiversAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, keys := []byte(`{"n":1}`), []string{"newnewnewnewnewnewnewnewnewnewnewnew", "oldoldoldoldoldoldoldoldoldoldoldold"}
		h := http.Header{}
		signature.Sign(h, keys, "evt_1", time.Now(), body)
		for _, key := range keys {
			library, err := standardwebhooks.NewWebhook(signature.WebhookSecret(key))
			if err != nil {
				t.Fatal(err)
			}
			if err := library.Verify(body, h); err != nil {
				t.Errorf("Standard Webhooks, key %s: %v", key, err)
			}
			for _, name := range []string{"ZITADEL-Signature", "X-ZITADEL-Signature"} {
				if !receiverAccepts(h.Get(name), key, body) {
					t.Errorf("%s, key %s: refused", name, key)
				}
			}
		}
		if receiverAccepts(h.Get("ZITADEL-Signature"), "another", body) || receiverAccepts(h.Get("ZITADEL-Signature"), keys[0], []byte(`{"n":2}`)) {
			t.Error("the check by hand accepts anything")
		}
		time.Sleep(time.Hour)
		library, _ := standardwebhooks.NewWebhook(signature.WebhookSecret(keys[0]))
		if err := library.Verify(body, h); err == nil {
			t.Error("the library accepts an old signature")
		}
	})
}

// receiverAccepts is actions-v2.md section 7.1 as a receiver would write it.
func receiverAccepts(header, key string, body []byte) bool {
	parts := strings.Split(header, ",")
	at := strings.TrimPrefix(parts[0], "t=")
	h := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(h, "%s.%s", at, body)
	want := "v1=" + hex.EncodeToString(h.Sum(nil))
	for _, part := range parts[1:] {
		if part == want {
			return true
		}
	}
	return false
}

func TestVerifyRefuses(t *testing.T) {
	v := vectors(t)[0]
	at := time.Unix(v.Timestamp, 0)
	good := v.Headers
	reference := good["ZITADEL-Signature"]
	hexOf := strings.SplitN(reference, "v1=", 2)[1]
	keep := func(h http.Header, names ...string) {
		old := h.Clone()
		clear(h)
		for _, n := range names {
			h.Set(n, old.Get(n))
		}
	}
	tests := []struct {
		name string
		edit func(h http.Header)
		keys []string
		now  time.Time
		body string
		want error
	}{
		{name: "as it came"},
		{name: "only the reference's header", edit: func(h http.Header) { keep(h, "ZITADEL-Signature") }},
		{name: "only the documented one", edit: func(h http.Header) { keep(h, "X-ZITADEL-Signature") }},
		{name: "only Standard Webhooks", edit: func(h http.Header) { keep(h, "webhook-id", "webhook-timestamp", "webhook-signature") }},
		{name: "a second key of the receiver's", keys: []string{"other", v.Keys[0]}},
		{name: "unknown parts", edit: func(h http.Header) { h.Set("ZITADEL-Signature", "v0=ab,"+reference+",v2=cd,v1=zz") }},
		{name: "upper-case hex", edit: func(h http.Header) {
			h.Set("ZITADEL-Signature", strings.Replace(reference, hexOf, strings.ToUpper(hexOf), 1))
		}},
		{name: "five minutes old", now: at.Add(5 * time.Minute)},
		{name: "five minutes early", now: at.Add(-5 * time.Minute)},
		{name: "no header", edit: func(h http.Header) { keep(h) }, want: signature.ErrMissing},
		{name: "another body", body: v.Body + " ", want: signature.ErrMismatch},
		{name: "another key", keys: []string{"other"}, want: signature.ErrMismatch},
		{name: "no key", keys: []string{}, want: signature.ErrMismatch},
		{name: "an empty key beside none", keys: []string{""}, want: signature.ErrMismatch},
		{name: "too old", now: at.Add(5*time.Minute + time.Second), want: signature.ErrTolerance},
		{name: "too early", now: at.Add(-5*time.Minute - time.Second), want: signature.ErrTolerance},
		{name: "another time", edit: func(h http.Header) {
			h.Set("ZITADEL-Signature", strings.Replace(reference, "t=1735787045", "t=1735787046", 1))
		}, want: signature.ErrMismatch},
		{name: "no time", edit: func(h http.Header) { h.Set("ZITADEL-Signature", "v1="+hexOf) }, want: signature.ErrMalformed},
		{name: "a time that is none", edit: func(h http.Header) { h.Set("ZITADEL-Signature", "t=now,v1="+hexOf) }, want: signature.ErrMalformed},
		{name: "the end of time", edit: func(h http.Header) { h.Set("ZITADEL-Signature", "t=9223372036854775807,v1="+hexOf) }, want: signature.ErrTolerance},
		{name: "before time", edit: func(h http.Header) { h.Set("ZITADEL-Signature", "t=-9223372036854775808,v1="+hexOf) }, want: signature.ErrTolerance},
		{name: "no signature in it", edit: func(h http.Header) { h.Set("ZITADEL-Signature", "t=1735787045") }, want: signature.ErrMismatch},
		{name: "half a signature", edit: func(h http.Header) { h.Set("ZITADEL-Signature", "t=1735787045,v1="+hexOf[:32]) }, want: signature.ErrMismatch},
		{name: "an empty signature", edit: func(h http.Header) { h.Set("ZITADEL-Signature", "t=1735787045,v1=") }, want: signature.ErrMismatch},
		{name: "a part without a name", edit: func(h http.Header) { h.Set("ZITADEL-Signature", reference+",x") }, want: signature.ErrMalformed},
		{name: "a good reference beside a bad standard one", edit: func(h http.Header) { h.Set("webhook-signature", "v1,AAAA") }, want: signature.ErrMismatch},
		{name: "another id", edit: func(h http.Header) { h.Set("webhook-id", "evt_2") }, want: signature.ErrMismatch},
		{name: "no id", edit: func(h http.Header) { h.Del("webhook-id") }, want: signature.ErrMalformed},
		{name: "no version", edit: func(h http.Header) { h.Set("webhook-signature", "AAAA") }, want: signature.ErrMalformed},
		{name: "another version", edit: func(h http.Header) {
			h.Set("webhook-signature", strings.Replace(good["webhook-signature"], "v1,", "v1a,", 1))
		}, want: signature.ErrMismatch},
		{name: "a standard time that differs", edit: func(h http.Header) { h.Set("webhook-timestamp", "1735787046") }, want: signature.ErrMismatch},
		{name: "a standard time that is old", edit: func(h http.Header) { h.Set("webhook-timestamp", "1") }, want: signature.ErrTolerance},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, keys, now, body := v.header(), tt.keys, tt.now, tt.body
			if tt.edit != nil {
				tt.edit(h)
			}
			if keys == nil {
				keys = v.Keys
			}
			if now.IsZero() {
				now = at
			}
			if body == "" {
				body = v.Body
			}
			if err := signature.Verify(h, keys, now, 0, []byte(body)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestEmptyKeyCannotSign(t *testing.T) {
	h, now := http.Header{}, time.Unix(1735787045, 0)
	signature.Sign(h, []string{""}, "a", now, []byte("x"))
	if err := signature.Verify(h, []string{"", "real"}, now, 0, []byte("x")); !errors.Is(err, signature.ErrMismatch) {
		t.Errorf("a receiver whose key is not set accepts anybody: %v", err)
	}
}

func TestToleranceIsTheReceivers(t *testing.T) {
	v := vectors(t)[0]
	late := time.Unix(v.Timestamp, 0).Add(time.Hour)
	if err := signature.Verify(v.header(), v.Keys, late, time.Hour, []byte(v.Body)); err != nil {
		t.Errorf("an hour: %v", err)
	}
	if err := signature.Verify(v.header(), v.Keys, late, time.Minute, []byte(v.Body)); !errors.Is(err, signature.ErrTolerance) {
		t.Errorf("a minute: %v", err)
	}
}

// FuzzVerify: whatever stands in the headers, only what the key has signed passes.
func FuzzVerify(f *testing.F) {
	for _, v := range vectors(f) {
		h := v.Headers
		f.Add(h["ZITADEL-Signature"], h["webhook-id"], h["webhook-timestamp"], h["webhook-signature"], v.Body)
	}
	f.Add("t=1,v1=", "", "", "", "")
	f.Add("", "a", "1", "v1,", "")
	f.Fuzz(func(t *testing.T, reference, id, timestamp, standard, body string) {
		h := http.Header{}
		for name, value := range map[string]string{"ZITADEL-Signature": reference, "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": standard} {
			if value != "" {
				h.Set(name, value)
			}
		}
		err := signature.Verify(h, []string{"a key that has signed none of this"}, time.Unix(1735787045, 0), 1<<62, []byte(body))
		known := errors.Is(err, signature.ErrMissing) || errors.Is(err, signature.ErrMalformed) || errors.Is(err, signature.ErrTolerance) || errors.Is(err, signature.ErrMismatch)
		if !known {
			t.Errorf("got %v", err)
		}
	})
}

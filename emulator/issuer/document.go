package issuer

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// documentVersion is the format of issuer.json that this program writes. It reads version 1 too, which knew no key before its time.
const documentVersion = 2

// minSecret is the least length of a client's secret, in characters.
const minSecret = 32

// document is what issuer.json holds: everything that has to outlive the process.
type document struct {
	Version int         `json:"version"`
	Keys    []storedKey `json:"keys"` // oldest first; the last one whose time has come signs
	// Secrets are those of the confidential clients and the passwords of the users of the same names.
	Secrets        map[string]string `json:"secrets"`
	ServiceAccount storedKey         `json:"serviceAccount"`
	// Revoked are the ids of tokens taken back before their time, and when they would have expired.
	Revoked map[string]time.Time `json:"revoked,omitempty"`
}

type storedKey struct {
	ID  string `json:"id"`
	PEM string `json:"pem"`
	// From is when the key begins to sign; until then it is only published. Zero for the first key of a version 1.
	From time.Time `json:"from,omitzero"`
	// Until is when the last token signed by the key has expired; zero for a key still in use.
	Until time.Time `json:"until,omitzero"`

	private *rsa.PrivateKey
}

// newDocument makes what a first start needs: two keys, one of which signs from now on, and a secret for each account.
func newDocument(newKey func() (*rsa.PrivateKey, error)) (document, error) {
	signing, err := newStoredKey(newKey)
	if err != nil {
		return document{}, err
	}
	service, err := newStoredKey(newKey)
	if err != nil {
		return document{}, err
	}
	signing.From = time.Now().UTC()
	doc := document{Version: documentVersion, Keys: []storedKey{signing}, ServiceAccount: service, Secrets: map[string]string{}}
	for name := range clientRoles {
		doc.Secrets[name] = random()
	}
	return doc, nil
}

func newStoredKey(newKey func() (*rsa.PrivateKey, error)) (storedKey, error) {
	private, err := newKey()
	if err != nil {
		return storedKey{}, fmt.Errorf("generate key: %w", err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}
	return storedKey{ID: random()[:16], PEM: string(pem.EncodeToMemory(block)), private: private}, nil
}

// random is 256 bits in 43 characters out of A-Z a-z 0-9 _ -.
func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// decodeDocument reads issuer.json strictly. No error contains what the file holds.
func decodeDocument(data []byte) (document, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return document{}, errors.New("is damaged: not a JSON object with a version")
	}
	if head.Version < 1 || head.Version > documentVersion {
		return document{}, fmt.Errorf("has version %d, this program knows %d", head.Version, documentVersion)
	}
	var doc document
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil {
		return document{}, errors.New("is damaged: a field is unknown or of the wrong type")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return document{}, errors.New("is damaged: something follows the JSON object")
	}
	if err := doc.parse(); err != nil {
		return document{}, fmt.Errorf("is damaged: %w", err)
	}
	doc.Version = documentVersion
	return doc, nil
}

func (d *document) parse() error {
	if len(d.Keys) == 0 {
		return errors.New("keys: there is none")
	}
	seen := map[string]bool{}
	for i := range d.Keys {
		key := &d.Keys[i]
		if err := key.parse(); err != nil {
			return fmt.Errorf("keys[%d]: %w", i, err)
		}
		if seen[key.ID] {
			return fmt.Errorf("keys[%d]: its id occurs twice", i)
		}
		seen[key.ID] = true
		if i > 0 && key.From.Before(d.Keys[i-1].From) {
			return fmt.Errorf("keys[%d]: begins before the one that it follows", i)
		}
	}
	if !d.Keys[len(d.Keys)-1].Until.IsZero() {
		return errors.New("keys: the last one has retired")
	}
	if err := d.ServiceAccount.parse(); err != nil {
		return fmt.Errorf("serviceAccount: %w", err)
	}
	if len(d.Secrets) != len(clientRoles) {
		return errors.New("secrets: not one for each client")
	}
	for name := range clientRoles {
		if !isToken(d.Secrets[name], minSecret) {
			return fmt.Errorf("secrets: that of %s is not %d or more of A-Z a-z 0-9 _ -", name, minSecret)
		}
	}
	return nil
}

func (k *storedKey) parse() error {
	if !isToken(k.ID, 1) {
		return errors.New("id: not of A-Z a-z 0-9 _ -")
	}
	block, rest := pem.Decode([]byte(k.PEM))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("pem: not one PEM block")
	}
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return errors.New("pem: not an RSA private key")
	}
	if private.N.BitLen() < 2048 {
		return errors.New("pem: a key of less than 2048 bits")
	}
	k.private = private
	return nil
}

// clone is a copy whose keys and revocations may be changed.
func (d document) clone() document {
	d.Keys = slices.Clone(d.Keys)
	d.Revoked = maps.Clone(d.Revoked)
	return d
}

func isToken(s string, least int) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return len(s) >= least
}

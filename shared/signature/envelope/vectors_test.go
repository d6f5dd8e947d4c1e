package envelope_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwe"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/payload"
	"github.com/callout-dev/callout/shared/signature/envelope"
)

var update = flag.Bool("update", false, "write the vectors of payloads anew, with other keys; those of signature headers stay")

const vectorsFile = "../testdata/vectors.json"

// vectorFile is what receivers in other languages can try themselves on.
type vectorFile struct {
	Comment string          `json:"comment"`
	Vectors json.RawMessage `json:"vectors"` // of signature headers: see package signature
	// KeySet is what /oauth/v2/keys answers.
	KeySet json.RawMessage `json:"keySet"`
	// PrivateKeys are a receiver's, PKCS #8 as PEM, by the id of the public key.
	PrivateKeys map[string]string `json:"privateKeys"`
	Payloads    []payloadVector   `json:"payloads"`
	Refused     []payloadVector   `json:"refused"`
}

type payloadVector struct {
	Name string `json:"name"`
	// Form is what the receiver expects: JWT or JWE.
	Form string `json:"form"`
	Body string `json:"body"`
	// Payload is what it finds; absent where it must refuse.
	Payload string `json:"payload,omitempty"`
}

func readVectors(t testing.TB) vectorFile {
	t.Helper()
	text, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

func (f vectorFile) private(t testing.TB) map[string]crypto.PrivateKey {
	t.Helper()
	keys := map[string]crypto.PrivateKey{}
	for id, text := range f.PrivateKeys {
		block, _ := pem.Decode([]byte(text))
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		keys[id] = key
	}
	return keys
}

// open takes a body as a receiver of that form does.
func open(ctx context.Context, form, body string, private map[string]crypto.PrivateKey, keys envelope.Keys) ([]byte, error) {
	if form == "JWE" {
		return envelope.OpenJWE(ctx, []byte(body), private, keys)
	}
	return envelope.VerifyJWT(ctx, []byte(body), keys)
}

// TestVectors: what is to be taken is taken and what is to be refused is refused.
func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	file := readVectors(t)
	keys, err := envelope.ParseKeySet(file.KeySet)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Payloads) < 6 || len(file.Refused) < 12 {
		t.Fatalf("%d and %d vectors", len(file.Payloads), len(file.Refused))
	}
	for _, v := range file.Payloads {
		t.Run(v.Name, func(t *testing.T) {
			if got, err := open(t.Context(), v.Form, v.Body, file.private(t), keys); err != nil || string(got) != v.Payload {
				t.Errorf("%v, got %s", err, got)
			}
		})
	}
	for _, v := range file.Refused {
		t.Run(v.Name, func(t *testing.T) {
			if got, err := open(t.Context(), v.Form, v.Body, file.private(t), keys); err == nil || got != nil {
				t.Errorf("taken: %s", got)
			}
		})
	}
}

// TestAnotherLibraryAgrees opens the vectors with a library that has no part in making them.
func TestAnotherLibraryAgrees(t *testing.T) {
	file := readVectors(t)
	set, err := jwk.Parse(file.KeySet)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Payloads {
		t.Run(v.Name, func(t *testing.T) {
			token := []byte(v.Body)
			if v.Form == "JWE" {
				message, err := jwe.Parse(token)
				if err != nil {
					t.Fatal(err)
				}
				kid, _ := message.ProtectedHeaders().KeyID()
				algorithm := jwa.ECDH_ES_A256KW()
				private := file.private(t)[kid]
				if _, ok := private.(*rsa.PrivateKey); ok {
					algorithm = jwa.RSA_OAEP_256()
				}
				if token, err = jwe.Decrypt(token, jwe.WithKey(algorithm, private)); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := jws.Verify(token, jws.WithKeySet(set)); err != nil || string(got) != v.Payload {
				t.Errorf("%v, got %s", err, got)
			}
		})
	}
}

// TestNode runs the vectors, those of signature headers too, with what Node.js has built in.
func TestNode(t *testing.T) {
	if os.Getenv("CALLOUT_NODE_CLIENTS") == "" {
		t.Skip("set CALLOUT_NODE_CLIENTS=1; it needs node")
	}
	out, err := exec.CommandContext(t.Context(), "node", "../testdata/verify.mjs", vectorsFile).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

type oneKey struct{ action.WebKey }

func (k oneKey) Signing(context.Context, action.InstanceID) (action.WebKey, error) {
	return k.WebKey, nil
}

// maker makes vectors.
type maker struct {
	t    *testing.T
	file vectorFile
	web  action.WebKey
	keys map[string]action.PublicKey
}

func writeVectors(t *testing.T) {
	t.Helper()
	file := readVectors(t)
	web, err := action.NewWebKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	web.ID = "web-key-1"
	m := &maker{t: t, web: web, keys: map[string]action.PublicKey{}}
	m.file = vectorFile{Vectors: file.Vectors, PrivateKeys: map[string]string{}}
	m.file.Comment = "vectors: signature headers of a call, computed with openssl dgst -sha256 -mac HMAC; keys are as the API gives them; body is UTF-8 text, " +
		"signed as it stands. payloads: bodies of calls, made by Callout, and what a receiver that expects this form finds in them with the keys of keySet, and privateKeys " +
		"by the kid of the JWE; refused: bodies that it must not take. verify.mjs runs all of them."
	m.file.KeySet = m.keySet()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	m.must(err)
	m.addKey("rsa-key", rsaKey)
	for name, curve := range map[string]elliptic.Curve{"p256-key": elliptic.P256(), "p384-key": elliptic.P384(), "p521-key": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		m.must(err)
		m.addKey(name, key)
	}
	m.taken()
	m.refused()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	m.must(encoder.Encode(m.file))
	m.must(os.WriteFile(vectorsFile, out.Bytes(), 0o644))
}

func (m *maker) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) keySet() json.RawMessage {
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: m.web.Public, KeyID: string(m.web.ID), Algorithm: m.web.Algorithm, Use: "sig"}}})
	m.must(err)
	return text
}

func (m *maker) addKey(id string, key crypto.Signer) {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	m.must(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	m.must(err)
	m.file.PrivateKeys[id] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	m.keys[id] = action.PublicKey{ID: action.PublicKeyID(id), Active: true, PEM: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})}
}

// make is the body that a target with that key receives; "" is for JWT.
func (m *maker) make(web action.WebKey, key, body string) string {
	target := action.Target{PayloadType: action.PayloadJWT}
	if key != "" {
		target.PayloadType, target.PublicKey = action.PayloadJWE, m.keys[key]
	}
	made, err := payload.Maker{Keys: oneKey{web}}.Make(m.t.Context(), action.DefaultInstance, target, []byte(body))
	m.must(err)
	return string(made)
}

const vectorBody = `{"aggregateID":"404","event_type":"user.human.added","event_payload":{"userName":"kim <ü>","n":12345678901234567890}}`

func (m *maker) taken() {
	add := func(name, form, key, body string) {
		m.file.Payloads = append(m.file.Payloads, payloadVector{name, form, m.make(m.web, key, body), body})
	}
	add("a JWT", "JWT", "", vectorBody)
	add("a JWT of two bytes", "JWT", "", "{}")
	add("a JWE to an RSA key", "JWE", "rsa-key", vectorBody)
	add("a JWE to a key on P-256", "JWE", "p256-key", vectorBody)
	add("a JWE to a key on P-384", "JWE", "p384-key", vectorBody)
	add("a JWE to a key on P-521", "JWE", "p521-key", vectorBody)
}

func (m *maker) refused() {
	add := func(name, form, body string) {
		m.file.Refused = append(m.file.Refused, payloadVector{Name: name, Form: form, Body: body})
	}
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	good, sealed := m.make(m.web, "", vectorBody), m.make(m.web, "p256-key", vectorBody)
	parts, sealedParts := strings.Split(good, "."), strings.Split(sealed, ".")
	foreign, err := action.NewWebKey(time.Now())
	m.must(err)
	add("JSON as it is", "JWT", vectorBody)
	add("nothing", "JWT", "")
	add("an algorithm of none", "JWT", encoded(`{"alg":"none","kid":"web-key-1","typ":"JWT"}`)+"."+parts[1]+".")
	public, err := x509.MarshalPKIXPublicKey(m.web.Public)
	m.must(err)
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	add("an HMAC with the public key", "JWT", m.sign(jose.HS256, secret, "web-key-1", "JWT", vectorBody))
	add("another algorithm of the same key", "JWT", m.sign(jose.PS256, m.web.Private.Signer(), "web-key-1", "JWT", vectorBody))
	add("another type", "JWT", m.sign(jose.RS256, m.web.Private.Signer(), "web-key-1", "at+jwt", vectorBody))
	add("a key of nobody", "JWT", m.make(foreign, "", vectorBody))
	foreign.ID = m.web.ID
	add("another key of the same id", "JWT", m.make(foreign, "", vectorBody))
	add("a changed payload", "JWT", parts[0]+"."+encoded(strings.Replace(vectorBody, "404", "405", 1))+"."+parts[2])
	add("no signature", "JWT", parts[0]+"."+parts[1]+".")
	add("a JWE where a JWT is expected", "JWT", sealed)
	add("a JWT where a JWE is expected", "JWE", good)
	add("a JWE of a JWT of another key", "JWE", m.make(foreign, "rsa-key", vectorBody))
	add("a changed tag", "JWE", strings.Join(sealedParts[:4], ".")+"."+encoded("0123456789abcdef"))
	add("a changed header", "JWE", strings.Join(append([]string{encoded(`{"alg":"ECDH-ES+A256KW","enc":"A256GCM","cty":"JWT","kid":"p256-key"}`)}, sealedParts[1:]...), "."))
	add("an unsigned payload", "JWE", m.seal(jose.RSA_OAEP_256, jose.A256GCM, jose.NONE, "JWT", vectorBody))
	add("another key algorithm", "JWE", m.seal(jose.RSA_OAEP, jose.A256GCM, jose.NONE, "JWT", good))
	add("another content algorithm", "JWE", m.seal(jose.RSA_OAEP_256, jose.A128CBC_HS256, jose.NONE, "JWT", good))
	add("a compressed one", "JWE", m.seal(jose.RSA_OAEP_256, jose.A256GCM, jose.DEFLATE, "JWT", good))
	add("content of another type", "JWE", m.seal(jose.RSA_OAEP_256, jose.A256GCM, jose.NONE, "json", good))
}

func (m *maker) sign(alg jose.SignatureAlgorithm, key any, kid, typ, body string) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	m.must(err)
	object, err := signer.Sign([]byte(body))
	m.must(err)
	text, err := object.CompactSerialize()
	m.must(err)
	return text
}

func (m *maker) seal(alg jose.KeyAlgorithm, enc jose.ContentEncryption, zip jose.CompressionAlgorithm, cty, body string) string {
	key, err := action.ParsePublicKey(m.keys["rsa-key"].PEM)
	m.must(err)
	options := (&jose.EncrypterOptions{Compression: zip}).WithType("JWT").WithContentType(jose.ContentType(cty))
	encrypter, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: key, KeyID: "rsa-key"}, options)
	m.must(err)
	object, err := encrypter.Encrypt([]byte(body))
	m.must(err)
	text, err := object.CompactSerialize()
	m.must(err)
	return text
}

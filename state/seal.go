package state

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/scrypt"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/stretch"
)

// Ways to derive the sealing key. A passphrase is stretched, because people choose
// it; the random bytes of a key file need no stretching.
const (
	kdfScrypt = "scrypt"
	kdfHKDF   = "hkdf"
)

// sealedPrefix marks a sealed value. A literal that happens to begin with it is
// sealed like any other, so a stored value with the prefix is always a sealed one.
const sealedPrefix = "fado-sealed:"

// The kinds of seal. The first bound a value to its resource and field only; it is still
// opened, and not made any more.
const (
	sealOfBefore = sealedPrefix + "1:"
	sealNow      = sealedPrefix + "2:"
)

const keyCheck = "fado key check"

// placeholder matches values that are one whole Caddy placeholder: they name a
// secret and are none.
var placeholder = regexp.MustCompile(`^\{(env|file)\.[^{}]+\}$`)

// Sealer seals the literal secrets of resources before an engine stores them, and
// opens them when it reads: storage.access_key and storage.secret_key of clusters, secret of
// keys. Placeholders stay as they are written. A sealed value is bound to the resource and
// field it was sealed for, so it can't be moved to another one, and to where the secret is
// sent: who can write the store, and has no key, can't have it shown to another server. The
// secret of an access key is bound to what the key allows, and opens only if it was sealed: who
// can write the store can't make keys.
//
// AES-256-GCM with random nonces; the key is derived from a [Key] and the store's
// own salt (scrypt for passphrases, RFC 7914; HKDF-SHA256 for key files, RFC 5869).
//
// A nil *Sealer is the sealer of a store that has no key: it passes resources
// without literal secrets, and refuses the others with an ErrNoKey.
type Sealer struct{ aead cipher.AEAD }

// sealHeader is what the store keeps in clear to open its secrets again.
type sealHeader struct {
	KDF   string `json:"kdf"`
	Cost  *cost  `json:"cost,omitempty"` // of scrypt; without it, that of stores of before
	Salt  []byte `json:"salt"`
	Check []byte `json:"check"` // sealed keyCheck: tells a wrong key
}

// cost is a [stretch.Scrypt]. It stands in the header, so that it can grow with what
// attackers have.
type cost struct {
	N int `json:"n"`
	R int `json:"r"`
	P int `json:"p"`
}

// costBefore is that of the stores whose header does not say it.
var costBefore = cost{N: 1 << 15, R: 8, P: 1}

// bearable reports whether a cost is one that this or a later version would choose; who
// can write the header must not be able to take all memory.
func (c cost) bearable() bool {
	return c.N >= 1<<14 && c.N <= 1<<20 && c.R >= 1 && c.R <= 16 && c.P >= 1 && c.P <= 16 && c.N*c.R <= 1<<22
}

// NewSealer returns a sealer with a salt of its own, and the header that the engine
// keeps for OpenSealer. The header holds no secret.
func NewSealer(k Key) (*Sealer, string, error) {
	h := sealHeader{KDF: k.kdf, Salt: make([]byte, 16)}
	rand.Read(h.Salt) // never fails
	if k.kdf == kdfScrypt {
		c := cost(stretch.Cost())
		h.Cost = &c
	}
	s, err := deriveSealer(k, h)
	if err != nil {
		return nil, "", err
	}
	h.Check = s.aead.Seal(nil, nil, []byte(keyCheck), []byte(keyCheck)) //nolint:gosec // the AEAD draws the nonce itself and takes none
	text, err := json.Marshal(h)
	if err != nil {
		return nil, "", fmt.Errorf("encoding seal header: %w", err)
	}
	return s, string(text), nil
}

// OpenSealer returns the sealer that a header belongs to. A key that is not the one
// the header was made with is an ErrNoKey that says what to check.
func OpenSealer(k Key, header string) (*Sealer, error) {
	var h sealHeader
	if err := json.Unmarshal([]byte(header), &h); err != nil {
		return nil, fmt.Errorf("reading seal header: %w: %w", err, ErrCorrupt)
	}
	if h.KDF != k.kdf {
		return nil, fmt.Errorf("%s was given, but the secrets were sealed with %s: %w", k, kdfSource(h.KDF), ErrNoKey)
	}
	s, err := deriveSealer(k, h)
	if err != nil {
		return nil, err
	}
	check, err := s.aead.Open(nil, nil, h.Check, []byte(keyCheck))
	if err != nil || subtle.ConstantTimeCompare(check, []byte(keyCheck)) != 1 {
		return nil, fmt.Errorf("%s is not the one the secrets were sealed with; check it, or put the former one back: %w", k, ErrNoKey)
	}
	return s, nil
}

// OpenSealerWith is OpenSealer with the first of several keys that fits: while a key is
// rotated, both the new and the former one are configured. The error is that of the first.
func OpenSealerWith(header string, keys ...Key) (*Sealer, error) {
	var first error
	for _, k := range keys {
		s, err := OpenSealer(k, header)
		if err == nil || !errors.Is(err, ErrNoKey) {
			return s, err
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// PassphraseKeys returns the keys that passphrases make, in their order.
func PassphraseKeys(first []byte, others ...[]byte) []Key {
	keys := []Key{PassphraseKey(first)}
	for _, p := range others {
		keys = append(keys, PassphraseKey(p))
	}
	return keys
}

func kdfSource(kdf string) string {
	switch kdf {
	case kdfScrypt:
		return "an encryption_key: configure it again"
	case kdfHKDF:
		return "the key file beside the store: configure no encryption_key"
	default:
		return "something this version does not know (" + kdf + ")"
	}
}

func deriveSealer(k Key, h sealHeader) (*Sealer, error) {
	var key []byte
	var err error
	switch k.kdf {
	case kdfScrypt:
		c := costBefore
		if h.Cost != nil {
			c = *h.Cost
		}
		if !c.bearable() {
			return nil, fmt.Errorf("the seal header's cost is %+v: expected about %+v: %w", c, stretch.Cost(), ErrCorrupt)
		}
		key, err = scrypt.Key(k.secret, h.Salt, c.N, c.R, c.P, 32)
	case kdfHKDF:
		key, err = hkdf.Key(sha256.New, k.secret, h.Salt, "fado sealed secrets", 32)
	default:
		err = errors.New("no key")
	}
	if err != nil {
		return nil, fmt.Errorf("deriving the sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("deriving the sealing key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("deriving the sealing key: %w", err)
	}
	return &Sealer{aead: aead}, nil
}

// Seal returns the body with its literal secrets sealed; every other byte stays.
func (s *Sealer) Seal(k catalog.Kind, name string, body []byte) ([]byte, error) {
	return rewriteSecrets(k, body, func(field, value string, raw []byte) ([]byte, error) {
		if value == "" || placeholder.MatchString(value) {
			return raw, nil
		}
		if s == nil {
			return nil, fmt.Errorf("%s %s: %s is a literal secret: configure an encryption_key, or use a placeholder such as {env.NAME}: %w", k, name, field, ErrNoKey)
		}
		to, err := boundTo(k, body)
		if err != nil {
			return nil, err
		}
		sealed := s.aead.Seal(nil, nil, raw, append(sealedFor(k, name, field), to...)) //nolint:gosec // the AEAD draws the nonce itself and takes none
		return []byte(`"` + sealNow + base64.RawURLEncoding.EncodeToString(sealed) + `"`), nil
	})
}

// Open returns the body as it was before Seal, byte for byte. A value that was
// altered or moved is an ErrCorrupt.
func (s *Sealer) Open(k catalog.Kind, name string, body []byte) ([]byte, error) {
	return rewriteSecrets(k, body, func(field, value string, raw []byte) ([]byte, error) {
		if !strings.HasPrefix(value, sealedPrefix) {
			if k == catalog.KindKey && value != "" {
				return nil, fmt.Errorf("%s %s: %s is not sealed, it was not written by FaDO: %w", k, name, field, ErrCorrupt)
			}
			return raw, nil
		}
		if s == nil {
			return nil, fmt.Errorf("%s %s: %s is sealed: configure the encryption_key: %w", k, name, field, ErrNoKey)
		}
		raw, err := s.unseal(k, value, sealedFor(k, name, field), body)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %s does not open, it was altered or belongs elsewhere: %w", k, name, field, ErrCorrupt)
		}
		return raw, nil
	})
}

// unseal opens a value that was sealed for a place, in a body.
func (s *Sealer) unseal(k catalog.Kind, value string, place, body []byte) ([]byte, error) {
	text, before := strings.CutPrefix(value, sealOfBefore)
	if !before {
		to, err := boundTo(k, body)
		if err != nil {
			return nil, err
		}
		text, place = strings.TrimPrefix(value, sealNow), append(place, to...)
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return s.aead.Open(nil, nil, sealed, place)
}

// boundTo is what of a body its secrets are bound to: where they are sent, or what may be
// done with them.
func boundTo(k catalog.Kind, body []byte) ([]byte, error) {
	if k == catalog.KindKey {
		return allowance(body)
	}
	return destination(body)
}

// allowance is what a key's body says that its holder may do.
func allowance(body []byte) ([]byte, error) {
	var key struct {
		Buckets  []string  `json:"buckets"`
		ReadOnly bool      `json:"read_only"`
		Expires  time.Time `json:"expires"`
	}
	if err := json.Unmarshal(body, &key); err != nil {
		return nil, fmt.Errorf("reading what a key allows: %w", err)
	}
	to, err := json.Marshal(key)
	return append([]byte{0}, to...), err
}

// destination is what a body says of where its secrets are sent, and whom they are shown to,
// as every reader of the body takes it: of members that are repeated, the last counts.
func destination(body []byte) ([]byte, error) {
	var c struct {
		Storage struct {
			Endpoint           string `json:"endpoint"`
			VirtualHost        bool   `json:"virtual_host"`
			CAFile             string `json:"ca_file"`
			InsecureSkipVerify bool   `json:"insecure_skip_verify"`
		} `json:"storage"`
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, fmt.Errorf("reading where a secret is sent: %w", err)
	}
	to, err := json.Marshal(c.Storage)
	return append([]byte{0}, to...), err
}

// HasSealed says whether a stored body holds a sealed secret.
func HasSealed(k catalog.Kind, body []byte) (found bool, err error) {
	_, err = rewriteSecrets(k, body, func(_, value string, raw []byte) ([]byte, error) {
		found = found || strings.HasPrefix(value, sealedPrefix)
		return raw, nil
	})
	return found, err
}

// sealedFor is the additional data that binds a sealed value to its place.
func sealedFor(k catalog.Kind, name, field string) []byte {
	return []byte(string(k) + "\x00" + name + "\x00" + field)
}

// rewriteSecrets replaces the JSON strings of the secret fields of a resource's body
// by what f returns, and leaves every other byte alone. Field names compare as
// encoding/json does, so no spelling it would accept escapes.
func rewriteSecrets(k catalog.Kind, body []byte, f func(field, value string, raw []byte) ([]byte, error)) ([]byte, error) {
	within := func(path string) func(name string, raw []byte) ([]byte, error) {
		return func(name string, raw []byte) ([]byte, error) {
			var value string
			if err := json.Unmarshal(raw, &value); err != nil {
				return nil, fmt.Errorf("%s%s: expected a string", path, name)
			}
			return f(path+name, value, raw)
		}
	}
	out, err := body, error(nil)
	switch k {
	case catalog.KindCluster:
		out, err = rewriteMembers(body, []string{"storage"}, func(_ string, storage []byte) ([]byte, error) {
			return rewriteMembers(storage, []string{"access_key", "secret_key"}, within("storage."))
		})
	case catalog.KindKey:
		out, err = rewriteMembers(body, []string{"secret"}, within(""))
	default: // has none
	}
	if err != nil {
		return nil, fmt.Errorf("looking for secrets: %w", err)
	}
	return out, nil
}

// rewriteMembers replaces the values of the members of a JSON object whose names are
// in a list; what is not an object is left alone.
func rewriteMembers(obj []byte, names []string, f func(name string, raw []byte) ([]byte, error)) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(obj))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return obj, err
	}
	var out []byte
	copied := 0
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		name, ok := matchName(names, t.(string)) // the decoder has checked that it is a string
		if !ok {
			continue
		}
		end := int(dec.InputOffset())
		val, err := f(name, raw)
		if err != nil {
			return nil, err
		}
		out = append(append(out, obj[copied:end-len(raw)]...), val...)
		copied = end
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	return append(out, obj[copied:]...), nil
}

// matchName finds the name that encoding/json would take a member's name for.
func matchName(names []string, member string) (string, bool) {
	for _, name := range names {
		if strings.EqualFold(name, member) {
			return name, true
		}
	}
	return "", false
}

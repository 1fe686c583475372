package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Signer signs checkpoints, by Ed25519 in the form of a signed note
// (https://c2sp.org/signed-note).
type Signer struct{ by note.Signer }

// NewSigner returns a signer with a private key as [NewKey] makes it. The error does not hold
// the key.
func NewSigner(private string) (*Signer, error) {
	by, err := note.NewSigner(strings.TrimSpace(private))
	if err != nil {
		return nil, fmt.Errorf("expected PRIVATE+KEY+…, as caddy fado audit key prints it: %w", err)
	}
	return &Signer{by}, nil
}

// NewKey makes a key of a name: the private half, and the public one that verifies.
func NewKey(name string) (private, public string, err error) {
	if name == "" || strings.ContainsAny(name, "+ \t\r\n") {
		return "", "", fmt.Errorf("%q: expected a name without blanks and plus signs", name)
	}
	return note.GenerateKey(rand.Reader, name)
}

// Sign signs a checkpoint: the records before it, and what it says policies allow.
func (s *Signer) Sign(b *CheckpointBody) error {
	text, err := b.statement()
	if err != nil {
		return err
	}
	signed, err := note.Sign(&note.Note{Text: text}, s.by)
	if err != nil {
		return fmt.Errorf("signing a checkpoint: %w", err)
	}
	b.Note = string(signed)
	return nil
}

// statement is what the signature of a checkpoint is of.
func (b *CheckpointBody) statement() (string, error) {
	allowed, err := json.Marshal(b.Allowed)
	if err == nil {
		allowed, err = Canonical(allowed)
	}
	if err != nil {
		return "", fmt.Errorf("encoding a checkpoint: %w", err)
	}
	sum := sha256.Sum256(allowed)
	return strings.Join([]string{"fado audit checkpoint", strconv.FormatInt(b.Size, 10), b.Head, hex.EncodeToString(sum[:]), ""}, "\n"), nil
}

// Keys verify signatures. Nil: none is asked for.
type Keys struct{ of note.Verifiers }

// ParseKeys reads public keys as [NewKey] makes them.
func ParseKeys(public ...string) (*Keys, error) {
	var all []note.Verifier
	for _, text := range public {
		v, err := note.NewVerifier(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%q: expected a public key, as caddy fado audit key prints it: %w", text, err)
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return &Keys{note.VerifierList(all...)}, nil
}

// check says what is wrong with the signature of a checkpoint, "" if nothing is.
func (k *Keys) check(b *CheckpointBody) string {
	if b.Note == "" {
		return "its checkpoint is not signed"
	}
	want, err := b.statement()
	if err != nil {
		return err.Error()
	}
	n, err := note.Open([]byte(b.Note), k.of)
	switch {
	case err != nil:
		return "its checkpoint is not signed by a key that was given: " + err.Error()
	case n.Text != want:
		return "its checkpoint says something else than was signed"
	default:
		return ""
	}
}

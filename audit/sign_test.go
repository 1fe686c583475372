package audit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/audit"
)

// signing returns a key as a signer and as keys.
func signing(t *testing.T) (*audit.Signer, *audit.Keys) {
	t.Helper()
	private, public, err := audit.NewKey("fado.test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := audit.NewSigner(private + "\n") // as it comes from a file
	if err != nil {
		t.Fatal(err)
	}
	keys, err := audit.ParseKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	return signer, keys
}

// signedChain is a change and a checkpoint, some times; sign makes the signature of a
// checkpoint.
func signedChain(t *testing.T, allowed string, sign ...func(*audit.CheckpointBody) error) (records []audit.Record) {
	t.Helper()
	head := audit.Head{}
	add := func(kind audit.Kind, body any) {
		r, err := head.Next(audit.Entry{At: time.Unix(1_700_000_000, 0), Node: "n1", Kind: kind, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		head, records = r.Head(), append(records, r)
	}
	add(audit.Allowed, audit.AllowedBody{Policy: "eu", Clusters: []string{allowed}})
	for _, f := range sign {
		add(audit.Copy, audit.CopyBody{Event: audit.Synced, Movement: audit.Movement{Bucket: "b", Policy: "eu", To: allowed}})
		b := audit.CheckpointBody{Size: head.Seq, Head: head.Hash, Allowed: map[string][]string{"eu": {allowed}}}
		if f != nil {
			if err := f(&b); err != nil {
				t.Fatal(err)
			}
		}
		add(audit.Checkpoint, b)
	}
	return records
}

// Signatures stand for what was signed, and for nothing that was made without the key.
func TestSignatures(t *testing.T) {
	t.Parallel()
	signer, keys := signing(t)
	other, _ := signing(t)
	// What a forger has: the notes of another chain.
	var stolen audit.CheckpointBody
	if err := json.Unmarshal(signedChain(t, "c1", signer.Sign)[2].Body, &stolen); err != nil {
		t.Fatal(err)
	}
	steal := func(b *audit.CheckpointBody) error { b.Note = stolen.Note; return nil }
	for name, tc := range map[string]struct {
		records []audit.Record
		signed  int64
		wrong   string // "" for nothing
	}{
		"all":                {signedChain(t, "c1", signer.Sign, signer.Sign), 5, ""},
		"from some time on":  {signedChain(t, "c1", nil, signer.Sign), 5, ""},
		"trimmed":            {signedChain(t, "c1", signer.Sign, signer.Sign)[2:], 5, ""},
		"none":               {signedChain(t, "c1", nil, nil), 0, "no checkpoint is signed"},
		"no longer":          {signedChain(t, "c1", signer.Sign, nil), 3, "record 5: its checkpoint is not signed"},
		"by another":         {signedChain(t, "c1", signer.Sign, other.Sign), 3, "record 5: its checkpoint is not signed by a key that was given"},
		"of another chain":   {signedChain(t, "c2", steal), 0, "record 3: its checkpoint says something else than was signed"},
		"of an earlier time": {signedChain(t, "c1", signer.Sign, steal), 3, "record 5: its checkpoint says something else than was signed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := audit.Verify(strings.NewReader(string(lines(tc.records))), tc.records[len(tc.records)-1].Head(), keys)
			if err != nil {
				t.Fatal(err)
			}
			if r.Signed != tc.signed || tc.wrong == "" != (len(r.Problems) == 0) || tc.wrong != "" && !strings.Contains(r.Problems[0].String(), tc.wrong) {
				t.Errorf("signed up to %d, %v; want %d, %q", r.Signed, r.Problems, tc.signed, tc.wrong)
			}
			if plain := verify(t, lines(tc.records), audit.Head{}); len(plain.Problems) > 0 || plain.Signed != 0 {
				t.Errorf("without a key: %+v", plain)
			}
		})
	}
}

// A signature is also of what a checkpoint says policies allow, which nothing before a trimmed
// chain tells.
func TestSignedAllowances(t *testing.T) {
	t.Parallel()
	signer, keys := signing(t)
	records := signedChain(t, "c1", func(b *audit.CheckpointBody) error {
		err := signer.Sign(b)
		b.Allowed["eu"] = []string{"c1", "c2"}
		return err
	})
	r, err := audit.Verify(strings.NewReader(string(lines(records[2:]))), audit.Head{}, keys)
	if err != nil || len(r.Problems) == 0 || r.Problems[0].Seq != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What is no key is refused, and not shown.
func TestBadKeys(t *testing.T) {
	t.Parallel()
	if _, err := audit.NewSigner("PRIVATE+KEY+hidden"); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
	if _, err := audit.ParseKeys("x"); err == nil {
		t.Error("x is a public key")
	}
	for _, name := range []string{"", "a b", "a+b"} {
		if _, _, err := audit.NewKey(name); err == nil {
			t.Errorf("%q names a key", name)
		}
	}
	if keys, err := audit.ParseKeys(); keys != nil || err != nil {
		t.Errorf("of no key: %v, %v", keys, err)
	}
}

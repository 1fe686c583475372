package state

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/stretch"
)

func newSealer(t *testing.T, k Key) (*Sealer, string) {
	t.Helper()
	s, header, err := NewSealer(k)
	if err != nil {
		t.Fatal(err)
	}
	return s, header
}

func fileSealer(t *testing.T) *Sealer {
	t.Helper()
	s, _ := newSealer(t, fileKey(bytes.Repeat([]byte{7}, keyFileSize), "test.key"))
	return s
}

func clusterBody(t testing.TB, access, secret string) []byte {
	t.Helper()
	c := &catalog.Cluster{Name: "c1", Storage: &catalog.Storage{Endpoint: "http://s", AccessKey: access, SecretKey: secret}}
	c.Normalize()
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestSealLiterals(t *testing.T) {
	s := fileSealer(t)
	body := clusterBody(t, "AKIALITERAL", `quo"ted é secret`)
	sealed, err := s.Seal(catalog.KindCluster, "c1", body)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"AKIALITERAL", "ted é secret", "quo"} {
		if bytes.Contains(sealed, []byte(secret)) {
			t.Errorf("%q is in the sealed body %s", secret, sealed)
		}
	}
	if found, err := HasSealed(catalog.KindCluster, sealed); err != nil || !found {
		t.Errorf("HasSealed: %v, %v", found, err)
	}
	var c catalog.Cluster
	if err := json.Unmarshal(sealed, &c); err != nil || c.Storage.Endpoint != "http://s" {
		t.Errorf("the sealed body is no longer a cluster: %v, %s", err, sealed)
	}
	again, err := s.Seal(catalog.KindCluster, "c1", body)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealed twice, the same came out (error %v)", err)
	}
	open, err := s.Open(catalog.KindCluster, "c1", sealed)
	if err != nil || !bytes.Equal(open, body) {
		t.Errorf("opened: %v\n got %s\nwant %s", err, open, body)
	}
}

func TestSealKeys(t *testing.T) {
	s := fileSealer(t)
	body := []byte(`{"name":"AKIA1", "Secret":"hush-hush","buckets":["secret"],"storage":{"secret_key":"x"}}`)
	sealed, err := s.Seal(catalog.KindKey, "AKIA1", body)
	if err != nil || bytes.Contains(sealed, []byte("hush-hush")) || !bytes.Contains(sealed, []byte(`"buckets":["secret"],"storage":{"secret_key":"x"}`)) {
		t.Fatalf("%s, %v", sealed, err)
	}
	if found, err := HasSealed(catalog.KindKey, sealed); err != nil || !found {
		t.Errorf("HasSealed: %v, %v", found, err)
	}
	if open, err := s.Open(catalog.KindKey, "AKIA1", sealed); err != nil || !bytes.Equal(open, body) {
		t.Errorf("opened: %v, %s", err, open)
	}
	if _, err := s.Open(catalog.KindKey, "AKIA2", sealed); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a secret opens as another key's: %v", err)
	}
	for what, wrong := range map[string][]byte{
		"wider":    bytes.Replace(sealed, []byte(`["secret"]`), []byte(`["*"]`), 1),
		"unsealed": body,
	} {
		if _, err := s.Open(catalog.KindKey, "AKIA1", wrong); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var none *Sealer
	if _, err := none.Seal(catalog.KindKey, "AKIA1", body); !errors.Is(err, ErrNoKey) {
		t.Errorf("stored in clear: %v", err)
	}
}

// Whatever is put in the fields, and however the JSON is spelt, it comes back byte for
// byte, and a literal is not to be seen in between.
func TestSealRoundTrip(t *testing.T) {
	s := fileSealer(t)
	field := rapid.SampledFrom([]string{"secret_key", "access_key", "Secret_Key", "ACCESS_KEY", "\u017fecret_\u212aey", "region"})
	object := rapid.SampledFrom([]string{"storage", "Storage", "\u017ftorage", "other"})
	rapid.Check(t, func(t *rapid.T) {
		name, value := field.Draw(t, "field"), rapid.String().Draw(t, "value")
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		parent := object.Draw(t, "object")
		body := []byte(fmt.Sprintf("{ \"name\":\"c1\", %q : {\"endpoint\":\"x\" ,%q:  %s }\n, \"drain\":false}", parent, name, text))
		sealed, err := s.Seal(catalog.KindCluster, "c1", body)
		if err != nil {
			t.Fatal(err)
		}
		secret := parent != "other" && name != "region" && value != "" && !placeholder.MatchString(value)
		if found, _ := HasSealed(catalog.KindCluster, sealed); found != secret {
			t.Fatalf("sealed %v, want %v: %s", found, secret, sealed)
		}
		if open, err := s.Open(catalog.KindCluster, "c1", sealed); err != nil || !bytes.Equal(open, body) {
			t.Fatalf("opened: %v\n got %s\nwant %s", err, open, body)
		}
	})
}

func TestSealLeavesAlone(t *testing.T) {
	s := fileSealer(t)
	for _, body := range [][]byte{
		clusterBody(t, "{env.KEY}", "{file./run/secrets/s3}"), clusterBody(t, "", ""),
		[]byte(`{"storage":null}`), []byte(`{}`), []byte(`{"storage":{"secret_key":null}}`),
	} {
		for _, sealer := range []*Sealer{s, nil} {
			sealed, err := sealer.Seal(catalog.KindCluster, "c1", body)
			if err != nil || !bytes.Equal(sealed, body) {
				t.Errorf("%s became %s (error %v)", body, sealed, err)
			}
		}
	}
	other := clusterBody(t, "a", "b")
	if sealed, err := s.Seal(catalog.KindBucket, "b", other); err != nil || !bytes.Equal(sealed, other) {
		t.Errorf("a bucket's body became %s (error %v)", sealed, err)
	}
	for _, literal := range []string{"x{env.KEY}", "{env.KEY}x", "{env.A}{env.B}", "{http.request.host}", "{env.}", "{env.A"} {
		sealed, err := s.Seal(catalog.KindCluster, "c1", clusterBody(t, "", literal))
		if err != nil || bytes.Contains(sealed, []byte(literal)) {
			t.Errorf("%q is not one placeholder, but was left alone: %s (error %v)", literal, sealed, err)
		}
	}
}

// A sealed value is bound to its place.
func TestSealedValueCantMove(t *testing.T) {
	s := fileSealer(t)
	sealed, err := s.Seal(catalog.KindCluster, "c1", clusterBody(t, "", "hush"))
	if err != nil {
		t.Fatal(err)
	}
	altered := bytes.Replace(sealed, []byte(sealedPrefix), []byte(sealedPrefix+"AAAA"), 1)
	moved := bytes.Replace(sealed, []byte("secret_key"), []byte("access_key"), 1)
	for name, err := range map[string]error{
		"another cluster": opened(s, "c2", sealed), "another field": opened(s, "c1", moved),
		"altered": opened(s, "c1", altered), "no base64": opened(s, "c1", clusterBody(t, "", sealedPrefix+"?")),
	} {
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got error %v, want ErrCorrupt", name, err)
		}
		if strings.Contains(fmt.Sprint(err), "hush") {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
	for name, to := range map[string]string{
		"another endpoint":      `"endpoint":"http://elsewhere"`,
		"a second endpoint":     `"endpoint":"http://s","Endpoint":"http://elsewhere"`,
		"another way of naming": `"endpoint":"http://s","virtual_host":true`,
		"another authority":     `"endpoint":"http://s","ca_file":"/x"`,
		"no authority":          `"endpoint":"http://s","insecure_skip_verify":true`,
	} {
		elsewhere := bytes.Replace(sealed, []byte(`"endpoint":"http://s"`), []byte(to), 1)
		if err := opened(s, "c1", elsewhere); bytes.Equal(elsewhere, sealed) || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got error %v, want ErrCorrupt", name, err)
		}
	}
	// What is not about where the secret goes may change.
	if err := opened(s, "c1", bytes.Replace(sealed, []byte(`"endpoint":`), []byte(`"capacity":"1TiB","endpoint":`), 1)); err != nil {
		t.Errorf("with a capacity: %v", err)
	}
	// A literal that looks sealed is a literal.
	body := clusterBody(t, "", sealedPrefix+"AAAA")
	sealed, err = s.Seal(catalog.KindCluster, "c1", body)
	if err != nil {
		t.Fatal(err)
	}
	if open, err := s.Open(catalog.KindCluster, "c1", sealed); err != nil || !bytes.Equal(open, body) {
		t.Errorf("opened: %v, %s", err, open)
	}
}

// TestSealOfBefore: values sealed before they were bound to where they are sent still open.
func TestSealOfBefore(t *testing.T) {
	s := fileSealer(t)
	const secret = `"hush"`
	before := s.aead.Seal(nil, nil, []byte(secret), sealedFor(catalog.KindCluster, "c1", "storage.secret_key"))
	sealed := clusterBody(t, "", sealOfBefore+base64.RawURLEncoding.EncodeToString(before))
	if found, err := HasSealed(catalog.KindCluster, sealed); err != nil || !found {
		t.Errorf("HasSealed: %v, %v", found, err)
	}
	if open, err := s.Open(catalog.KindCluster, "c1", sealed); err != nil || !bytes.Contains(open, []byte(secret)) {
		t.Errorf("opened: %v, %s", err, open)
	}
}

func opened(s *Sealer, name string, body []byte) error {
	_, err := s.Open(catalog.KindCluster, name, body)
	return err
}

func TestNilSealerRefusesLiterals(t *testing.T) {
	var s *Sealer
	if _, err := s.Seal(catalog.KindCluster, "c1", clusterBody(t, "", "hush")); !errors.Is(err, ErrNoKey) || strings.Contains(err.Error(), "hush") {
		t.Errorf("sealing: got error %v, want ErrNoKey without the secret", err)
	}
	sealed, err := fileSealer(t).Seal(catalog.KindCluster, "c1", clusterBody(t, "", "hush"))
	if err != nil {
		t.Fatal(err)
	}
	if err := opened(s, "c1", sealed); !errors.Is(err, ErrNoKey) {
		t.Errorf("opening: got error %v, want ErrNoKey", err)
	}
}

func TestSealRejectsBadBodies(t *testing.T) {
	for _, body := range []string{``, `{`, `{"storage":{"secret_key":1}}`, `{"storage":{"secret_key":"x"`, `{"storage":{"secret_key":"x"}`} {
		if _, err := fileSealer(t).Seal(catalog.KindCluster, "c1", []byte(body)); err == nil {
			t.Errorf("%s: no error", body)
		}
	}
}

func TestOpenSealer(t *testing.T) {
	pass := PassphraseKey([]byte("correct horse"))
	file := fileKey(bytes.Repeat([]byte{1}, keyFileSize), "a.key")
	s, header := newSealer(t, pass)
	sealed, err := s.Seal(catalog.KindCluster, "c1", clusterBody(t, "", "hush"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenSealer(PassphraseKey([]byte("correct horse")), header)
	if err != nil {
		t.Fatal(err)
	}
	if err := opened(again, "c1", sealed); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		key    Key
		header string
		want   error
		says   string
	}{
		"wrong passphrase": {PassphraseKey([]byte("battery")), header, ErrNoKey, "the configured encryption_key is not the one"},
		"a file instead":   {file, header, ErrNoKey, "configure it again"},
		"not a header":     {pass, "{", ErrCorrupt, "seal header"},
		"all memory":       {pass, strings.Replace(header, `"n":32768`, `"n":1073741824`, 1), ErrCorrupt, "cost"},
		"no cost at all":   {pass, strings.Replace(header, `"p":3`, `"p":0`, 1), ErrCorrupt, "cost"},
	} {
		_, err := OpenSealer(c.key, c.header)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got error %v, want %v with %q", name, err, c.want, c.says)
		}
	}
	_, header = newSealer(t, file)
	if _, err := OpenSealer(fileKey(bytes.Repeat([]byte{2}, keyFileSize), "a.key"), header); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "key file a.key") {
		t.Errorf("wrong key file: got error %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, pass); strings.Contains(text, "horse") {
			t.Errorf("%s prints the key: %s", verb, text)
		}
	}
}

// TestOpenSealerOfBefore: headers did not always say their cost.
func TestOpenSealerOfBefore(t *testing.T) {
	pass := PassphraseKey([]byte("correct horse"))
	former := madeAt(t, pass, costBefore)
	former.Cost = nil
	text, err := json.Marshal(former)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSealer(pass, string(text)); err != nil {
		t.Error(err)
	}
}

// madeAt is the header of a store whose passphrase was stretched at a cost.
func madeAt(t *testing.T, k Key, c cost) sealHeader {
	t.Helper()
	h := sealHeader{KDF: k.kdf, Cost: &c, Salt: make([]byte, 16)}
	s, err := deriveSealer(k, h)
	if err != nil {
		t.Fatal(err)
	}
	h.Check = s.aead.Seal(nil, nil, []byte(keyCheck), []byte(keyCheck))
	return h
}

// TestSealerCost: a passphrase of a new store costs what is due today, and its header says so.
func TestSealerCost(t *testing.T) {
	_, text := newSealer(t, PassphraseKey([]byte("correct horse")))
	var h sealHeader
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		t.Fatal(err)
	}
	// OWASP's advice for 32 MiB.
	if want := (cost{N: 32768, R: 8, P: 3}); h.Cost == nil || *h.Cost != want {
		t.Errorf("the header is %s, want the cost %+v", text, want)
	}
	for _, c := range []cost{cost(stretch.Least()), costBefore, *h.Cost} {
		if !c.bearable() {
			t.Errorf("the cost %+v is refused", c)
		}
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fado.db.key")
	if _, err := ReadKeyFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no file: got error %v", err)
	}
	made, err := CreateKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	read, err := ReadKeyFile(path)
	if err != nil || !bytes.Equal(read.secret, made.secret) || len(read.secret) != 32 {
		t.Errorf("read another key than was made (error %v)", err)
	}
	if _, err := CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made again: got error %v, want fs.ErrExist", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKeyFile(path); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: got error %v", mode, err)
		}
	}
	short := filepath.Join(t.TempDir(), "short.key")
	if err := os.WriteFile(short, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeyFile(short); !errors.Is(err, ErrNoKey) {
		t.Errorf("short file: got error %v, want ErrNoKey", err)
	}
}

package sqlite

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

func secretIs(t testing.TB, s *Store, want string) {
	t.Helper()
	r, err := s.Catalogue().Get(ctx, catalog.KindCluster, "c1")
	if err != nil || !bytes.Contains(r.Body, []byte(`"secret_key":"`+want+`"`)) {
		t.Fatalf("got %s, error %v", r.Body, err)
	}
}

// TestRotateKey goes from every kind of key to every other: afterwards the secrets open
// with the new one only, and nothing on disk holds what was sealed with the former.
func TestRotateKey(t *testing.T) {
	phrase, other := []byte("correct horse"), []byte("battery staple")
	for name, c := range map[string]struct{ from, to []byte }{
		"file to file": {nil, nil}, "file to phrase": {nil, phrase}, "phrase to phrase": {phrase, other}, "phrase to file": {phrase, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "fado.db")
			s, err := Open(ctx, Options{Path: path, Key: c.from})
			if err != nil {
				t.Fatal(err)
			}
			putCluster(t, s, "{env.A}", literalSecret)
			putKey(t, s)
			former := sealedValue(t, s)
			formerFile, _ := os.ReadFile(path + ".key")
			if n, err := s.RotateKey(ctx, c.to); n != 2 || err != nil {
				t.Fatalf("sealed again: %d, error %v", n, err)
			}
			secretIs(t, s, literalSecret)
			keyIs(t, s)
			closeStore(t, s)
			scanFiles(t, filepath.Dir(path), literalSecret, literalKey, former, "battery staple")
			if len(c.from) > 0 {
				openErr(t, Options{Path: path, Key: c.from}, state.ErrNoKey)
			}
			s, err = Open(ctx, Options{Path: path, Key: c.to})
			if err != nil {
				t.Fatal(err)
			}
			secretIs(t, s, literalSecret)
			if len(c.from) > 0 && len(c.to) > 0 { // both keys, whichever is in force
				closeStore(t, s)
				if s, err = Open(ctx, Options{Path: path, Key: c.from, FormerKeys: [][]byte{c.to}}); err != nil {
					t.Fatal(err)
				}
				secretIs(t, s, literalSecret)
			}
			keyIs(t, s)
			putCluster(t, s, "{env.A}", "another secret")
			closeStore(t, s)
			if len(c.to) == 0 {
				checkKeyFile(t, path, formerFile)
			}
		})
	}
}

const literalKey = "secret-of-an-access-key"

func putKey(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindKey, Name: "AKIA1", Body: []byte(`{"name":"AKIA1","secret":"` + literalKey + `"}`)})
	}); err != nil {
		t.Fatal(err)
	}
}

func keyIs(t *testing.T, s *Store) {
	t.Helper()
	if r, err := s.Catalogue().Get(ctx, catalog.KindKey, "AKIA1"); err != nil || !strings.Contains(string(r.Body), literalKey) {
		t.Fatalf("the key is %s, error %v", r.Body, err)
	}
}

// A store whose only secrets are those of access keys misses its key file as any other.
func TestSealedKeysNeedTheKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fado.db")
	s, err := Open(ctx, Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	putKey(t, s)
	closeStore(t, s)
	if err := os.Remove(path + ".key"); err != nil {
		t.Fatal(err)
	}
	openErr(t, Options{Path: path}, state.ErrNoKey)
}

// sealedValue is the secret as the file holds it.
func sealedValue(t *testing.T, s *Store) string {
	t.Helper()
	body, _, err := one[string](s.db.r, "SELECT body ->> '$.storage.secret_key' FROM resources WHERE name = 'c1'")
	if err != nil || len(body) < 20 {
		t.Fatalf("%q, error %v", body, err)
	}
	return body
}

func checkKeyFile(t *testing.T, path string, former []byte) {
	t.Helper()
	now, err := os.ReadFile(path + ".key")
	info, statErr := os.Stat(path + ".key")
	if err := errors.Join(err, statErr); err != nil || bytes.Equal(now, former) || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file is the former one (%t), or error %v, or mode %v", bytes.Equal(now, former), err, info.Mode())
	}
	if _, err := os.Stat(path + ".key.new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the new file is left over: %v", err)
	}
}

// TestRotateKeyCutShort has the files as a crash leaves them: before the commit, and
// between it and the renaming.
func TestRotateKeyCutShort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fado.db")
	s := openAt(t, path)
	putCluster(t, s, "", literalSecret)
	former, err := os.ReadFile(path + ".key")
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)

	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path+name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".key.new", bytes.Repeat([]byte("x"), 32))
	s = openAt(t, path)
	secretIs(t, s, literalSecret)
	if _, err := os.Stat(path + ".key.new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that opens nothing is left over: %v", err)
	}
	if _, err := s.RotateKey(ctx, nil); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)

	after, err := os.ReadFile(path + ".key")
	if err != nil {
		t.Fatal(err)
	}
	write(".key", former)
	write(".key.new", after)
	readOnly, err := Open(ctx, Options{Path: path, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	secretIs(t, readOnly, literalSecret)
	closeStore(t, readOnly)
	secretIs(t, openAt(t, path), literalSecret)
	checkKeyFile(t, path, former)
}

// TestRotateKeyKilled kills a process that rotates, at random points, again and again.
func TestRotateKeyKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fado.db")
	s := openAt(t, path)
	putCluster(t, s, "", literalSecret)
	closeStore(t, s)
	for range 10 {
		cmd := child(t, os.Args[0], "rotate", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, after := bufio.NewScanner(out), rand.IntN(20)
		for n := 0; lines.Scan(); n++ {
			if n == after {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatal("the child ended by itself")
		}
		s, err := Open(ctx, Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		secretIs(t, s, literalSecret)
		closeStore(t, s)
	}
}

func rotateForever(t *testing.T, path string) {
	t.Helper()
	s := openAt(t, path)
	for {
		_, err := s.RotateKey(ctx, nil)
		tell(t, "rotate", "", err)
	}
}

func TestReadOnlyRefusesWhatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	openErr(t, Options{Path: filepath.Join(dir, "sub", "fado.db"), ReadOnly: true}, state.ErrUnavailable, "no such file")
	empty := filepath.Join(dir, "fado.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	openErr(t, Options{Path: empty, ReadOnly: true}, state.ErrCorrupt)
	older := filepath.Join(dir, "older.db")
	closeStore(t, openAt(t, older))
	execSQL(t, older, "PRAGMA user_version = 1")
	openErr(t, Options{Path: older, ReadOnly: true}, state.ErrUnavailable, "start this version of FaDO on it once")
}

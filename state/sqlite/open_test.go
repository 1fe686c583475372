package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const (
	literalAccess = "AKIAIOSFODNN7EXAMPLE"
	literalSecret = "wJalrXUtnFEMI-K7MDENG"
)

func putCluster(t testing.TB, s *Store, access, secret string) {
	t.Helper()
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindCluster, Name: "c1", Body: fmt.Appendf(nil,
			`{"name":"c1","storage":{"endpoint":"http://s","access_key":%q,"secret_key":%q}}`, access, secret)})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// openErr opens a store that must not open, and checks what the error says.
func openErr(t *testing.T, o Options, want error, says ...string) {
	t.Helper()
	s, err := Open(ctx, o)
	if err == nil {
		closeStore(t, s)
		t.Fatal("the store opened")
	}
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
	for _, part := range append(says, filepath.Base(o.Path)) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	s := openAt(t, filepath.Join(dir, "fado.db"))
	putCluster(t, s, literalAccess, literalSecret)
	for path, want := range map[string]fs.FileMode{
		filepath.Dir(dir): 0o700, dir: 0o700,
		dir + "/fado.db": 0o600, dir + "/fado.db-wal": 0o600, dir + "/fado.db-shm": 0o600,
		dir + "/fado.db.key": 0o600, dir + "/fado.db.lock": 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v (error %v)", path, info.Mode().Perm(), want, err)
		}
	}
}

func TestOpenTakesRightsOfOthersAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fado.db")
	closeStore(t, openAt(t, path))
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode().Perm(), err)
	}
}

func TestOpenAnyPath(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"fado.db", "sub/./fado.db", "with space.db", "what?.db", "100%25.db", "hash#.db", "é😀.db", "a&b=c.db"} {
		s := openAt(t, path)
		if _, err := s.Queue().AddPending(ctx, state.Pending{Bucket: "b", Key: "k", Cluster: "c"}); err != nil {
			t.Errorf("%q: %v", path, err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%q: the file is not there: %v", path, err)
		}
	}
	if _, err := Open(ctx, Options{}); err == nil {
		t.Error("no path: no error")
	}
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "fado.db"), filepath.Join(dir, "link.db")
	s := openAt(t, path)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link, filepath.Join(dir, ".", "x", "..", "fado.db")} {
		_, err := Open(ctx, Options{Path: name})
		if !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprint("in use by process ", os.Getpid())) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if _, err := s.ChangeLog().Seq(ctx); err != nil { // the first is none the worse for it
		t.Error(err)
	}
	closeStore(t, s)
	openAt(t, link)
}

// A link to a file that is not there yet is the name of that file: its lock and its key lie
// beside it, at the first start as at the next.
func TestOpenByDanglingLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "fado.db")
	if err := os.Symlink(filepath.Join("real", "x.db"), link); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		closeStore(t, openAt(t, link))
	}
	for name, want := range map[string]bool{"real/x.db": true, "real/x.db.key": true, "fado.db.key": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", name, err == nil, want)
		}
	}
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	whole := func(t *testing.T) []byte { // a store of some size, closed
		path := filepath.Join(t.TempDir(), "fado.db")
		s := openAt(t, path)
		for i := range 50 {
			if err := s.Facts().PutMeta(ctx, fmt.Sprint("k", i), strings.Repeat("x", 1000)); err != nil {
				t.Fatal(err)
			}
		}
		closeStore(t, s)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	for name, content := range map[string]func(t *testing.T) []byte{
		"garbage":       func(*testing.T) []byte { return bytes.Repeat([]byte("no database "), 1000) },
		"a few bytes":   func(*testing.T) []byte { return []byte("x") },
		"cut off":       func(t *testing.T) []byte { c := whole(t); return c[:len(c)/2] },
		"cut in a page": func(t *testing.T) []byte { c := whole(t); return c[:len(c)-1000] },
		"only a header": func(t *testing.T) []byte { return whole(t)[:100] },
		"a page zeroed": func(t *testing.T) []byte { c := whole(t); clear(c[4096:8192]); return c },
		"pages overwritten": func(t *testing.T) []byte {
			c := whole(t)
			copy(c[4096:], bytes.Repeat([]byte("rubbish"), (len(c)-4096)/7))
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "fado.db")
			before := content(t)
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
			openErr(t, Options{Path: path}, state.ErrCorrupt, "restore it from a backup")
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the file was changed (error %v)", err)
			}
		})
	}
	t.Run("another's database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "fado.db")
		execSQL(t, path, "CREATE TABLE theirs (x)")
		openErr(t, Options{Path: path}, state.ErrCorrupt, "not one of FaDO's")
	})
	t.Run("a directory", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "fado.db")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		openErr(t, Options{Path: path}, state.ErrUnavailable)
	})
	t.Run("below a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		openErr(t, Options{Path: filepath.Join(file, "fado.db")}, state.ErrUnavailable)
	})
}

// execSQL runs SQL on a file without the store.
func execSQL(t testing.TB, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(text); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fado.db")
	closeStore(t, openAt(t, path))
	newer := stored.SchemaVersion + 1
	execSQL(t, path, fmt.Sprint("PRAGMA user_version = ", newer))
	openErr(t, Options{Path: path}, state.ErrNewerSchema, path,
		fmt.Sprint("schema version ", newer), fmt.Sprint("knows up to ", newer-1))
	execSQL(t, path, fmt.Sprint("PRAGMA user_version = ", newer-1))
	openAt(t, path)
}

// The sample check of large files must find what it looks at.
func TestSampleCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fado.db")
	s := openAt(t, path)
	putCluster(t, s, "a", "b")
	if err := sampleCheck(ctx, s.db.w.conn); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := 4096; page < len(content); page += 4096 { // every page but the schema's first
		clear(content[page : page+4096])
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := sampleCheck(ctx, conn); !errors.Is(classify(err), state.ErrCorrupt) {
		t.Errorf("got error %v, want one of corruption", err)
	}
}

// No file of the store may hold a literal secret, while it is open or after, and not
// when it was replaced or deleted either.
func TestNoSecretOnDisk(t *testing.T) {
	for name, key := range map[string][]byte{"key file": nil, "encryption_key": []byte("correct horse")} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(ctx, Options{Path: filepath.Join(dir, "fado.db"), Key: key})
			if err != nil {
				t.Fatal(err)
			}
			putCluster(t, s, literalAccess, "{env.SECRET}")
			scanFiles(t, dir, literalAccess)
			putCluster(t, s, literalAccess, literalSecret)
			scanFiles(t, dir, literalAccess, literalSecret)
			if _, err := s.Catalogue().Update(ctx, func(tx state.Tx) error { return tx.Delete(catalog.KindCluster, "c1") }); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
			scanFiles(t, dir, literalAccess, literalSecret)
		})
	}
}

func scanFiles(t *testing.T, dir string, secrets ...string) {
	t.Helper()
	files, placeholders := 0, 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		placeholders += bytes.Count(content, []byte("http://s"))
		for _, secret := range append(secrets, "correct horse") {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds the secret %s", filepath.Base(path), secret)
			}
		}
		return nil
	})
	if err != nil || files < 2 || placeholders == 0 {
		t.Fatalf("looked at %d files, in which the cluster is %d times (error %v): the test does not see what it should", files, placeholders, err)
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fado.db")
	o := Options{Path: path}
	open := func(o Options) *Store {
		t.Helper()
		s, err := Open(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	phrase := Options{Path: path, Key: []byte("correct horse")}
	wrong := Options{Path: path, Key: []byte("battery staple")}

	// Without sealed secrets any key will do.
	s := open(o)
	putCluster(t, s, "{env.A}", "{env.B}")
	closeStore(t, s)
	closeStore(t, open(phrase))
	closeStore(t, open(wrong))
	s = open(phrase)
	putCluster(t, s, "{env.A}", literalSecret)
	closeStore(t, s)

	// With them, only theirs.
	openErr(t, wrong, state.ErrNoKey, "the configured encryption_key is not the one")
	openErr(t, o, state.ErrNoKey, "configure it again")
	s = open(phrase)
	r, err := s.Catalogue().Get(ctx, catalog.KindCluster, "c1")
	if err != nil || !bytes.Contains(r.Body, []byte(literalSecret)) {
		t.Errorf("got %s, error %v", r.Body, err)
	}
	putCluster(t, s, "", "")
	closeStore(t, s)

	// The key file likewise; a missing one is not replaced.
	s = open(o)
	putCluster(t, s, "", literalSecret)
	closeStore(t, s)
	openErr(t, phrase, state.ErrNoKey, "configure no encryption_key")
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path+".key", 0o644); err != nil {
			t.Fatal(err)
		}
		openErr(t, o, state.ErrNoKey, "chmod 600", "fado.db.key")
		if err := os.Chmod(path+".key", 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(path+".key", path+".away"); err != nil {
		t.Fatal(err)
	}
	openErr(t, o, state.ErrNoKey, "fado.db.key is missing")
	if _, err := os.Stat(path + ".key"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a new key file was made (error %v)", err)
	}
	if err := os.Rename(path+".away", path+".key"); err != nil {
		t.Fatal(err)
	}
	closeStore(t, open(o))
}

// A transaction that had a failure can't commit, even if f drops the error.
func TestDroppedErrorDoesNotCommit(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "fado.db"))
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		_ = tx.Put(state.Record{Kind: catalog.KindZone, Name: "z", Body: []byte(`{}`)})
		_ = tx.Put(state.Record{Kind: catalog.KindCluster, Name: "c", Body: []byte(`no JSON`)})
		return nil
	})
	if err == nil {
		t.Error("the transaction committed")
	}
	if _, err := s.Catalogue().Get(ctx, catalog.KindZone, "z"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("got error %v, want ErrNotFound", err)
	}
}

func TestTxIsOfNoUseAfterwards(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "fado.db"))
	var kept state.Tx
	if _, err := s.Catalogue().Update(ctx, func(tx state.Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := kept.Put(state.Record{Kind: catalog.KindZone, Name: "z", Body: []byte(`{}`)}); !errors.Is(err, errTxEnded) {
		t.Errorf("got error %v, want %v", err, errTxEnded)
	}
}

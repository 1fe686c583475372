package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/state/transfer"
)

// command runs "caddy fado" with arguments.
func command(args ...string) (stdout, stderr string, err error) {
	cmd := &cobra.Command{Use: "fado", SilenceUsage: true}
	caddycmd.Commands()["fado"].CobraFunc(cmd)
	var out, errOut bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	err = cmd.ExecuteContext(context.Background())
	return out.String(), errOut.String(), err
}

// withSecret makes a store that holds a literal secret, and returns its path.
func withSecret(t *testing.T, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fado.db")
	useStore(t, path, key, func(s *sqlite.Store) error {
		_, err := s.Catalogue().Update(t.Context(), func(tx state.Tx) error {
			return tx.Put(state.Record{Kind: catalog.KindCluster, Name: "c1", Body: []byte(`{"name":"c1","storage":{"endpoint":"http://s","secret_key":"the literal"}}`)})
		})
		return err
	})
	return path
}

func useStore(t *testing.T, path, key string, f func(*sqlite.Store) error) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Key: []byte(key)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f(s), s.Close()); err != nil {
		t.Fatal(err)
	}
}

func holdsSecret(t *testing.T, path, key string) {
	t.Helper()
	useStore(t, path, key, func(s *sqlite.Store) error {
		r, err := s.Catalogue().Get(t.Context(), catalog.KindCluster, "c1")
		if err == nil && !bytes.Contains(r.Body, []byte("the literal")) {
			t.Errorf("got %s", r.Body)
		}
		return err
	})
}

func says(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s does not say %q: %s", what, part, text)
		}
	}
}

func TestMigrateStore(t *testing.T) {
	from := withSecret(t, "the old key")
	to := filepath.Join(t.TempDir(), "new", "fado.db")
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte("the new key, long enough\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OLD_KEY", "the old key")
	out, progress, err := command("migrate-store", "--from", "sqlite:"+from, "--from-key", "{env.OLD_KEY}", "--to", "sqlite:"+to, "--to-key-file", keyFile)
	if err != nil {
		t.Fatal(err)
	}
	says(t, "the result", out, "1 clusters", "0 pending objects", "The target holds the same")
	says(t, "the progress", progress, "clusters: 1 copied", "clusters: 1 read back")
	holdsSecret(t, to, "the new key, long enough")
	holdsSecret(t, from, "the old key")

	_, _, err = command("migrate-store", "--from", "sqlite:"+from, "--from-key", "{env.OLD_KEY}", "--to", "sqlite:"+to, "--to-key-file", keyFile)
	if !errors.Is(err, transfer.ErrNotEmpty) {
		t.Errorf("got error %v, want one of a target that is not empty", err)
	}
}

// A key is changed in a store that is there, or not at all: nothing is made.
func TestRotateKeyRefusesAStoreThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	path := filepath.Join(dir, "fado.db")
	_, _, err := command("rotate-key", "--store", "sqlite:"+path)
	if err == nil {
		t.Fatal("a key was changed in a store that is not there")
	}
	says(t, "the error", err.Error(), "there is no store", "fado.db")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the store was made: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = command("rotate-key", "--store", "sqlite:"+empty)
	if err == nil {
		t.Fatal("a key was changed in an empty file")
	}
	says(t, "the error", err.Error(), "has no store in it")
	if _, err := os.Stat(empty + ".key"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key file was made: %v", err)
	}
}

// TestCommandsRefuse has what can't be done refused with what was expected, and no
// secret in the message.
func TestCommandsRefuse(t *testing.T) {
	dir := t.TempDir()
	path, other := withSecret(t, ""), filepath.Join(dir, "other.db")
	t.Setenv("EMPTY", "")
	t.Setenv("WRONG", "wrong")
	inUse := withSecret(t, "")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: inUse})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":           {[]string{"migrate-store"}, "--from: not given"},
		"no type":           {[]string{"migrate-store", "--from", path, "--to", "sqlite:" + other}, "--from: \"" + path + "\": expected <type>:<argument>"},
		"unknown type":      {[]string{"migrate-store", "--from", "oracle:x", "--to", "sqlite:" + other}, `--from: "oracle"`},
		"the same":          {[]string{"migrate-store", "--from", "sqlite:" + path, "--to", "sqlite:" + path}, "both name the same store"},
		"no such source":    {[]string{"migrate-store", "--from", "sqlite:" + other, "--to", "sqlite:" + other + "2"}, "no such file"},
		"in use":            {[]string{"migrate-store", "--from", "sqlite:" + inUse, "--to", "sqlite:" + other}, "in use by process"},
		"wrong key":         {[]string{"migrate-store", "--from", "sqlite:" + path, "--from-key", "{env.WRONG}", "--to", "sqlite:" + other}, "configure no encryption_key"},
		"literal key":       {[]string{"migrate-store", "--from", "sqlite:" + path, "--from-key", "s3cret", "--to", "sqlite:" + other}, "--from-key: expected a placeholder"},
		"unset placeholder": {[]string{"migrate-store", "--from", "sqlite:" + path, "--to", "sqlite:" + other, "--to-key", "{env.EMPTY}"}, "--to-key: "},
		"weak new key":      {[]string{"rotate-key", "--store", "sqlite:" + path, "--new-key", "{env.WRONG}"}, "--new-key: it has 5 characters, expected at least 16"},
		"weak target key":   {[]string{"migrate-store", "--from", "sqlite:" + path, "--to", "sqlite:" + other, "--to-key", "{env.WRONG}"}, "--to-key: it has 5 characters"},
		"two keys":          {[]string{"rotate-key", "--store", "sqlite:" + path, "--key", "{env.WRONG}", "--key-file", "x"}, "expected one of them"},
		"no key file":       {[]string{"rotate-key", "--store", "sqlite:" + path, "--new-key-file", dir + "/none"}, "--new-key-file: open "},
		"rotate in use":     {[]string{"rotate-key", "--store", "sqlite:" + inUse}, "in use by process"},
		"same key":          {[]string{"rotate-key", "--store", "sqlite:" + path, "--key", "{env.WRONG}", "--new-key", "{env.WRONG}"}, "the same as the present key"},
		"arguments":         {[]string{"rotate-key", "x"}, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := command(c.args...)
			if err == nil {
				t.Fatal("no error")
			}
			says(t, "the error", err.Error(), c.says)
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
	holdsSecret(t, path, "")
}

// A command that there is not is an error for scripts, with what it may have been meant to be; without
// a command there is help.
func TestNoSuchCommand(t *testing.T) {
	caddyFado := func(args ...string) (string, error) {
		root, cmd := &cobra.Command{Use: "caddy", SilenceUsage: true}, &cobra.Command{Use: "fado <command>"}
		caddycmd.Commands()["fado"].CobraFunc(cmd)
		root.AddCommand(cmd)
		var out bytes.Buffer
		root.SetArgs(append([]string{"fado"}, args...))
		root.SetOut(&out)
		root.SetErr(&out)
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	for args, want := range map[string]string{
		"bukets":       `"bukets": no such command; did you mean buckets or bucket?`,
		"plans":        `"plans": no such command; did you mean plan?`,
		"frobnicate x": `"frobnicate": no such command; caddy fado --help lists them`,
		"audit exprot": `unknown command "exprot" for "caddy fado audit"`,
	} {
		if _, err := caddyFado(strings.Fields(args)...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	for _, args := range [][]string{{}, {"--help"}, {"help"}} {
		if out, err := caddyFado(args...); err != nil || !strings.Contains(out, "Seals the literal secrets") {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}

func TestLiteralPasswordsAreRefused(t *testing.T) {
	for dsn, refused := range map[string]bool{
		"postgres://fado:s3cret@db/fado": true, "postgres://fado:s3{env.X}@db/fado": true, "postgres://db/fado?password=s3cret": true,
		"host=db password=s3cret user=x": true, "host=db password = 's3 cret'": true, "host=db sslpassword=s3cret": true, "postgres://:s3cret@db": true,
		"postgres://fado:{env.X}@db/fado": false, "postgres://fado@db/fado": false, "postgres://fado:@db/fado": false, "postgres://db/fado?password={env.X}": false,
		"host=db password={file./run/x} user=x": false, "{env.DSN}": false, "host=db passfile=/x": false, "postgres://[::1]:5432/fado": false, "postgres://a:5432,b:5432/fado": false,
	} {
		if err := refuseLiteralPassword(dsn); (err != nil) != refused {
			t.Errorf("%s: error %v", dsn, err)
		}
		if shown := hidePassword(dsn); strings.Contains(shown, "s3") {
			t.Errorf("%s is shown as %s", dsn, shown)
		}
	}
}

func TestRotateKeyCommand(t *testing.T) {
	path := withSecret(t, "")
	before, err := os.ReadFile(path + ".key")
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := command("rotate-key", "--store", "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	says(t, "the result", out, "1 clusters", "The new key file is in place")
	if after, err := os.ReadFile(path + ".key"); err != nil || bytes.Equal(before, after) {
		t.Errorf("the key file is the same (error %v)", err)
	}
	holdsSecret(t, path, "")

	t.Setenv("NEW_KEY", "the new key, long enough")
	if out, _, err = command("rotate-key", "--store", "sqlite:"+path, "--new-key", "{env.NEW_KEY}"); err != nil {
		t.Fatal(err)
	}
	says(t, "the result", out, "Configure the new key as encryption_key")
	holdsSecret(t, path, "the new key, long enough")
	if out, _, err = command("rotate-key", "--store", "sqlite:"+path, "--key", "{env.NEW_KEY}"); err != nil {
		t.Fatal(err)
	}
	says(t, "the result", out, "Take encryption_key out of the configuration")
	holdsSecret(t, path, "")
}

// TestCommandsOnPostgres moves a store to PostgreSQL and back, and changes the key there.
// No output holds a secret.
func TestCommandsOnPostgres(t *testing.T) {
	server := testenv.PostgresServer(t)
	dsn := strings.Replace(server.Database(t), server.Password, "{env.TEST_DB_PASSWORD}", 1)
	for name, value := range map[string]string{"TEST_DB_PASSWORD": server.Password, "OLD_KEY": "s3cret former key", "NEW_KEY": "s3cret present key"} {
		t.Setenv(name, value)
	}
	var said strings.Builder
	run := func(args ...string) error {
		out, progress, err := command(args...)
		said.WriteString(out + progress)
		if err != nil {
			said.WriteString(err.Error())
		}
		return err
	}
	path, back := withSecret(t, ""), filepath.Join(t.TempDir(), "back.db")
	if err := run("migrate-store", "--from", "sqlite:"+path, "--to", dsn); !errors.Is(err, state.ErrNoKey) {
		t.Errorf("literal secrets were taken to a database without a key: %v", err)
	}
	if err := run("migrate-store", "--from", "sqlite:"+path, "--to", "postgres:"+dsn, "--to-key", "{env.OLD_KEY}"); err != nil {
		t.Fatal(err)
	}
	running, err := postgres.Open(t.Context(), postgres.Options{DSN: strings.Replace(dsn, "{env.TEST_DB_PASSWORD}", server.Password, 1), Key: []byte("s3cret present key"), FormerKeys: [][]byte{[]byte("s3cret former key")}})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	if _, err := running.Instances().Join(t.Context(), "an-instance"); err != nil {
		t.Fatal(err)
	}
	rotate := []string{"rotate-key", "--store", dsn, "--key", "{env.OLD_KEY}", "--new-key", "{env.NEW_KEY}"}
	if err := run(rotate...); err == nil || !strings.Contains(err.Error(), "1 instances use the store (an-instance)") {
		t.Errorf("got error %v", err)
	}
	if err := run("migrate-store", "--from", dsn, "--from-key", "{env.OLD_KEY}", "--to", "sqlite:"+back); !errors.Is(err, transfer.ErrInUse) {
		t.Errorf("got error %v", err)
	}
	if err := run(append(rotate, "--online")...); err != nil {
		t.Fatal(err)
	}
	if r, err := running.Catalogue().Get(t.Context(), catalog.KindCluster, "c1"); err != nil || !bytes.Contains(r.Body, []byte("the literal")) {
		t.Errorf("the instance reads %s, error %v", r.Body, err)
	}
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	if err := run("migrate-store", "--from", dsn, "--from-key", "{env.NEW_KEY}", "--to", "sqlite:"+back); err != nil {
		t.Fatal(err)
	}
	holdsSecret(t, back, "")
	for _, secret := range []string{server.Password, "s3cret", "the literal"} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("the commands told %q", secret)
		}
	}
}

// TestIncompleteStoreIsRefused starts Caddy on a store that a transfer did not fill.
func TestIncompleteStoreIsRefused(t *testing.T) {
	noLeaks(t)
	path := filepath.Join(t.TempDir(), "fado.db")
	useStore(t, path, "", func(s *sqlite.Store) error {
		return s.Facts().PutMeta(t.Context(), "transfer", `{"from":"sqlite /old.db","since":"2026-01-02T03:04:05Z"}`)
	})
	err := parse(t, "fado {\nstore sqlite "+path+"\n}", "").load()
	if err == nil {
		t.Fatal("it started")
	}
	says(t, "the error", err.Error(), transfer.ErrIncomplete.Error(), "sqlite /old.db", "run caddy fado migrate-store again")
}

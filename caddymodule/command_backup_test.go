package caddymodule

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/state/transfer"
)

// A store that is in use is backed up as it was at one moment, for its owner only, and the
// store that is filled from it holds the same and is paused.
func TestBackupAndRestore(t *testing.T) {
	path := withSecret(t, "")
	file, restored := filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), "new", "fado.db")
	useStore(t, path, "", func(s *sqlite.Store) error { // an instance runs
		out, _, err := command("backup", "--store", "sqlite:"+path, "--to", file)
		if err != nil {
			t.Fatal(err)
		}
		says(t, "the result", out, file, "only its owner", path+".key")
		_, err = s.Catalogue().Update(t.Context(), func(tx state.Tx) error {
			return tx.Put(state.Record{Kind: catalog.KindZone, Name: "later", Body: []byte(`{"name":"later"}`)})
		})
		return err
	})
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v", info, err)
	}
	if _, _, err := command("backup", "--store", "sqlite:"+path, "--to", file); err == nil {
		t.Error("a file was overwritten")
	}
	if _, _, err := command("restore", "--from", file, "--to", "sqlite:"+restored); err == nil {
		t.Error("it was restored without its key")
	}
	key, err := os.ReadFile(path + ".key")
	if err == nil {
		err = os.WriteFile(file+".key", key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := command("restore", "--from", file, "--to", "sqlite:"+restored)
	if err != nil {
		t.Fatal(err)
	}
	says(t, "the result", out, "1 clusters", "replication is paused", "/fado/replication/resume")
	holdsSecret(t, restored, "")
	useStore(t, restored, "", func(s *sqlite.Store) error {
		if zones, err := s.Catalogue().List(t.Context(), catalog.KindZone, "", 0); err != nil || len(zones) > 0 {
			t.Errorf("what came after the backup is there: %v, %v", zones, err)
		}
		paused, err := s.Pauses().Paused(t.Context())
		if !paused {
			t.Error("replication is not paused")
		}
		return err
	})
	if _, _, err := command("restore", "--from", file, "--to", "sqlite:"+restored); err == nil {
		t.Error("a store that holds something was filled")
	}
}

// A key that lies where the backup's would is nobody's to remove, and none is left where none is needed.
func TestBackupLeavesKeysAlone(t *testing.T) {
	source, cmd := filepath.Join(t.TempDir(), "fado.db"), &cobra.Command{}
	cmd.SetErr(io.Discard)
	incomplete := func(mark string) {
		useStore(t, source, "", func(s *sqlite.Store) error { return s.Facts().PutMeta(t.Context(), "transfer", mark) })
	}
	from, err := parseStore("store", "sqlite:"+source)
	if err != nil {
		t.Fatal(err)
	}
	incomplete(`{"from":"sqlite /old.db","since":"2026-01-02T03:04:05Z"}`)
	to := filepath.Join(t.TempDir(), "backup.db")
	if _, err := state.CreateKeyFile(sqlite.KeyFile(to)); err != nil {
		t.Fatal(err)
	}
	if err := copyToFile(t.Context(), cmd, from, to); !errors.Is(err, transfer.ErrIncomplete) {
		t.Fatalf("error %v", err)
	}
	if left, err := filepath.Glob(to + "*"); err != nil || !slices.Equal(left, []string{sqlite.KeyFile(to)}) {
		t.Errorf("a backup that fails leaves %v, want the key that was there: %v", left, err)
	}
	incomplete("")
	to = filepath.Join(t.TempDir(), "backup.db")
	if err := copyToFile(t.Context(), cmd, from, to); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(to + "*"); err != nil || !slices.Equal(left, []string{to}) {
		t.Errorf("a backup without secrets leaves %v: %v", left, err)
	}
}

// What is not there is neither backed up nor made.
func TestBackupRefuses(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "new", "fado.db")
	for _, args := range [][]string{
		{"backup", "--store", "sqlite:" + missing, "--to", filepath.Join(dir, "b.db")},
		{"backup", "--store", "sqlite:" + missing},
		{"restore", "--from", missing, "--to", "sqlite:" + filepath.Join(dir, "other", "fado.db")},
		{"migrate-store", "--from", "sqlite:" + missing, "--to", "sqlite:" + filepath.Join(dir, "other", "fado.db")},
	} {
		if _, _, err := command(args...); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("files were made: %v, %v", files, err)
	}
}

// A PostgreSQL store is backed up while instances use it, and restored to either engine.
func TestBackupOfPostgres(t *testing.T) {
	server := testenv.PostgresServer(t)
	dsn := strings.Replace(server.Database(t), server.Password, "{env.TEST_DB_PASSWORD}", 1)
	t.Setenv("TEST_DB_PASSWORD", server.Password)
	t.Setenv("STORE_KEY", "the key of the store")
	path, file, restored := withSecret(t, ""), filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), "fado.db")
	if _, _, err := command("migrate-store", "--from", "sqlite:"+path, "--to", dsn, "--to-key", "{env.STORE_KEY}"); err != nil {
		t.Fatal(err)
	}
	running, err := postgres.Open(t.Context(), postgres.Options{DSN: strings.Replace(dsn, "{env.TEST_DB_PASSWORD}", server.Password, 1), Key: []byte("the key of the store")})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	if _, err := running.Instances().Join(t.Context(), "an-instance"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := command("backup", "--store", dsn, "--key", "{env.STORE_KEY}", "--to", file); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(file + "*")
	if err != nil || len(left) != 1 {
		t.Errorf("files: %v, %v", left, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v", info, err)
	}
	if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("the literal")) {
		t.Errorf("the secret is in the backup in clear, error %v", err)
	}
	if _, _, err := command("restore", "--from", file, "--from-key", "{env.STORE_KEY}", "--to", "sqlite:"+restored); err != nil {
		t.Fatal(err)
	}
	holdsSecret(t, restored, "")
}

// A configuration is checked where its secrets are not; what else is wrong is found.
func TestValidateOffline(t *testing.T) {
	noLeaks(t)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	write := func(store, policy string) {
		text := `{
	admin off
	fado {
		store ` + store + `
		encryption_key {env.FADO_TEST_NO_KEY}
		zone z
		cluster c1 {
			zones z
			storage http://127.0.0.1:9 {
				access_key {env.FADO_TEST_NO_ACCESS}
				secret_key {file./nowhere/secret}
			}
		}
		bucket bkt {
			policy ` + policy + `
		}
	}
}
:0 {
	fado_events {
		token {env.FADO_TEST_NO_TOKEN}
	}
}
`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lite := "sqlite " + filepath.Join(t.TempDir(), "fado.db")
	write(lite, "default")
	if _, _, err := command("validate", "--config", file, "--adapter", "caddyfile"); err == nil {
		t.Error("secrets that are not there were not missed")
	}
	out, _, err := command("validate", "--config", file, "--adapter", "caddyfile", "--offline")
	if err != nil {
		t.Fatal(err)
	}
	says(t, "the result", out, "Valid configuration", "{env.FADO_TEST_NO_KEY}", "{file./nowhere/secret}", "{env.FADO_TEST_NO_TOKEN}")
	// A connection string that is a placeholder as a whole, too.
	write("postgres {env.FADO_TEST_NO_DSN}", "default")
	if out, _, err = command("validate", "--config", file, "--adapter", "caddyfile", "--offline"); err != nil {
		t.Fatal(err)
	}
	says(t, "the result", out, "Valid configuration", "{env.FADO_TEST_NO_DSN}", "{file./nowhere/secret}")
	// What the option secrets has are patterns: they stand for nothing anywhere.
	write(lite+"\n\t\tsecrets {env.FADO_*} {file./run/secrets/*} {env.FADO_TEST_NO_PATTERN}", "default")
	if out, _, err = command("validate", "--config", file, "--adapter", "caddyfile", "--offline"); err != nil {
		t.Fatal(err)
	}
	says(t, "the result", out, "Valid configuration", "{env.FADO_TEST_NO_KEY}")
	if strings.Contains(out, "*") || strings.Contains(out, "PATTERN") {
		t.Errorf("patterns are listed: %s", out)
	}
	write(lite, "gone")
	if _, _, err := command("validate", "--config", file, "--adapter", "caddyfile", "--offline"); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("error %v", err)
	}
}

// The unit is one that systemd takes.
func TestSystemdUnit(t *testing.T) {
	text := read(t, "examples/systemd/fado.service")
	if strings.Contains(strings.Join(all(`(?m)^(ExecStart=.*)$`, text), ""), "--environ") {
		t.Error("the unit prints its environment")
	}
	says(t, "the unit", text, "LoadCredential=")
	// The store is where the documentation says.
	data := strings.Join(all(`XDG_DATA_HOME=(\S+)`, text), "")
	says(t, "the unit", text, "in "+data+"/caddy/fado/fado.db")
	says(t, "docs/operations.md", read(t, "docs/operations.md"), "`"+data+"/caddy/fado/fado.db` |")
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not there")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "fado.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(text, "/usr/bin/caddy", self)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", unit).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

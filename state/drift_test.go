package state_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fado-project/fado/state/internal/stored"
)

// published are the migrations that databases have applied. They are never edited: what is
// to change is a new one. A new one is added here with the release that has it.
var published = map[string]string{
	"sqlite/migrations/0001_initial.sql":          "ce06543340c63f17",
	"sqlite/migrations/0002_pulled_uploads.sql":   "4186a08bad020d6a",
	"sqlite/migrations/0003_intents.sql":          "d7683027332c44fc",
	"sqlite/migrations/0005_identity.sql":         "457a97abf1c0ab69",
	"sqlite/migrations/0006_passes.sql":           "0d1547f8df3ec8d0",
	"sqlite/migrations/0007_revision.sql":         "14ac599eb87c9a81",
	"sqlite/migrations/0008_audit.sql":            "e4f8e5bcbabdddb6",
	"sqlite/migrations/0009_gone.sql":             "56c92990237b0103",
	"sqlite/migrations/0010_backlog_total.sql":    "67a33c2776c1b29f",
	"sqlite/migrations/0011_foreign.sql":          "6991984fa8c7e977",
	"sqlite/migrations/0012_claims.sql":           "b7065888a7701b4d",
	"sqlite/migrations/0013_checkpoints.sql":      "2895a69f2b3e159e",
	"sqlite/migrations/0014_causes.sql":           "cbfae309fd8c1f6d",
	"postgres/migrations/0001_initial.sql":        "83b71270db008ce5",
	"postgres/migrations/0002_pulled_uploads.sql": "99bbc696b5e60e1e",
	"postgres/migrations/0003_intents.sql":        "0d8af2e679740364",
	"postgres/migrations/0005_identity.sql":       "8b7ce48378a0baa0",
	"postgres/migrations/0006_passes.sql":         "de41697cc87bc4ee",
	"postgres/migrations/0007_revision.sql":       "21355fdb461985ec",
	"postgres/migrations/0008_audit.sql":          "6f2d0099be3b28d8",
	"postgres/migrations/0009_gone.sql":           "ec1e6132aa91413c",
	"postgres/migrations/0010_backlog_total.sql":  "788ae260b317c170",
	"postgres/migrations/0011_foreign.sql":        "29572f9d1fcef848",
	"postgres/migrations/0012_claims.sql":         "ce5a3db31427f08c",
	"postgres/migrations/0013_checkpoints.sql":    "87192c3d1e608d59",
	"postgres/migrations/0014_causes.sql":         "3f26b3aea8de2d90",
}

// TestVersionsInStep: both engines have the same versions, by the same names, up to the one
// that this FaDO knows; and what was published stays as it was.
func TestVersionsInStep(t *testing.T) {
	names := map[string][]string{}
	for _, engine := range []string{"sqlite", "postgres"} {
		files, err := filepath.Glob(filepath.Join(engine, "migrations", "*.sql"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(text)
			if got := hex.EncodeToString(sum[:8]); published[filepath.ToSlash(f)] != got {
				t.Errorf("%s has the sum %s, want %q: a published migration is not edited, make a new one", f, got, published[filepath.ToSlash(f)])
			}
			names[engine] = append(names[engine], filepath.Base(f))
		}
	}
	if !slices.Equal(names["sqlite"], names["postgres"]) {
		t.Errorf("SQLite has %q, PostgreSQL %q", names["sqlite"], names["postgres"])
	}
	for i, name := range names["sqlite"] {
		want := i + 1
		if want >= 4 { // which is code
			want++
		}
		if !strings.HasPrefix(name, fmt.Sprintf("%04d_", want)) {
			t.Errorf("%s: want number %d", name, want)
		}
	}
	if want := stored.SchemaVersion - 1; len(names["sqlite"]) != want { // one of them is code
		t.Errorf("%d files of migrations, want %d", len(names["sqlite"]), want)
	}
}

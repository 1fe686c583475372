package control_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

// applied is how many zones each batch of the tests writes.
const applied = 50

// batch returns version n of the zones, all of which carry it. Every other version has twice
// as many.
func batch(n int) (b control.Batch) {
	for i := range applied {
		b.Puts = append(b.Puts, &catalog.Zone{Name: fmt.Sprintf("z%d", i), Labels: map[string]string{"version": strconv.Itoa(n)}})
		if n%2 == 0 {
			b.Puts = append(b.Puts, &catalog.Zone{Name: fmt.Sprintf("extra%d", i), Labels: map[string]string{"version": strconv.Itoa(n)}})
		} else if n > 1 {
			b.Deletes = append(b.Deletes, state.Ref{Kind: catalog.KindZone, Name: fmt.Sprintf("extra%d", i)})
		}
	}
	return b
}

func apply(ctx context.Context, c *control.Control, b control.Batch) error {
	at, err := c.Resources.Catalogue(ctx)
	if err == nil {
		_, err = c.Resources.Apply(ctx, at, b)
	}
	return err
}

// storeOf opens the store that a name stands for.
func storeOf(t testing.TB, name string) state.Store {
	t.Helper()
	if path, ok := strings.CutPrefix(name, "sqlite:"); ok {
		s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	return openPostgres(t, name)
}

const applierEnv = "FADO_TEST_APPLIER"

// TestApplier is no test: it is the process that TestApplyKilled kills.
func TestApplier(t *testing.T) {
	name, begin, _ := strings.Cut(os.Getenv(applierEnv), " ")
	if name == "" {
		t.Skip("runs as a child of TestApplyKilled")
	}
	n, err := strconv.Atoi(begin)
	if err != nil {
		t.Fatal(err)
	}
	c, err := control.New(control.Options{Store: storeOf(t, name), Node: "n"})
	if err == nil {
		err = c.Start(t.Context())
	}
	if err == nil {
		_, err = c.Attach(t.Context(), control.Config{})
	}
	for ; err == nil; n++ {
		if err = apply(t.Context(), c, batch(n)); err == nil {
			_, err = fmt.Println("applied", n)
		}
	}
	t.Fatal(err)
}

// A batch is there as a whole or not at all, whenever the process is killed; what was
// answered is there.
func TestApplyKilled(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind, name string
		runs       int
	}{
		{"sqlite", "sqlite:" + filepath.Join(t.TempDir(), "fado.db"), 8},
		{"postgres", testenv.PostgresDatabase(t), 3}, // each waits for the lease of the one before
	} {
		t.Run(tc.kind, func(t *testing.T) {
			t.Parallel()
			version, name := 0, tc.name
			for _, seed := range testenv.Seeds(t, tc.runs) {
				rng := rand.New(rand.NewPCG(seed, 0))
				acked := killed(t, name, version+1, rng.IntN(4), time.Duration(rng.IntN(20))*time.Millisecond)
				s := storeOf(t, name)
				zones, err := s.Catalogue().List(t.Context(), catalog.KindZone, "", 0)
				if err = errors.Join(err, s.Close()); err != nil {
					t.Fatal(err)
				}
				if version = wholeVersion(t, zones); version < acked {
					t.Fatalf("version %d was answered, and the store has %d", acked, version)
				}
			}
		})
	}
}

// killed starts an applier, kills it some time after so many answers, and returns the last
// version that it answered.
func killed(t *testing.T, name string, begin, answers int, later time.Duration) (acked int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestApplier$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", applierEnv, name, begin))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill := func() { once.Do(func() { _ = cmd.Process.Kill() }) }
	defer kill()
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		version, ok := strings.CutPrefix(lines.Text(), "applied ")
		if !ok {
			t.Fatalf("the child said %q", lines.Text())
		}
		if acked, err = strconv.Atoi(version); err != nil {
			t.Fatal(err)
		}
		if n == answers {
			time.AfterFunc(later, kill)
		}
	}
	_ = cmd.Wait()
	return acked
}

// wholeVersion returns the version that all zones carry.
func wholeVersion(t *testing.T, zones []state.Record) int {
	t.Helper()
	if len(zones) == 0 {
		return 0
	}
	seen := make(map[string]int)
	for _, z := range zones {
		_, version, _ := strings.Cut(string(z.Body), `"version":"`)
		version, _, _ = strings.Cut(version, `"`)
		seen[version]++
	}
	for version, n := range seen {
		v, err := strconv.Atoi(version)
		if want := applied * (2 - v%2); err == nil && len(seen) == 1 && n == want {
			return v
		}
	}
	t.Fatalf("a part of a batch: %v", seen)
	return 0
}

// A batch is refused once the catalogue has moved on, by whatever change and whichever
// instance made it; and it is in force on every instance when it is answered.
func TestApplyToOneVersion(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	a, b := join(t, dsn), join(t, dsn)
	at, err := a.Resources.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.must(t, &catalog.Zone{Name: "other"})
	if _, err := a.Resources.Apply(t.Context(), at, batch(2)); !errors.Is(err, control.ErrPrecondition) {
		t.Fatalf("a batch for a former version: %v", err)
	}
	if a.Router().Snapshot().Zone("z0") != nil {
		t.Error("a refused batch is routed by")
	}
	if err := apply(t.Context(), a.Control, batch(2)); err != nil {
		t.Fatal(err)
	}
	for _, i := range []*instance{a, b} {
		if snap := i.Router().Snapshot(); snap.Len(catalog.KindZone) != 2*applied+1 {
			t.Errorf("an instance knows %d zones", snap.Len(catalog.KindZone))
		}
	}
	if err := apply(t.Context(), b.Control, batch(3)); err != nil {
		t.Fatal(err)
	}
	if snap := a.Router().Snapshot(); snap.Len(catalog.KindZone) != applied+1 || snap.Zone("z0").Labels["version"] != "3" {
		t.Errorf("the other instance knows %d zones", snap.Len(catalog.KindZone))
	}
}

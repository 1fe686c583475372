package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/state/transfer"
)

var ctx = context.Background()

func TestMain(m *testing.M) {
	// Each check fills and compares two stores, and there are four pairs of engines;
	// -rapid.checks asks for more.
	_ = flag.Set("rapid.checks", "20") // the flag exists: rapid registers it
	goleak.VerifyTestMain(testenv.Main(m))
}

// engine opens stores of one kind for the tests.
type engine struct {
	name string
	// open makes a new, empty store.
	open func(t testing.TB) state.Movable
}

func engines() []engine {
	return []engine{{"sqlite", openSQLite}, {"postgres", openPostgres}}
}

func openSQLite(t testing.TB) state.Movable {
	t.Helper()
	return openFile(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
}

// openPostgres opens a store on a database of its own. Without PostgreSQL the test is
// skipped.
func openPostgres(t testing.TB) state.Movable {
	t.Helper()
	s, err := postgres.Open(ctx, postgres.Options{DSN: testenv.PostgresDatabase(t), Key: []byte("a passphrase of the tests"), MaxConns: 4, ConnectTimeout: time.Minute, StatementTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openFile(t testing.TB, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ok(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content is all that a store holds, read by other ways than a transfer's where there
// are such.
type content struct {
	Resources map[catalog.Kind][]state.Record
	Copies    []state.Copy
	Pending   []state.Pending
	Pulled    []state.Pulled
	Uploads   []state.Upload
	Intents   [6]any
	Meta      [][2]string
	Backlogs  []state.Backlog
	Referrers map[string][]state.Ref
}

func contentOf(t rapid.TB, s state.Movable) content {
	t.Helper()
	c := content{Resources: map[catalog.Kind][]state.Record{}, Referrers: map[string][]state.Ref{}}
	var err error
	for _, k := range catalog.Kinds {
		c.Resources[k], err = s.Catalogue().List(ctx, k, "", 0)
		ok(t, err)
		for i := range c.Resources[k] {
			c.Resources[k][i].Rev = 0
		}
	}
	_, err = s.Catalogue().Update(ctx, func(tx state.Tx) error {
		for _, r := range c.Resources[catalog.KindPolicy] {
			if c.Referrers[r.Name], err = tx.Referrers(state.Ref{Kind: r.Kind, Name: r.Name}, 0); err != nil {
				return err
			}
		}
		return nil
	})
	ok(t, err)
	ok(t, s.Catalogue().EachCopy(ctx, func(row state.Copy) error { c.Copies = append(c.Copies, row); return nil }))
	c.Pending, err = s.Queue().ListPending(ctx, state.PendingFilter{}, state.PendingKey{}, 0)
	ok(t, err)
	for i := range c.Pending {
		c.Pending[i].Gen, c.Pending[i].ClaimedBy, c.Pending[i].ClaimUntil = 0, "", time.Time{}
	}
	c.Pulled, err = s.Pulls().ListPulled(ctx, state.PulledFilter{}, 0)
	ok(t, err)
	slices.SortFunc(c.Pulled, func(a, b state.Pulled) int {
		return strings.Compare(a.Bucket+a.Key+a.Cluster, b.Bucket+b.Key+b.Cluster)
	})
	ok(t, s.Uploads().EachUpload(ctx, func(u state.Upload) error { c.Uploads = append(c.Uploads, u); return nil }))
	slices.SortFunc(c.Uploads, func(a, b state.Upload) int {
		return strings.Compare(a.Bucket+a.Key+a.Cluster, b.Bucket+b.Key+b.Cluster)
	})
	ok(t, s.EachMeta(ctx, func(k, v string) error { c.Meta = append(c.Meta, [2]string{k, v}); return nil }))
	c.Intents = intentsOf(t, s)
	c.Backlogs, err = s.Queue().Backlogs(ctx, "")
	ok(t, err)
	for i := range c.Backlogs {
		for j := range c.Backlogs[i].Causes {
			c.Backlogs[i].Causes[j].Error = "" // any one of several
		}
	}
	return c
}

// intentsOf reads what people asked for.
func intentsOf(t rapid.TB, s state.Movable) [6]any {
	t.Helper()
	purges, err := s.Purges().Purges(ctx)
	ok(t, err)
	keys := map[string][]state.PurgeKey{}
	for i, p := range purges {
		purges[i].ID = 0
		keys[p.Bucket], err = s.Purges().PurgeKeys(ctx, p.Bucket, state.PurgeKey{}, 0)
		ok(t, err)
	}
	resolutions, err := s.Resolutions().Resolutions(ctx)
	ok(t, err)
	for i := range resolutions {
		resolutions[i].ID = 0
	}
	allowances, err := s.Allowances().DeleteAllowances(ctx, "")
	ok(t, err)
	verifications, err := s.Verifications().ListVerifications(ctx, state.VerificationFilter{}, "", 0)
	ok(t, err)
	mismatches := map[string][]state.Mismatch{}
	for _, v := range verifications {
		mismatches[v.Bucket], err = s.Verifications().ListMismatches(ctx, v.Bucket, state.MismatchFilter{}, state.Mismatch{}, 0)
		ok(t, err)
	}
	paused, err := s.Pauses().Paused(ctx)
	ok(t, err)
	scrub, err := s.Verifications().GetScrub(ctx)
	ok(t, err)
	return [6]any{purges, keys, resolutions, allowances, []any{verifications, mismatches}, []any{paused, scrub}}
}

func sameContent(t rapid.TB, got, want content) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("the stores differ:\n got %+v\nwant %+v", got, want)
	}
}

// moment draws times, none among them.
var moment = rapid.Custom(func(t *rapid.T) time.Time {
	ms := rapid.Int64Range(0, 1<<40).Draw(t, "ms")
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
})

var (
	text    = rapid.SampledFrom([]string{"", "a", "b/", "é", "a\nb", `"quoted"`, "{env.X}", "long-" + strings.Repeat("x", 900)})
	name    = rapid.SampledFrom([]string{"a", "b", "c"})
	amounts = rapid.Int64Range(0, 1<<50)
)

// fill puts random rows of every kind into a store.
func fill(t *rapid.T, s state.Movable) {
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		for _, n := range rapid.SliceOfDistinct(name, rapid.ID).Draw(t, "names") {
			body := fmt.Appendf(nil, `{"name":%q, "storage":{"access_key":"literal-%s","secret_key":"{env.S}"}}`, n, n)
			ok(t, tx.Put(state.Record{Kind: catalog.KindCluster, Name: n, Body: body}))
			ok(t, tx.Put(state.Record{Kind: catalog.KindPolicy, Name: n, Body: []byte(`{}`), Refs: []state.Ref{{Kind: catalog.KindCluster, Name: n}}}))
			ok(t, tx.Put(state.Record{Kind: catalog.KindBucket, Name: n, Body: []byte(`{ "x":[1, 2] }`), Refs: []state.Ref{{Kind: catalog.KindPolicy, Name: "a"}}}))
			ok(t, tx.Put(state.Record{Kind: catalog.KindKey, Name: n, Body: fmt.Appendf(nil, `{"secret":"literal-%s"}`, n)}))
		}
		for range rapid.IntRange(0, 4).Draw(t, "copies") {
			ok(t, tx.PutCopy(genCopy.Draw(t, "copy")))
		}
		return nil
	})
	ok(t, err)
	for range rapid.IntRange(0, 5).Draw(t, "pending") {
		_, err := s.Queue().AddPending(ctx, genPending.Draw(t, "row"))
		ok(t, err)
	}
	if rapid.Bool().Draw(t, "some are claimed") {
		_, err := s.Queue().ClaimPending(ctx, "node", 2, time.Minute, time.UnixMilli(1<<41))
		ok(t, err)
	}
	for range rapid.IntRange(0, 3).Draw(t, "pulled") {
		ok(t, s.Pulls().PutPulled(ctx, state.Pulled{
			Bucket: name.Draw(t, "bucket"), Key: text.Draw(t, "key"), Cluster: name.Draw(t, "cluster"), Size: amounts.Draw(t, "size"),
			ETag: text.Draw(t, "etag"), UsedAt: moment.Draw(t, "used"), Until: moment.Draw(t, "until"),
		}))
	}
	for range rapid.IntRange(0, 3).Draw(t, "uploads") {
		ok(t, s.Uploads().PutUpload(ctx, state.Upload{
			Bucket: name.Draw(t, "bucket"), Key: text.Draw(t, "key"), Cluster: name.Draw(t, "cluster"), Token: text.Draw(t, "token"), Started: moment.Draw(t, "started"),
		}))
	}
	fillIntents(t, s)
	for range rapid.IntRange(0, 2).Draw(t, "meta values") {
		ok(t, s.Facts().PutMeta(ctx, name.Draw(t, "key"), text.Draw(t, "value")))
	}
}

// fillIntents puts what people may have asked for into a store.
func fillIntents(t *rapid.T, s state.Movable) {
	for range rapid.IntRange(0, 3).Draw(t, "purges") {
		bucket := name.Draw(t, "bucket")
		_, err := s.Purges().AddPurge(ctx, state.Purge{Bucket: bucket, Mode: state.PurgeAll, Primary: "a", Since: moment.Draw(t, "since"), Targets: []state.PurgeTarget{
			{Cluster: "a", Primary: true, OwnedUntil: moment.Draw(t, "owned")}, {Cluster: "b", Verified: true, PulledOnly: rapid.Bool().Draw(t, "pulled")},
		}})
		ok(t, err)
		ok(t, s.Purges().PutPurgeKeys(ctx, bucket, state.PurgeKey{Cluster: "b", Key: text.Draw(t, "key"), ETag: text.Draw(t, "etag")}))
	}
	for range rapid.IntRange(0, 2).Draw(t, "resolutions") {
		_, err := s.Resolutions().AddResolution(ctx, state.Resolution{
			Bucket: name.Draw(t, "bucket"), Key: text.Draw(t, "key"), Winner: "newest", Discard: true, Asked: moment.Draw(t, "asked"), After: text.Draw(t, "after"), Resolved: 3, Refused: 1,
		})
		ok(t, err)
	}
	for range rapid.IntRange(0, 2).Draw(t, "allowances") {
		ok(t, s.Allowances().AllowDeletes(ctx, time.UnixMilli(1), state.DeleteAllowance{
			Bucket: name.Draw(t, "bucket"), Prefix: text.Draw(t, "prefix"), Cluster: "a", Left: amounts.Draw(t, "left"), Until: moment.Draw(t, "until"),
		}))
	}
	for range rapid.IntRange(0, 3).Draw(t, "verifications") {
		bucket := name.Draw(t, "bucket")
		_, err := s.Verifications().UpdateVerification(ctx, bucket, func(v *state.Verification) error {
			*v = state.Verification{Bucket: bucket, Node: "n", UnderWay: true, State: "running", Started: time.UnixMilli(5), Total: 9, Done: []string{"x"}, Cursor: "k", Damage: "d"}
			return nil
		})
		ok(t, err)
		ok(t, s.Verifications().PutMismatches(ctx, bucket, state.Mismatch{Key: text.Draw(t, "key"), Cluster: name.Draw(t, "cluster"), Reason: text.Draw(t, "reason"), State: "repairing"}))
	}
	ok(t, s.Pauses().SetPaused(ctx, rapid.Bool().Draw(t, "paused")))
	ok(t, s.Verifications().SaveScrub(ctx, state.Scrub{Last: moment.Draw(t, "last"), Running: rapid.Bool().Draw(t, "running"), After: name.Draw(t, "after")}))
}

var genCopy = rapid.Custom(func(t *rapid.T) state.Copy {
	return state.Copy{
		Bucket: name.Draw(t, "bucket"),
		Copy: catalog.Copy{
			Prefix: text.Draw(t, "prefix"), Cluster: name.Draw(t, "cluster"), Primary: rapid.Bool().Draw(t, "primary"),
			State: rapid.SampledFrom([]catalog.CopyState{catalog.CopySyncing, catalog.CopySynced, catalog.CopyDraining}).Draw(t, "state"), Cursor: text.Draw(t, "cursor"),
			MadeBucket: rapid.Bool().Draw(t, "made"), HeldDeletes: rapid.Bool().Draw(t, "held"),
			FormerPrimary: rapid.Bool().Draw(t, "former"), Anywhere: rapid.Bool().Draw(t, "anywhere"),
		},
		Objects: amounts.Draw(t, "objects"), Bytes: amounts.Draw(t, "bytes"), Error: text.Draw(t, "error"),
		VerifiedAt: moment.Draw(t, "verified"), ScanCursor: text.Draw(t, "scan cursor"), OwnedUntil: moment.Draw(t, "owned"),
		DrainSince: moment.Draw(t, "drain"),
	}
})

var genPending = rapid.Custom(func(t *rapid.T) state.Pending {
	return state.Pending{
		Bucket: name.Draw(t, "bucket"), Key: text.Draw(t, "key"), Cluster: name.Draw(t, "cluster"), Size: amounts.Draw(t, "size"),
		Since: time.UnixMilli(rapid.Int64Range(1, 1<<40).Draw(t, "since")).UTC(), Attempts: rapid.IntRange(0, 9).Draw(t, "attempts"),
		NextAttempt: moment.Draw(t, "next"), Error: text.Draw(t, "error"),
		Hold:    rapid.SampledFrom([]state.Hold{state.HoldNone, state.HoldConflict, state.HoldDeletes}).Draw(t, "hold"),
		Foreign: rapid.SampledFrom([]state.Foreign{"", "e1 of then", state.ForeignAny}).Draw(t, "foreign"), Background: rapid.Bool().Draw(t, "background"),
		Damaged: rapid.Bool().Draw(t, "damaged"), Counted: rapid.Bool().Draw(t, "counted"),
	}
})

// TestMove takes random content from every engine to every engine, over what an
// interrupted transfer may have left, and compares.
func TestMove(t *testing.T) {
	for _, from := range engines() {
		for _, to := range engines() {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				source, target := from.open(t), to.open(t)
				rapid.Check(t, func(t *rapid.T) {
					ok(t, source.Clear(ctx))
					ok(t, target.Clear(ctx))
					fill(t, source)
					if rapid.Bool().Draw(t, "interrupted before") {
						leaveIncomplete(t, target)
					}
					want := contentOf(t, source)
					counts, err := transfer.Move(ctx, source, target, transfer.Options{Source: "s"})
					ok(t, err)
					sameContent(t, contentOf(t, source), want)
					sameContent(t, contentOf(t, target), want)
					ok(t, transfer.Check(ctx, target))
					checkCounts(t, counts, want)
					checkRevs(t, source, target)
				})
			})
		}
	}
}

// leaveIncomplete puts rows into a target that are none of the source's, as a transfer
// of another time might have.
func leaveIncomplete(t *rapid.T, target state.Movable) {
	fill(t, target)
	ok(t, target.Facts().PutMeta(ctx, "transfer", `{"from":"elsewhere","since":"2026-01-02T03:04:05Z"}`))
	if err := transfer.Check(ctx, target); !errors.Is(err, transfer.ErrIncomplete) || !strings.Contains(err.Error(), "elsewhere") {
		t.Fatalf("got error %v", err)
	}
}

func checkCounts(t *rapid.T, counts transfer.Counts, want content) {
	t.Helper()
	got := map[string]int64{}
	for _, c := range counts {
		got[c.What] = c.N
	}
	for what, n := range map[string]int{
		"clusters": len(want.Resources[catalog.KindCluster]), "copies": len(want.Copies),
		"pending objects": len(want.Pending), "settings": len(want.Meta),
	} {
		if got[what] != int64(n) {
			t.Fatalf("%d %s were counted, there are %d", got[what], what, n)
		}
	}
}

// checkRevs sees to it that no ETag of the source comes up again.
func checkRevs(t *rapid.T, source, target state.Movable) {
	t.Helper()
	last, err := source.ChangeLog().Seq(ctx)
	ok(t, err)
	seq, err := target.Catalogue().Update(ctx, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindZone, Name: "next", Body: []byte(`{}`)})
	})
	ok(t, err)
	if seq <= last {
		t.Fatalf("the target's next change has Seq %d, the source was at %d", seq, last)
	}
}

// some puts a little into a store.
func some(t testing.TB, s state.Store, rows int) {
	t.Helper()
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindCluster, Name: "c", Body: []byte(`{"name":"c","storage":{"access_key":"AK","secret_key":"literal secret"}}`)})
	})
	ok(t, err)
	all := make([]state.Pending, rows)
	for i := range all {
		all[i] = state.Pending{Bucket: "b", Key: fmt.Sprintf("k%06d", i), Cluster: "c", Size: 1, Since: time.UnixMilli(int64(i + 1)).UTC()}
	}
	_, err = s.Queue().AddPending(ctx, all...)
	ok(t, err)
}

func TestTargetMustBeEmpty(t *testing.T) {
	for _, e := range engines() {
		source, target := e.open(t), e.open(t)
		some(t, source, 1)
		some(t, target, 3)
		want := contentOf(t, target)
		_, err := transfer.Move(ctx, source, target, transfer.Options{})
		if !errors.Is(err, transfer.ErrNotEmpty) || !strings.Contains(err.Error(), "1 clusters, 3 pending objects") {
			t.Errorf("%s: got error %v", e.name, err)
		}
		sameContent(t, contentOf(t, target), want)
		ok(t, transfer.Check(ctx, target))
	}
}

// failing is a store whose writes fail after so many.
type failing struct {
	state.Movable
	left int
}

var errBroken = errors.New("broken")

func (f *failing) Queue() state.Queue { return failingQueue{f.Movable.Queue(), f} }

type failingQueue struct {
	state.Queue
	of *failing
}

func (f failingQueue) AddPending(ctx context.Context, rows ...state.Pending) ([]int64, error) {
	if f.of.left--; f.of.left < 0 {
		return nil, errBroken
	}
	return f.Queue.AddPending(ctx, rows...)
}

// TestInterrupted breaks a transfer off in its middle: the target says so, can't be
// started on, and is filled as a whole by the next one.
func TestInterrupted(t *testing.T) {
	for _, e := range engines() {
		source, target := e.open(t), e.open(t)
		some(t, source, 2500)
		_, err := transfer.Move(ctx, source, &failing{Movable: target, left: 1}, transfer.Options{Source: "the first"})
		if !errors.Is(err, errBroken) {
			t.Fatalf("%s: got error %v", e.name, err)
		}
		if err := transfer.Check(ctx, target); !errors.Is(err, transfer.ErrIncomplete) || !strings.Contains(err.Error(), "the first") {
			t.Fatalf("%s: got error %v", e.name, err)
		}
		if _, err := transfer.Move(ctx, target, e.open(t), transfer.Options{}); !errors.Is(err, transfer.ErrIncomplete) {
			t.Errorf("%s: half of a store could be taken elsewhere: %v", e.name, err)
		}
		_, err = transfer.Move(ctx, source, target, transfer.Options{})
		ok(t, err)
		sameContent(t, contentOf(t, target), contentOf(t, source))
	}
}

// lossy is a store that drops a row, or changes one.
type lossy struct {
	state.Movable
	change func(*state.Pending) (keep bool)
}

func (l lossy) Queue() state.Queue { return lossyQueue{l.Movable.Queue(), l} }

type lossyQueue struct {
	state.Queue
	of lossy
}

func (l lossyQueue) AddPending(ctx context.Context, rows ...state.Pending) ([]int64, error) {
	kept := slices.DeleteFunc(slices.Clone(rows), func(p state.Pending) bool { return p.Key == "k001234" && !l.of.change(&p) })
	for i := range kept {
		if kept[i].Key == "k001234" {
			l.of.change(&kept[i])
		}
	}
	return l.Queue.AddPending(ctx, kept...)
}

func TestVerifies(t *testing.T) {
	for what, change := range map[string]func(*state.Pending) bool{
		"2499, expected 2500":      func(*state.Pending) bool { return false },
		"as many as expected":      func(p *state.Pending) bool { p.Size++; return true },
		"but not the same":         func(p *state.Pending) bool { p.Key = "k001234x"; return true },
		"(2500), but not the same": func(p *state.Pending) bool { p.Since = p.Since.Add(time.Millisecond); return true },
	} {
		source, target := openSQLite(t), openSQLite(t)
		some(t, source, 2500)
		_, err := transfer.Move(ctx, source, lossy{target, change}, transfer.Options{})
		if !errors.Is(err, transfer.ErrDiffers) || !strings.Contains(err.Error(), "pending objects: ") || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got error %v", what, err)
		}
		if err := transfer.Check(ctx, target); !errors.Is(err, transfer.ErrIncomplete) {
			t.Errorf("the target passes for a whole one: %v", err)
		}
	}
}

func TestSourceChangesMeanwhile(t *testing.T) {
	source, target := openSQLite(t), openSQLite(t)
	some(t, source, 1)
	changed := false
	_, err := transfer.Move(ctx, source, target, transfer.Options{Progress: func(p transfer.Progress) {
		if p.Verifying && !changed {
			changed = true
			some(t, source, 2)
		}
	}})
	if !errors.Is(err, transfer.ErrInUse) {
		t.Errorf("got error %v", err)
	}
	if err := transfer.Check(ctx, target); !errors.Is(err, transfer.ErrIncomplete) {
		t.Errorf("the target passes for a whole one: %v", err)
	}
}

// TestSQLiteSourceIsUntouched takes from a file that was opened for reading only, one
// that was closed as it should be and one that was left by a crash.
func TestSQLiteSourceIsUntouched(t *testing.T) {
	for _, crashed := range []bool{false, true} {
		dir := t.TempDir()
		path := filepath.Join(dir, "fado.db")
		s := openFile(t, sqlite.Options{Path: path})
		some(t, s, 2500)
		want := contentOf(t, s)
		if crashed {
			path = filepath.Join(t.TempDir(), "fado.db")
			for _, suffix := range []string{"", "-wal", ".key"} {
				copyFile(t, filepath.Join(dir, "fado.db"+suffix), path+suffix)
			}
		}
		ok(t, s.Close())
		before := snapshotFiles(t, path)

		source := openFile(t, sqlite.Options{Path: path, ReadOnly: true})
		target := openSQLite(t)
		if _, err := sqlite.Open(ctx, sqlite.Options{Path: path}); !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("the file can be opened meanwhile: %v", err)
		}
		if err := source.Facts().PutMeta(ctx, "x", "y"); !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("the source can be written: %v", err)
		}
		_, err := transfer.Move(ctx, source, target, transfer.Options{})
		ok(t, err)
		ok(t, source.Close())
		sameContent(t, contentOf(t, target), want)
		for suffix, content := range before {
			if after, err := os.ReadFile(path + suffix); err != nil || !bytes.Equal(after, content) {
				t.Errorf("crashed %t: fado.db%s was changed (error %v)", crashed, suffix, err)
			}
		}
		sameContent(t, contentOf(t, openFile(t, sqlite.Options{Path: path})), want)
	}
}

// TestStoresInUse has instances at the source, and at the target.
func TestStoresInUse(t *testing.T) {
	shared, other := openPostgres(t), openSQLite(t)
	some(t, other, 1)
	member, err := shared.(state.Shared).Instances().Join(ctx, "fado-1")
	ok(t, err)
	for _, way := range [][2]state.Movable{{shared, other}, {other, shared}} {
		_, err := transfer.Move(ctx, way[0], way[1], transfer.Options{})
		if !errors.Is(err, transfer.ErrInUse) || !strings.Contains(err.Error(), "fado-1") {
			t.Errorf("got error %v", err)
		}
	}
	ok(t, member.Leave(ctx))
	_, err = transfer.Move(ctx, other, shared, transfer.Options{})
	ok(t, err)
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	ok(t, err)
	ok(t, os.WriteFile(to, b, 0o600))
}

func snapshotFiles(t testing.TB, path string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, suffix := range []string{"", "-wal", ".key"} {
		if b, err := os.ReadFile(path + suffix); err == nil {
			files[suffix] = b
		}
	}
	return files
}

package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/follow"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/control/mirror"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openStore(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// source is a store of its own that passes for a shared one, with a log of objects.
type source struct {
	state.Store

	mu      sync.Mutex
	objects []state.ObjectChange
	seen    time.Time
}

func (s *source) Instances() state.Instances { return sourceInstances{s} }

type sourceInstances struct{ of *source }

func (s sourceInstances) Join(context.Context, string) (state.Member, error) {
	return nil, errors.New("not here")
}
func (s sourceInstances) Members(context.Context) ([]state.MemberInfo, error) { return nil, nil }
func (s *source) Shared() state.Shared                                        { return s }

func (s sourceInstances) ObjectSeq(context.Context) (state.Seq, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return state.Seq(len(s.of.objects)), nil
}

func (s sourceInstances) Latest(ctx context.Context) (changes, objects state.Seq, err error) {
	if changes, err = s.of.ChangeLog().Seq(ctx); err == nil {
		objects, err = s.of.Instances().ObjectSeq(ctx)
	}
	return changes, objects, err
}

func (s sourceInstances) News(context.Context, state.NewsKind) <-chan struct{} { return nil }

func (s sourceInstances) ObjectChanges(_ context.Context, after state.Seq, _ int) ([]state.ObjectChange, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return slices.Clone(s.of.objects[min(int(after), len(s.of.objects)):]), nil
}

// At is where everything is known: as if it was followed at once.
func (s *source) At() (follow.Position, time.Time) {
	changes, _ := s.ChangeLog().Seq(context.Background())
	objects, _ := s.Instances().ObjectSeq(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	return follow.Position{Changes: changes, Objects: objects}, s.seen
}

// world is a source and what mirrors it.
type world struct {
	t      *testing.T
	source *source
	path   string
	logs   *observer.ObservedLogs
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	return &world{t: t, source: &source{Store: openStore(t, filepath.Join(dir, "store.db"))}, path: filepath.Join(dir, "mirror.db")}
}

// begin starts a mirror over the file.
func (w *world) begin() *mirror.Mirror {
	w.t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	w.logs = logs
	m := mirror.New(mirror.Options{Store: openStore(w.t, w.path), Source: w.source, Now: time.Now, Log: zap.New(core), LastPatience: 10 * time.Minute})
	w.t.Cleanup(m.Stop)
	m.Start()
	return m
}

// change changes the source, and tells the mirror if there is one.
func (w *world) change(m *mirror.Mirror, f func(tx state.Tx) error, about ...state.Ref) {
	w.t.Helper()
	if _, err := w.source.Catalogue().Update(context.Background(), f); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range about {
		c := &publish.Change{Ref: r, Resource: true}
		if err := c.Read(context.Background(), w.source.Catalogue()); err != nil {
			w.t.Fatal(err)
		}
		m.NoteChange(c)
	}
}

func (w *world) put(m *mirror.Mirror, r catalog.Resource) {
	w.t.Helper()
	rec, err := record.Encode(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.change(m, func(tx state.Tx) error { return tx.Put(rec) }, record.RefTo(r))
}

func (w *world) remove(m *mirror.Mirror, k catalog.Kind, name string) {
	w.t.Helper()
	w.change(m, func(tx state.Tx) error { return tx.Delete(k, name) }, state.Ref{Kind: k, Name: name})
}

func (w *world) copies(m *mirror.Mirror, bucket string, clusters ...string) {
	w.t.Helper()
	w.change(m, func(tx state.Tx) error {
		for _, c := range clusters {
			if err := tx.PutCopy(state.Copy{Bucket: bucket, Copy: catalog.Copy{Cluster: c, State: catalog.CopySynced}}); err != nil {
				return err
			}
		}
		return nil
	}, record.Bucket(bucket))
}

// object adds or removes a row of the source, and tells the mirror.
func (w *world) object(m *mirror.Mirror, bucket, key string, gone bool) {
	w.t.Helper()
	ctx := context.Background()
	var err error
	if gone {
		var rows []state.Pending
		rows, err = w.source.Queue().ListPending(ctx, state.PendingFilter{Bucket: bucket}, state.PendingKey{}, 0)
		for _, r := range rows {
			if r.Key == key && err == nil {
				_, err = w.source.Queue().FinishPending(ctx, state.PendingKey{Bucket: bucket, Key: key, Cluster: "c", Gen: r.Gen})
			}
		}
	} else {
		_, err = w.source.Queue().AddPending(ctx, state.Pending{Bucket: bucket, Key: key, Cluster: "c"})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.source.mu.Lock()
	ch := state.ObjectChange{Seq: state.Seq(len(w.source.objects) + 1), Kind: state.ObjectPending, Bucket: bucket, Key: key, Cluster: "c", Gone: gone}
	w.source.objects = append(w.source.objects, ch)
	w.source.mu.Unlock()
	m.NoteObjects([]state.ObjectChange{ch})
}

// contents lists what a store holds, as text.
func contents(t *testing.T, s state.Store) string {
	t.Helper()
	ctx := context.Background()
	var all []string
	for _, k := range catalog.Kinds {
		recs, err := s.Catalogue().List(ctx, k, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			all = append(all, fmt.Sprintf("%s %s", r.Kind, r.Body))
		}
	}
	err := s.Catalogue().EachCopy(ctx, func(c state.Copy) error {
		all = append(all, fmt.Sprint("copy ", c.Bucket, c.Prefix, c.Cluster, c.State))
		return nil
	})
	rows := make(map[string]bool)
	err = errors.Join(err, s.Queue().EachPending(ctx, func(p state.Pending) error {
		rows[fmt.Sprint("pending ", p.Bucket, p.Key, p.Cluster)] = true
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(all, slices.Sorted(maps.Keys(rows))...), "\n")
}

// check ends a mirror and compares what it holds with the source.
func (w *world) check(m *mirror.Mirror) {
	w.t.Helper()
	m.Stop()
	written := openStore(w.t, w.path)
	defer func() { _ = written.Close() }()
	got, want := contents(w.t, written), contents(w.t, w.source)
	if got != want {
		w.t.Errorf("the mirror holds\n%s\nwant\n%s", got, want)
	}
}

func (w *world) seed(m *mirror.Mirror) {
	w.put(m, &catalog.Zone{Name: "z"})
	w.put(m, &catalog.Cluster{Name: "c", Zones: []string{"z"}})
	w.put(m, &catalog.Bucket{Name: "b"})
	w.copies(m, "b", "c", "d")
	w.object(m, "b", "k", false)
}

// A mirror that is new takes everything; what happens while it runs is in it at its end.
func TestAMirrorHoldsWhatTheStoreDoes(t *testing.T) {
	w := newWorld(t)
	w.seed(nil)
	m := w.begin()
	w.put(m, &catalog.Bucket{Name: "later"})
	w.copies(m, "later", "c")
	w.object(m, "later", "x", false)
	w.object(m, "b", "k", true)
	w.object(m, "b", "came and went", false)
	w.object(m, "b", "came and went", true)
	w.remove(m, catalog.KindZone, "z")
	m.NoteAll()
	w.check(m)
	if n := w.logs.FilterMessageSnippet("compared with the store from the start").Len(); n != 1 {
		t.Errorf("an empty mirror is filled %d times", n)
	}
}

// A mirror that ran before takes what changed since, and no more.
func TestAMirrorResumes(t *testing.T) {
	w := newWorld(t)
	w.seed(nil)
	w.check(w.begin())
	w.put(nil, &catalog.Bucket{Name: "while it was away"})
	w.remove(nil, catalog.KindBucket, "b")
	w.object(nil, "while it was away", "x", false)
	m := w.begin()
	w.object(m, "b", "k", true)
	w.check(m)
	if n := w.logs.FilterMessageSnippet("from the start").Len(); n != 0 {
		t.Errorf("it was filled from the start: %v", w.logs.All())
	}
}

// Exceptions that went with their bucket are written again when the bucket and they are there again.
func TestAnExceptionComesBackWithItsBucket(t *testing.T) {
	for name, compare := range map[string]bool{"told": false, "compared": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.seed(nil)
			store := openStore(t, w.path)
			m := mirror.New(mirror.Options{Store: store, Source: w.source, Now: time.Now, Log: zap.NewNop(), LastPatience: 10 * time.Minute})
			defer m.Stop()
			m.Start()
			await := func() {
				for until := time.Now().Add(time.Minute); contents(t, store) != contents(t, w.source); time.Sleep(10 * time.Millisecond) {
					if time.Now().After(until) {
						t.Fatalf("the mirror holds\n%s\nwant\n%s", contents(t, store), contents(t, w.source))
					}
				}
			}
			await()
			w.remove(m, catalog.KindBucket, "b")
			await()
			w.object(m, "b", "k", true) // it went with the bucket, which is told later
			w.put(m, &catalog.Bucket{Name: "b"})
			w.copies(m, "b", "c", "d")
			await()
			if compare {
				w.object(nil, "b", "k", false)
				m.NoteAll()
			} else {
				w.object(m, "b", "k", false)
			}
			w.check(m)
		})
	}
}

// Where the store's log no longer reaches back, everything is compared.
func TestAMirrorThatIsTooFarBehind(t *testing.T) {
	w := newWorld(t)
	w.seed(nil)
	w.check(w.begin())
	w.remove(nil, catalog.KindBucket, "b")
	w.put(nil, &catalog.Bucket{Name: "new"})
	w.copies(nil, "new", "c")
	w.source.Store = trimmed{w.source.Store}
	w.check(w.begin())
	if n := w.logs.FilterMessageSnippet("from the start").Len(); n != 1 {
		t.Errorf("it was not filled from the start: %v", w.logs.All())
	}
}

// A store that has not come as far as the mirror is another one, or an older backup of the same: everything
// is compared, and what the mirror has besides goes.
func TestAMirrorOfAnotherStore(t *testing.T) {
	for name, seed := range map[string]func(*world){
		"with fewer changes": func(w *world) { w.put(nil, &catalog.Bucket{Name: "b"}) },
		"with fewer objects": func(w *world) {
			for _, zone := range []string{"x", "y"} {
				w.seed(nil)
				w.remove(nil, catalog.KindBucket, "b")
				w.put(nil, &catalog.Zone{Name: zone})
			}
			w.source.objects = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.seed(nil)
			w.put(nil, &catalog.Bucket{Name: "made after the backup"})
			w.check(w.begin())
			w.source = &source{Store: openStore(t, filepath.Join(t.TempDir(), "restored.db"))}
			seed(w)
			w.check(w.begin())
			if n := w.logs.FilterMessageSnippet("from the start").Len(); n != 1 {
				t.Errorf("it was not compared from the start: %v", w.logs.All())
			}
		})
	}
}

type trimmed struct{ state.Store }

func (s trimmed) ChangeLog() state.ChangeLog { return trimmedChangeLog{s.Store.ChangeLog(), s} }

type trimmedChangeLog struct {
	state.ChangeLog
	of trimmed
}

func (trimmedChangeLog) Changes(context.Context, state.Seq, int) ([]state.Change, error) {
	return nil, state.ErrNotFound
}

// More than one transaction's worth is written, and removed, in several.
func TestManyThings(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of rows")
	}
	w := newWorld(t)
	ctx := t.Context()
	var rows []state.Pending
	_, err := w.source.Catalogue().Update(ctx, func(tx state.Tx) error {
		for n := range 1200 {
			rec, err := record.Encode(&catalog.Bucket{Name: fmt.Sprintf("b%04d", n)})
			if err == nil {
				err = tx.Put(rec)
			}
			if err == nil {
				err = tx.PutCopy(state.Copy{Bucket: rec.Name, Copy: catalog.Copy{Cluster: "c"}})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 9000 {
		rows = append(rows, state.Pending{Bucket: "b0000", Key: fmt.Sprint(n), Cluster: "c"})
	}
	if _, err := w.source.Queue().AddPending(ctx, rows...); err != nil {
		t.Fatal(err)
	}
	w.check(w.begin())
	_, err = w.source.Catalogue().Update(ctx, func(tx state.Tx) error {
		for n := range 1100 {
			if err := tx.Delete(catalog.KindBucket, fmt.Sprintf("b%04d", n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m := w.begin()
	m.NoteAll()
	w.check(m)
}

// What could not be written is written later; what came meanwhile outweighs it.
func TestAMirrorThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.seed(nil)
	core, logs := observer.New(zap.DebugLevel)
	broken := &failing{Store: openStore(t, w.path)}
	m := mirror.New(mirror.Options{Store: broken, Source: w.source, Now: time.Now, Log: zap.New(core), LastPatience: 10 * time.Minute})
	broken.fail(true)
	m.Start()
	for logs.FilterMessageSnippet("could not write the local mirror").Len() == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	w.put(m, &catalog.Zone{Name: "z", Parent: "earth"})
	w.remove(m, catalog.KindBucket, "b")
	broken.fail(false)
	w.check(m)
}

type failing struct {
	state.Store
	mu   sync.Mutex
	down bool
}

func (f *failing) fail(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = on
}

func (f *failing) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return fmt.Errorf("disk full: %w", state.ErrUnavailable)
	}
	return nil
}

func (f *failing) Catalogue() state.Catalogue { return failingCatalogue{f.Store.Catalogue(), f} }

type failingCatalogue struct {
	state.Catalogue
	of *failing
}

func (f failingCatalogue) Update(ctx context.Context, g func(state.Tx) error) (state.Seq, error) {
	if err := f.of.err(); err != nil {
		return 0, err
	}
	return f.Catalogue.Update(ctx, g)
}

// The age is that of what was followed when it was written; a mirror that can't be opened
// has none and is tried again.
func TestTheAgeOfAMirror(t *testing.T) {
	w := newWorld(t)
	w.source.seen = time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	var tries int
	m := mirror.New(mirror.Options{
		Open: func(context.Context) (state.Store, error) {
			if tries++; tries == 1 {
				return nil, errors.New("another runtime has it")
			}
			return openStore(t, w.path), nil
		},
		Source: w.source, Now: time.Now, Log: zap.NewNop(),
	})
	if at, ok := m.Age(); ok || !at.IsZero() {
		t.Errorf("before it is open: %s, %v", at, ok)
	}
	m.Start()
	for ok := false; !ok; _, ok = m.Age() {
		time.Sleep(10 * time.Millisecond)
	}
	m.Stop()
	if at, ok := m.Age(); !ok || !at.Equal(w.source.seen) {
		t.Errorf("it is as of %s, %v; want %s", at, ok, w.source.seen)
	}
}

// Nothing is there where no mirror is kept, and nothing is done.
func TestWithoutAMirror(t *testing.T) {
	m := mirror.New(mirror.Options{})
	if m != nil {
		t.Fatal("a mirror without a store")
	}
	m.Start()
	m.NoteAll()
	m.NoteCopies("b", nil)
	m.NoteResource(record.Bucket("b"), nil)
	if _, ok := m.Age(); ok {
		t.Error("it has an age")
	}
	m.Stop()
	started := mirror.New(mirror.Options{Open: func(context.Context) (state.Store, error) { return nil, errors.New("no") }, Log: zap.NewNop()})
	started.Stop() // without a start
	started.Stop()
}

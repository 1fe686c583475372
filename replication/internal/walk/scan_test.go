package walk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// A scan finds what is missing, different and too much, and writes nothing itself.
func TestScan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b", "c")
	c1, c2 := w.Fakes["c1"], w.Fakes["c2"]
	c1.User(bkt, "a", "another body")
	c1.User(bkt, "d", "a new one")
	c1.UserDelete(bkt, "c")
	wrote := c2.Writes()
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.WantKeys(w.Pending(), "c2/a", "c2/c", "c2/d")
	if now := c2.Writes(); !slices.Equal(now, wrote) {
		t.Errorf("the scan wrote %q", now[len(wrote):])
	}
	if row := w.Row("c2"); row.Objects != 3 || row.ScanCursor != "" {
		t.Errorf("the copy's row is %+v", row)
	}
	w.Settle()
	w.WantSame("c1", "c2")
}

// A scan counts all deletes before the first is applied.
func TestScanHoldsDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 1} }
	w.synced("a", "b", "c")
	w.Fakes["c1"].UserDelete(bkt, "a")
	w.Fakes["c1"].UserDelete(bkt, "b")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.WantKeys(w.Pending(), "c2/a", "c2/b")
	if !w.Row("c2").HeldDeletes {
		t.Error("the deletes are not held")
	}

	// Held for people, and back at the primary: no delete any more, and no reason to hold.
	for _, r := range w.Pending() {
		w.Must(w.Ctl.Pending.Finish(t.Context(), r.RowKey()))
	}
	w.Fakes["c1"].User(bkt, "a", "body of a")
	w.Fakes["c1"].User(bkt, "b", "body of b")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	if w.Row("c2").HeldDeletes {
		t.Error("deletes are held although there are none")
	}
}

// A held delete stays one as long as the primary lacks the object.
func TestScanMeetsHeldDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	hold := func(key string) {
		w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: key, Cluster: "c2", Hold: state.HoldDeletes, Since: w.o.Now()}))
	}
	hold("a")
	hold("b")
	w.Fakes["c1"].UserDelete(bkt, "a")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	rows := w.Pending()
	w.WantKeys(rows, "c2/a", "c2/b")
	if rows["c2/a"].Hold != state.HoldDeletes {
		t.Error("the delete is not held any more")
	}
	if rows["c2/b"].Hold != state.HoldNone {
		t.Error("what is no delete any more is held")
	}
}

// A conflict stays one while the object that it is about is there, and the primary has another.
func TestScanMeetsConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c2"].User(bkt, "another", "someone else's")
	w.Fakes["c2"].User(bkt, "gone", "someone else's")
	w.Fakes["c2"].User(bkt, "same", "someone else's")
	w.Fakes["c2"].User(bkt, "stays", "someone else's")
	w.synced("another", "gone", "same", "stays")
	w.Fakes["c2"].User(bkt, "another", "someone else's, later")
	w.Fakes["c2"].UserDelete(bkt, "gone")
	w.Fakes["c2"].User(bkt, "same", "body of same")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	rows := w.Pending()
	w.WantKeys(rows, "c2/another", "c2/gone", "c2/same", "c2/stays")
	for key, held := range map[string]bool{"c2/another": false, "c2/gone": false, "c2/same": false, "c2/stays": true} {
		if (rows[key].Hold == state.HoldConflict) != held {
			t.Errorf("%s: %+v", key, rows[key])
		}
	}
}

// A row that a worker is about to finish, because it looked before a change that nobody told
// of, outlives that when a scan sees the change. What waits for people or for its next attempt
// keeps doing so.
func TestScanRaisesRowsInFlight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("changed", "failing", "gone", "held", "same")
	later := w.o.Now().Add(time.Hour).Truncate(time.Millisecond)
	for key, p := range map[string]state.Pending{
		"changed": {}, "gone": {}, "same": {}, "held": {Hold: state.HoldConflict},
		"failing": {Attempts: 3, NextAttempt: later, Error: "refused"},
	} {
		p.Bucket, p.Key, p.Cluster, p.Since = bkt, key, "c2", w.o.Now()
		w.Must(w.Ctl.Pending.Add(t.Context(), p))
	}
	rows := w.Pending()
	for _, key := range []string{"changed", "gone", "same"} { // the workers' look
		if _, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, key, "c2"), Size: -1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"changed", "failing", "held"} {
		w.Fakes["c1"].User(bkt, key, "nobody told of this")
	}
	w.Fakes["c1"].UserDelete(bkt, "gone")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	for _, key := range []string{"c2/changed", "c2/gone", "c2/same"} {
		w.Must(w.Ctl.Pending.Finish(t.Context(), rows[key].RowKey()))
	}
	left := w.Pending()
	w.WantKeys(left, "c2/changed", "c2/failing", "c2/gone", "c2/held")
	if r := left["c2/failing"]; r.Attempts != 3 || !r.NextAttempt.Equal(later) || r.Error != "refused" {
		t.Errorf("the failing row is %+v", r)
	}
	if r := left["c2/held"]; r.Hold != state.HoldConflict {
		t.Errorf("the held row is %+v", r)
	}
}

func TestScanRemadeBucketStartsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.Fakes["c2"].UserDelete(bkt, "a")
	w.Must(w.Fakes["c2"].Writer().RemoveBucket(t.Context(), bkt))
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	if row := w.Row("c2"); row.State != catalog.CopyWaiting || !row.MadeBucket {
		t.Errorf("the copy's row is %+v", row)
	}
	w.WantKeys(w.Pending())
}

// A primary's bucket that was there is not made again, and nothing is removed from copies.
func TestScanWithoutSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.Fakes["c1"].UserDelete(bkt, "a")
	w.Must(w.Fakes["c1"].Writer().RemoveBucket(t.Context(), bkt))
	w.WantErr(w.Scanner.Scan(t.Context(), at("c2")), object.ErrNoSource)
	w.WantErr(w.Missing(), object.ErrNoSource)
	w.WantErr(w.Scanner.CountPrimary(t.Context(), at("c1")), object.ErrNoSource)
	w.WantKeys(w.Pending())
	if w.Fakes["c1"].Contents(bkt) != nil {
		t.Error("the bucket was made again")
	}
}

type watched struct {
	mu      sync.Mutex
	saw     []string
	differs []string
}

func (w *watched) Saw(p listing.Pair) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saw = append(w.saw, p.Key)
}

func (w *watched) Differs(cluster string, p listing.Pair) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.differs = append(w.differs, cluster+"/"+p.Key)
}

func (w *watched) Lacks(cluster, key string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.differs = append(w.differs, fmt.Sprintf("%s/%s lacks %d", cluster, key, n))
}

func TestScanWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b", "c")
	w.Fakes["c1"].User(bkt, "c", "another")
	cut := func() {
		w.Must(w.o.Copies.Progress(t.Context(), at("c2"), func(c *state.Copy) bool {
			c.ScanCursor = "a"
			return true
		}))
	}
	for _, tt := range []struct {
		name    string
		resumed bool
		saw     []string
		differs []string
	}{
		{"resumed", true, []string{"b", "c"}, []string{"c2/c"}},
		{"whole, with a difference that is known", false, []string{"a", "b", "c"}, nil},
	} {
		cut()
		var seen watched
		w.Must(w.Scanner.ScanWatched(t.Context(), at("c2"), tt.resumed, &seen))
		if !slices.Equal(seen.saw, tt.saw) || !slices.Equal(seen.differs, tt.differs) {
			t.Errorf("%s: saw %q, of which %q differ", tt.name, seen.saw, seen.differs)
		}
	}
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyDraining))
	w.WantErr(w.Scanner.ScanWatched(t.Context(), at("c2"), false, noWatch{}), object.ErrChanged)
}

// What is written and copied while the two sides are listed, or is on its way then, is no
// difference: listings are not of one moment.
func TestWatchedUnderWrites(t *testing.T) {
	t.Parallel()
	for _, copied := range []bool{true, false} {
		w := newWorld(t)
		w.synced("a", "b")
		w.Fakes["c1"].User(bkt, "b", "another")
		asked := false
		w.Fakes["c2"].SetFault(func(ctx context.Context, op, _, key string) error {
			if op != "stat" || key != "b" || asked {
				return nil
			}
			asked = true
			if !copied {
				return w.Ctl.Pending.Add(ctx, state.Pending{Bucket: bkt, Key: key, Cluster: "c2", Since: time.Now()})
			}
			_, err := w.Objects.Settle(ctx, object.Task{Object: ids.ObjectIn(bkt, key, "c2"), Size: -1})
			return err
		})
		var seen watched
		w.Must(w.Scanner.ScanWatched(t.Context(), at("c2"), false, &seen))
		if !asked || len(seen.differs) > 0 {
			t.Errorf("copied %v, looked at %v: %q differ", copied, asked, seen.differs)
		}
		w.Settle()
		w.WantSame("c1", "c2")
	}
}

// A failed HEAD ends the scan, and the copy does not count as verified.
func TestScanEndsWithFailedListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	before := w.Row("c2").VerifiedAt
	broken := errors.New("broken")
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, key string) error {
		if op == "listed" && key == "b" {
			return broken
		}
		return nil
	})
	w.WantErr(w.Scanner.Scan(t.Context(), at("c2")), broken)
	if !w.Row("c2").VerifiedAt.Equal(before) {
		t.Error("the copy counts as verified")
	}
	w.WantKeys(w.Pending())
}

func TestCountPrimary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c1"].User(bkt, "a", "12345")
	w.Fakes["c1"].User(bkt, "logs/a", "1")
	w.Apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1", Prefixes: []catalog.PrefixRule{{Prefix: "logs/", Policy: "p"}}})
	w.Rows(primary("c1"))
	w.Must(w.Scanner.CountPrimary(t.Context(), at("c1")))
	if row := w.Row("c1"); row.Objects != 1 || row.Bytes != 5 || row.VerifiedAt.IsZero() {
		t.Errorf("the primary's row is %+v", row)
	}
}

// An object that is written again with the same content and other headers is found by its time,
// and a key that the primary lists and does not know is a named failure: neither is in step
// by default.
func TestScanSeesOtherHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	for range 3 { // time passes at the copy; each storage here has a clock of its own
		_, err := w.Fakes["c2"].Reader().Now(t.Context())
		w.Must(err)
	}
	w.Fakes["c1"].Describe(bkt, "a", "text/html")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.WantKeys(w.Pending(), "c2/a")
	w.Settle()
	if got := w.Fakes["c2"].Attributes(bkt, "a"); got != "text/html" {
		t.Errorf("the copy's headers are %q", got)
	}
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.WantKeys(w.Pending())
}

func TestListedAndUnknown(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} {
		w := newWorld(t)
		w.Fakes["c1"].User(bkt, "odd", "x")
		w.Fakes["c1"].User(bkt, "plain", "x")
		if there {
			w.Fakes["c2"].User(bkt, "odd", "y")
		}
		w.Fakes["c1"].SetFault(func(_ context.Context, op, _, key string) error {
			if key == "odd" && op == "stat" {
				return storage.ErrNotFound
			}
			if key == "odd" && op == "get" {
				return storage.ErrPrecondition
			}
			return nil
		})
		w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
		w.Must(w.Syncer.Sync(t.Context(), at("c2")))
		rows := w.Pending()
		w.WantKeys(rows, "c2/odd")
		if r := rows["c2/odd"]; r.Error == "" || r.Hold != state.HoldNone {
			t.Errorf("there %v: the row is %+v", there, r)
		}
		got := w.Fakes["c2"].Contents(bkt)
		if got["plain"] != "x" || there != (got["odd"] == "y") {
			t.Errorf("there %v: the copy has %q", there, got)
		}
	}
}

// durable counts the durable transactions about copies.
type durable struct {
	copies.Control
	n atomic.Int64
}

func (d *durable) UpdateCopies(ctx context.Context, bucket string, f func([]state.Copy) ([]state.Copy, error)) error {
	d.n.Add(1)
	return d.Control.UpdateCopies(ctx, bucket, f)
}

// A scan that finds everything in step costs no durable transaction: there is one for every copy
// and interval.
func TestScanInStepIsProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	d := &durable{Control: port.Of(w.Ctl)}
	w.o.Copies = copies.New(d)
	w.Walks = New(w.o)
	before := w.Row("c2").VerifiedAt
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	if n := d.n.Load(); n != 0 {
		t.Errorf("%d durable transactions", n)
	}
	if row := w.Row("c2"); !row.VerifiedAt.After(before) || row.Objects != 2 {
		t.Errorf("the row is %+v", row)
	}
	failed := w.Row("c2")
	failed.Error = "an earlier failure"
	w.Rows(w.Row("c1"), failed)
	d.n.Store(0)
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	if row := w.Row("c2"); row.Error != "" || d.n.Load() != 1 {
		t.Errorf("after %d durable transactions the row is %+v", d.n.Load(), row)
	}
}

package move

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
)

// Where a bucket's primary is lost, the heir takes its place, what was pending there is forgotten,
// and the other copies are compared with it as imports.
func TestAbandon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.AddRow(copyOf("c3", catalog.CopySynced))
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "late", Cluster: "c2", Since: time.Now()}))
	w.Must(w.Decisions.Abandon(t.Context(), bkt, "c1", "c2"))
	if w.HasRow("c1") || !w.Row("c2").Primary {
		t.Errorf("the rows: %+v", w.AllRows())
	}
	if other := w.Row("c3"); other.State != catalog.CopyWaiting || !other.OwnedUntil.IsZero() {
		t.Errorf("the other copy is no import: %+v", other)
	}
	w.WantKeys(w.Pending())
	w.Must(w.Syncer.Sync(t.Context(), at("c3")))
	w.WantSame("c2", "c3")
}

// Without an heir nothing but the lost rows goes; a copy that is abandoned leaves the primary alone.
func TestAbandonWithoutHeir(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	before := w.Row("c1")
	w.Must(w.Decisions.Abandon(t.Context(), bkt, "c2", ""))
	if w.HasRow("c2") || !w.Row("c1").Primary || !w.Row("c1").VerifiedAt.Equal(before.VerifiedAt) {
		t.Errorf("the rows: %+v", w.AllRows())
	}
	w.Must(w.Decisions.Abandon(t.Context(), bkt, "c1", ""))
	if rows := w.AllRows(); len(rows) != 0 {
		t.Errorf("the rows: %+v", rows)
	}
}

// unleased is a control of an instance that has lost its lease.
type unleased struct{ Control }

func (unleased) MayWrite() error { return errNoLease }

var errNoLease = errors.New("no lease")

// An instance without a lease takes nobody's word: the rows stay as they are.
func TestDecisionsNeedALease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.Reborn("c1")
	w.WantErr(w.Scanner.Scan(t.Context(), at("c2")), guard.ErrElsewhere)
	w.o.Control = unleased{w.o.Control}
	w.Moves = New(w.o)
	for name, decide := range map[string]func() error{
		"abandon":    func() error { return w.Decisions.Abandon(t.Context(), bkt, "c1", "c2") },
		"trust copy": func() error { return w.Decisions.TrustCopy(t.Context(), bkt, "c2") },
	} {
		w.WantErr(decide(), errNoLease)
		if !w.Row("c1").Primary || !w.Row("c1").Stopped {
			t.Errorf("%s changed the rows: %+v", name, w.AllRows())
		}
	}
}

// What people say of a primary that is gone can't be taken.
func TestTrustPrimaryThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.Fakes["c1"].UserDelete(bkt, "a")
	w.Must(w.Fakes["c1"].Writer().RemoveBucket(t.Context(), bkt))
	w.WantErr(w.Decisions.TrustPrimary(t.Context(), bkt), object.ErrNoSource)
}

// That a primary is about to leave is on record before it does; where that can't be stored it stays.
func TestLeavesIsNotedFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	unstored := errors.New("not stored")
	answer := unstored
	w.o.Hooks.Leaves = func(_ context.Context, bucket, cluster string, clock time.Time) error {
		if bucket != bkt || cluster != "c1" || clock.IsZero() || !w.Row("c1").Primary {
			t.Errorf("noted: %s leaves %s at %v", bucket, cluster, clock)
		}
		return answer
	}
	w.Moves = New(w.o)
	w.WantErr(w.Mover.MovePrimary(t.Context(), bkt, "c2"), unstored)
	if !w.Row("c1").Primary {
		t.Fatal("the primary moved")
	}
	answer = nil
	w.Must(w.Mover.MovePrimary(t.Context(), bkt, "c2"))
	if !w.Row("c2").Primary {
		t.Error("the primary did not move")
	}
}

// Passes over a former primary are apart in time, and go on until one finds nothing; then copies
// are compared again.
func TestCarryOverSleepsBetweenPasses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.formerly("a")
	sleeps := 0
	w.o.Hooks.CarrySleep = func(_ context.Context, bucket, from string, d time.Duration) error {
		if sleeps++; bucket != bkt || from != "c1" || d != w.o.Timing.CarryPause {
			t.Errorf("it sleeps %s for %s, %s", d, bucket, from)
		}
		if sleeps == 1 { // a client that is late to follow
			w.Fakes["c1"].User(bkt, "late", "x")
		}
		return nil
	}
	w.Moves = New(w.o)
	asked := len(w.Scans())
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if _, there := w.Fakes["c2"].Contents(bkt)["late"]; !there || sleeps != 2 {
		t.Errorf("after %d pauses the new primary has %q", sleeps, w.Fakes["c2"].Contents(bkt))
	}
	if scans := w.Scans()[asked:]; len(scans) != 1 || scans[0] != walktest.Bucket {
		t.Errorf("scans of %q were asked for", scans)
	}
}

// sharing is a control of a store that others may use.
type sharing struct{ Control }

func (sharing) Shared() bool { return true }

// Where others share the store, what was written before a move is told from what came behind by the
// clocks of both storages. On a store of one's own nobody waits for that.
func TestPartings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	p := newPartings(&w.o)
	p.wait(t.Context(), bkt, w.Site("c1"), "c2")
	if got := p.of(bkt); got != (parting{}) {
		t.Errorf("on a store of one's own: %+v", got)
	}
	w.o.Control = sharing{w.o.Control}
	before, err := w.Fakes["c1"].Reader().Now(t.Context())
	w.Must(err)
	p.wait(t.Context(), bkt, w.Site("c1"), "c2")
	got := p.of(bkt)
	if got.from != "c1" || got.to != "c2" || !got.left.After(before) || got.left.Nanosecond() != 0 || got.came.IsZero() {
		t.Errorf("it parted at %+v, after %s", got, before)
	}
	w.Fakes["c1"].SetFault(walktest.Refusing(context.DeadlineExceeded, "now"))
	p.wait(t.Context(), bkt, w.Site("c1"), "c2")
	if got := p.of(bkt); got != (parting{}) {
		t.Errorf("without a clock the former move's is taken: %+v", got)
	}
}

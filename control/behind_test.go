package control_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// An instance that was cut off while more happened than the store's logs keep loads
// everything when it is back, and routes as the others do.
func TestBehindTheLogs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := testenv.PostgresDatabase(t)
	a := join(t, dsn)
	a.seed(t)
	gone := state.Pending{Bucket: "bkt", Key: "gone", Cluster: "c2"}
	if err := a.Pending.Add(ctx, gone); err != nil {
		t.Fatal(err)
	}
	link, proxy := through(t, dsn)
	b := joinBy(t, link)
	if !b.Router().Pending.Has("bkt", "gone", "c2") {
		t.Fatal("an instance that starts does not know the exceptions")
	}
	changes, err := b.store.ChangeLog().Seq(ctx)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := b.store.Instances().ObjectSeq(ctx)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Hang(true)
	proxy.Cut()
	overrun(t, a)
	if _, err := a.store.ChangeLog().Changes(ctx, changes, 1); err == nil {
		t.Fatal("the changes are kept yet")
	}
	if _, err := a.store.Instances().ObjectChanges(ctx, objects, 1); err == nil {
		t.Fatal("the changes of objects are kept yet")
	}
	proxy.Hang(false)
	eventually(t, "the return", func() bool {
		return b.Status.StoreTrouble() == nil && b.Members.MayWrite() == nil && b.Router().Snapshot().Bucket("late") != nil && b.Router().Pending.Has("bkt", "kept", "c2")
	})
	eventually(t, "the end of the exceptions that are gone", func() bool {
		return !b.Router().Pending.Has("bkt", "gone", "c2") && b.Router().Pending.Len() == a.Router().Pending.Len()
	})
	a.must(t, &catalog.Bucket{Name: "after", Policy: "p"})
	if b.Router().Snapshot().Bucket("after") == nil {
		t.Fatal("an instance that came back is not waited for")
	}
}

// overrun does more in a transaction than either log keeps, makes a bucket, takes the
// exception away, and leaves another.
func overrun(t *testing.T, a *instance) {
	t.Helper()
	ctx := context.Background()
	a.must(t, &catalog.Bucket{Name: "bulk", Policy: "p"})
	var rows []state.Pending
	for n := range 50_001 {
		rows = append(rows, state.Pending{Bucket: "bulk", Key: fmt.Sprint(n), Cluster: "c2"})
	}
	if _, err := a.store.Queue().AddPending(ctx, rows...); err != nil {
		t.Fatal(err)
	}
	if err := a.Resources.Delete(ctx, catalog.KindBucket, "bulk", control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	row, err := a.Pending.ClaimIn(ctx, "c2", 1, time.Minute)
	if err != nil || len(row) != 1 {
		t.Fatalf("claimed %v: %v", row, err)
	}
	if err := a.Pending.Finish(ctx, state.PendingKey{Bucket: "bkt", Key: "gone", Cluster: "c2", Gen: row[0].Gen}); err != nil {
		t.Fatal(err)
	}
	if err := a.Pending.Add(ctx, state.Pending{Bucket: "bkt", Key: "kept", Cluster: "c2"}); err != nil {
		t.Fatal(err)
	}
	_, err = a.store.Catalogue().Update(ctx, func(tx state.Tx) error {
		for n := range 5000 {
			if err := tx.Put(state.Record{Kind: catalog.KindZone, Name: fmt.Sprint("z", n), Body: fmt.Appendf(nil, `{"name":"z%d"}`, n)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	a.must(t, &catalog.Bucket{Name: "late", Policy: "p"})
}

package replication

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/move"
	"github.com/fado-project/fado/state"
)

// slowMember joins through a link that delays what the database says, and never looks
// after a bucket by itself.
func (f *fleet) slowMember(delay time.Duration) *fleetMember {
	f.Helper()
	dsn, proxy := f.through()
	m := f.join(dsn, Settings{Disabled: true})
	proxy.Delay(testenv.Down, delay)
	f.Cleanup(proxy.Heal)
	return m
}

// moved waits until a bucket's primary is somewhere.
func (f *fleet) moved(bucket, to string) {
	f.Helper()
	f.await("the primary in "+to, func() bool { return f.primaryInStore(bucket) == to })
}

func (f *fleet) primaryInStore(bucket string) string {
	rows, err := f.members[0].store.Catalogue().CopiesOf(context.Background(), bucket)
	if err != nil {
		f.Error(err)
	}
	return copyrows.PrimaryOf(rows)
}

// What another instance does to the next primary has ended when it becomes the primary,
// however late that instance learns of the move, and nothing of the kind begins any more.
func TestOthersKeepAwayFromTheNextPrimary(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, Settings{Workers: 4})
	slow := f.slowMember(60 * time.Millisecond)
	src := f.fake("c1")
	f.fake("c2")
	f.policy("p", 2)
	f.bucket("bkt", "p", "c1")
	f.awaitOK("bkt", "c1", "c2")
	src.User("bkt", "k", "v")
	f.awaitSame("bkt", "c1", "c2")
	f.await("the slow one to know", func() bool { return slow.ctl.Router().Snapshot().Of("bkt").Primary() == "c1" })

	var wg sync.WaitGroup
	defer wg.Wait()
	var over atomic.Bool
	defer over.Store(true)
	do := func(key string, o guard.Op, f func(context.Context) error) error {
		o.Object = ids.ObjectIn("bkt", key, "c2")
		return slow.eng.core.guard.Do(context.Background(), o, func(ctx context.Context, _ *guard.Pass) error { return f(ctx) })
	}
	stillPrimary := func(what string) {
		if f.primaryInStore("bkt") != "c1" {
			t.Errorf("c2 was the primary while another instance was still at %s there", what)
		}
	}
	entered, refusing := make(chan struct{}, 2), make(chan struct{})
	for what, o := range map[string]guard.Op{"a write": {From: "c1"}, "a removal": {Allowed: guard.Always}} {
		wg.Go(func() { // one that takes until it is told to end
			err := do(what, o, func(ctx context.Context) error {
				entered <- struct{}{}
				select {
				case <-ctx.Done():
					stillPrimary(what)
				case <-time.After(patience):
					t.Errorf("%s was never told to end", what)
				}
				select { // while it has not, others are refused
				case <-refusing:
				case <-time.After(patience):
					t.Error("nothing was refused while the primary moved")
				}
				return ctx.Err()
			})
			if !errors.Is(err, guard.ErrMoving) {
				t.Errorf("%s ended with %v, want %v", what, err, guard.ErrMoving)
			}
		})
	}
	<-entered
	<-entered
	refused := sync.OnceFunc(func() { close(refusing) })
	wg.Go(func() { // and those that begin meanwhile
		for !over.Load() && slow.ctl.Router().Snapshot().Of("bkt").Primary() == "c1" {
			err := do("new", guard.Op{From: "c1"}, func(context.Context) error {
				if slow.ctl.Router().Snapshot().Of("bkt").Primary() == "c1" {
					stillPrimary("a new write")
				}
				return nil
			})
			if errors.Is(err, guard.ErrMoving) {
				refused()
				continue
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	f.bucket("bkt", "p", "c2")
	f.moved("bkt", "c2")
	f.awaitOK("bkt", "c2", "c1")
	f.await("the slow one to follow", func() bool { return slow.ctl.Router().Snapshot().Of("bkt").Primary() == "c2" })
	wg.Wait()
	if row, _ := f.copyRow("bkt", "", "c2"); row.Moving {
		t.Error("the mark outlived the move")
	}
}

// Marks that an instance left behind which was killed in the middle of a move are taken
// away by who plans the bucket, whether or not the move is still wanted; it is made if so.
func TestMarksOfAKilledMove(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, Settings{Workers: 4})
	src := f.fake("c1")
	f.fake("c2")
	f.policy("p", 2)
	killed := f.mover()
	for _, wanted := range []bool{false, true} {
		name := map[bool]string{false: "unwanted", true: "wanted"}[wanted]
		f.bucket(name, "p", "c1")
		f.awaitOK(name, "c1", "c2")
		// As haltOthers leaves it.
		f.must(killed.Copies.Update(context.Background(), name, func(rows []state.Copy) ([]state.Copy, error) {
			move.SetMoving(rows, "c2")
			return rows, nil
		}))
		if wanted {
			f.bucket(name, "p", "c2")
			f.awaitOK(name, "c2", "c1")
			continue
		}
		src.User(name, "k", "v")
		f.awaitSame(name, "c1", "c2")
		f.awaitOK(name, "c1", "c2")
		f.await("the mark taken away", func() bool {
			row, _ := f.copyRow(name, "", "c2")
			return !row.Moving
		})
	}
}

// mover is an instance without an engine: what it leaves in the store nobody knows of.
func (f *fleet) mover() *control.Control {
	f.Helper()
	return f.join(f.dsn, Settings{Disabled: true}).ctl
}

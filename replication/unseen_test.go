package replication

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/storage"
)

// lateStore is a store of which an instance learns the changes late that others made to the catalogue
// and to copies: while its gate is shut. All else is as it is.
type lateStore struct {
	state.Shared
	late *gate
}

func (s lateStore) ChangeLog() state.ChangeLog { return lateLog{s.Shared.ChangeLog(), s.late} }

type lateLog struct {
	state.ChangeLog
	late *gate
}

func (l lateLog) Changes(ctx context.Context, after state.Seq, limit int) ([]state.Change, error) {
	if err := l.late.pass(ctx, "Changes"); err != nil {
		return nil, err
	}
	return l.ChangeLog.Changes(ctx, after, limit)
}

// joinLate starts an instance that learns what others change when its gate lets it, and compares copies once alone.
func (f *fleet) joinLate(s Settings) (*control.Control, *Engine, *gate) {
	f.Helper()
	late, tune := new(gate), fastTuning()
	tune.SilentScan = time.Hour
	store, err := postgres.Open(context.Background(), postgres.Options{DSN: f.dsn, Key: []byte("a passphrase"), Lease: fleetLease, MaxConns: 8})
	f.must(err)
	ctl, err := control.New(control.Options{Store: lateStore{store, late}, Node: "late", Log: f.log("late")})
	f.must(err)
	eng := New(Options{Control: ctl, Log: f.log("late"), Open: f.openStorage, Tune: tune})
	f.Cleanup(func() {
		eng.Stop()
		ctl.Close()
		_ = store.Close()
	})
	f.must(ctl.Start(context.Background()))
	_, err = ctl.Attach(context.Background(), control.Config{})
	f.must(err)
	eng.Start(s)
	return ctl, eng, late
}

// reads reports whether an instance reads an object in a cluster.
func reads(ctl *control.Control, key, cluster string) bool {
	holders, _ := ctl.Router().Holders(nil, routing.Input{Bucket: "bkt", Key: key, Scope: routing.ScopeObject})
	return slices.ContainsFunc(holders, func(h routing.Holder) bool { return h.Cluster == cluster })
}

// A copy that another instance makes is out of date for what an instance acknowledges that has not heard of
// the copy yet: a write through it, and an event.
func TestAnInstanceThatIsBehindAcknowledges(t *testing.T) {
	t.Parallel()
	put := func(f *fleet, eng *Engine) error {
		w := UserWrite{Passage: Passage{Bucket: "bkt", Key: "k", Cluster: "c1"}, Keys: []string{"k"}}
		out, err := eng.Gateway().Write(context.Background(), w, &storage.Forward{
			Method: http.MethodPut, Bucket: "bkt", Key: "k", Body: strings.NewReader("second"), Size: 6,
		})
		if err == nil && out.Status != http.StatusOK {
			f.Errorf("%d %s", out.Status, out.Body)
		}
		return err
	}
	event := func(f *fleet, eng *Engine) error {
		if err := f.tryPut("c1", "bkt", "k", "second"); err != nil {
			return err
		}
		return eng.Hints(context.Background(), Hint{Physical: f.prefix + "bkt", Key: "k"})
	}
	for name, change := range map[string]func(*fleet, *Engine) error{"a write": put, "an event": event} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			behind(t, change)
		})
	}
}

func behind(t *testing.T, change func(*fleet, *Engine) error) {
	t.Helper()
	f := newFleet(t, 0, Settings{})
	f.ctl, f.eng, _ = f.joinLate(Settings{Workers: 4, NoEventFeed: true, ScanInterval: time.Hour})
	f.store = f.ctl.Store()
	f.cluster("c1", minioA.Server(t))
	f.cluster("c2", minioB.Server(t))
	copies := func(n int) {
		f.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: n}, Prefer: []string{"c1", "c2"}})
	}
	copies(1)
	f.bucket("bkt", "p", "c1")
	f.awaitOK("bkt", "c1")
	f.await("a first write", func() bool { return f.tryPut("c1", "bkt", "k", "first") == nil })
	ctl, eng, late := f.joinLate(Settings{Disabled: true}) // it routes and serves

	open := late.close()
	defer open()
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		copies(2) // which every instance is to know
	}()
	f.await("the copy", func() bool { return reads(f.ctl, "k", "c2") && f.status("bkt").State == control.BucketOK })
	begun := time.Now()
	f.must(f.eng.SyncBucket(t.Context(), "bkt"))
	f.await("the end of all scans", func() bool {
		row, ok := f.copyRow("bkt", "", "c2")
		return ok && row.VerifiedAt.After(begun)
	})
	if reads(ctl, "k", "c2") {
		t.Fatal("the instance is not behind")
	}
	acknowledged := make(chan error, 1)
	go func() { acknowledged <- change(f, eng) }()
	f.await("the write at the storage", func() bool {
		got, _ := f.get("c1", "bkt", "k")
		return got == "second"
	})
	time.AfterFunc(300*time.Millisecond, open) // what does not wait for it is acknowledged before
	f.must(<-acknowledged)
	if got, _ := f.get("c2", "bkt", "k"); got == "first" && reads(f.ctl, "k", "c2") {
		t.Error("the copy is read, and has what was there before")
	}
	<-changed
}

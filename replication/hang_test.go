package replication

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/state/sqlite"
)

// gatedWorld is a world over fakes on a store whose calls can be counted, and made to hang.
type gatedWorld struct {
	*world
	gate *gate
}

// onBothStores runs a test in a gated world on each kind of store.
func onBothStores(t *testing.T, s Settings, f func(w gatedWorld)) {
	t.Helper()
	for kind, open := range map[string]func(t *testing.T) (state.Store, error){
		"sqlite": func(t *testing.T) (state.Store, error) {
			t.Helper()
			return sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
		},
		"postgres": func(t *testing.T) (state.Store, error) {
			t.Helper()
			return postgres.Open(context.Background(), postgres.Options{DSN: testenv.PostgresDatabase(t), Key: []byte("a passphrase"), MaxConns: 8, ConnectTimeout: time.Minute, StatementTimeout: time.Minute})
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			store, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			f(newGatedWorld(t, store, s, fastTuning(), nil))
		})
	}
}

// newGatedWorld makes one; beside another one it has the storages of that.
func newGatedWorld(t *testing.T, store state.Store, s Settings, tune Tuning, beside *world) gatedWorld {
	t.Helper()
	w := gatedWorld{&world{
		TB: t, prefix: fmt.Sprintf("t%d-%d-", os.Getpid(), worlds.Add(1)), store: store,
		servers: make(map[string]*testenv.Server), apis: make(map[string]minioClient), fakes: make(map[string]*fakestorage.Storage),
	}, new(gate)}
	var err error
	w.ctl, err = control.New(control.Options{Store: gated(store, w.gate), Log: w.log("control"), Node: "test"})
	w.must(err)
	w.must(w.ctl.Start(context.Background()))
	_, err = w.ctl.Attach(context.Background(), control.Config{})
	w.must(err)
	if beside == nil {
		beside = w.world
	}
	w.eng = New(Options{Control: w.ctl, Log: w.log("replication"), Open: beside.openStorage, Tune: tune, Copy: fakestorage.Copy})
	w.Cleanup(w.close)
	w.eng.Start(s)
	return w
}

// told are the ways in which changes are told of; some return only when the store answers.
func (w gatedWorld) told() map[string]func(key string) {
	return map[string]func(key string){
		"listener": func(key string) { w.fakes["c1"].User("bkt", key, "newer") },
		"webhook": func(key string) {
			w.must(w.eng.Hints(context.Background(), Hint{Physical: w.prefix + "bkt", Key: key, Size: 5}))
		},
		"gateway": func(key string) { w.must(w.eng.Noted(context.Background(), "bkt", key, "c1", 5)) },
	}
}

// inStep has a bucket with a key for each way to tell of changes, in step in c1 and c2.
func (w gatedWorld) inStep() {
	w.Helper()
	for _, c := range []string{"c1", "c2"} {
		w.fake(c)
	}
	for how := range w.told() {
		w.fakes["c1"].User("bkt", how, "old")
	}
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.awaitSame("bkt", "c1", "c2")
	w.feedsLive("c1")
	w.await("nothing pending", func() bool { return len(w.pending(state.PendingFilter{})) == 0 })
	for how := range w.told() {
		w.await(how+" current in c2", func() bool { return w.ctl.Router().Current("bkt", how, "c2") })
	}
}

// awaitException waits until a key of the bucket that is being told of is an exception.
func (w gatedWorld) awaitException(how string, tell func(key string)) (told chan struct{}) {
	w.Helper()
	changed, router := w.ctl.Pending.Changed("bkt"), w.ctl.Router()
	told = make(chan struct{})
	began := time.Now()
	go func() {
		defer close(told)
		tell(how)
	}()
	for late := time.After(patience); !router.Pending.Has("bkt", how, "c2"); changed = w.ctl.Pending.Changed("bkt") {
		select {
		case <-changed:
		case <-late:
			w.Errorf("%s: the key is no exception while the store hangs", how)
			return told
		}
	}
	w.Logf("%s: the exception took %v", how, time.Since(began))
	if router.Current("bkt", how, "c2") {
		w.Errorf("%s: c2 is routed to for a key that changed", how)
	}
	if !router.Current("bkt", how, "c1") {
		w.Errorf("%s: the primary is not current", how)
	}
	return told
}

// Nothing of the store stands between an event and its exception: with every call of the
// store hanging, reads and writes, a change that is told of makes its key an exception.
func TestEventsAreExceptionsWhileTheStoreHangs(t *testing.T) {
	t.Parallel()
	onBothStores(t, Settings{}, func(w gatedWorld) {
		w.inStep()
		for how, tell := range w.told() {
			open := w.gate.close()
			told := w.awaitException(how, tell)
			open()
			<-told
		}
		w.fakes["c1"].User("bkt", "webhook", "newer")
		w.fakes["c1"].User("bkt", "gateway", "newer")
		w.awaitSame("bkt", "c1", "c2")
		w.await("nothing pending", func() bool { return len(w.pending(state.PendingFilter{})) == 0 })
	})
}

// A write of the store that hangs does not stand between later events and their exceptions
// either.
func TestEventsAreExceptionsBehindAWriteThatHangs(t *testing.T) {
	t.Parallel()
	onBothStores(t, Settings{}, func(w gatedWorld) {
		w.inStep()
		open := w.gate.close()
		defer open()
		var all []chan struct{}
		for range 2 { // each way behind itself, and behind the others
			for how, tell := range w.told() {
				all = append(all, w.awaitException(how+strconv.Itoa(len(all)), tell))
			}
		}
		open()
		for _, told := range all {
			<-told
		}
		w.await("nothing pending", func() bool { return len(w.pending(state.PendingFilter{})) == 0 })
		w.awaitSame("bkt", "c1", "c2")
	})
}

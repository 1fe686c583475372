package publish_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errRefused = errors.New("refused")

// fakeStore is a store of buckets whose policies name the change that wrote them. Its
// transactions go one after the other; between a commit and its answer anything may happen.
type fakeStore struct {
	tx sync.Mutex // a transaction

	mu   sync.Mutex
	seq  state.Seq
	now  map[string]state.Seq // by bucket
	past []map[string]state.Seq
	log  []state.Change
}

func newFakeStore() *fakeStore {
	return &fakeStore{now: map[string]state.Seq{}, past: []map[string]state.Seq{{}}}
}

func policyOf(s state.Seq) string { return "p" + strconv.FormatInt(int64(s), 10) }

// update runs a transaction that sets a bucket, or removes it; pause is called before its
// outcome is told.
func (f *fakeStore) update(bucket string, remove bool, enter func() error, pause func()) (state.Seq, error) {
	seq, err := f.transact(bucket, remove, enter)
	pause()
	return seq, err
}

func (f *fakeStore) transact(bucket string, remove bool, enter func() error) (state.Seq, error) {
	f.tx.Lock()
	defer f.tx.Unlock()
	if err := enter(); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq++
	if remove {
		delete(f.now, bucket)
	} else {
		f.now[bucket] = f.seq
	}
	at := make(map[string]state.Seq, len(f.now))
	maps.Copy(at, f.now)
	f.past = append(f.past, at)
	f.log = append(f.log, state.Change{Seq: f.seq, Kind: state.ChangeResource, Resource: catalog.KindBucket, Name: bucket})
	return f.seq, nil
}

func (f *fakeStore) Get(_ context.Context, k catalog.Kind, name string) (state.Record, error) {
	f.mu.Lock()
	seq, ok := f.now[name]
	f.mu.Unlock()
	yield(20) // what was read grows old
	if !ok {
		return state.Record{}, state.ErrNotFound
	}
	return record.Encode(&catalog.Bucket{Name: name, Policy: policyOf(seq)})
}

func (f *fakeStore) CopiesOf(context.Context, ...string) ([]state.Copy, error) { return nil, nil }

func (f *fakeStore) changes(after state.Seq) []state.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log[after:]
}

// published reads which change wrote each bucket of a snapshot.
func published(snap *routing.Snapshot) map[string]state.Seq {
	all := make(map[string]state.Seq)
	snap.Buckets(func(b string) bool {
		n, _ := strconv.ParseInt(strings.TrimPrefix(snap.Bucket(b).Policy, "p"), 10, 64)
		all[strings.Clone(b)] = state.Seq(n)
		return true
	})
	return all
}

func commit(ctx context.Context, order *publish.Sequencer, f *fakeStore, bucket string, remove, refuse bool, yields int) error {
	turn, err := order.Begin(ctx, record.Bucket(bucket))
	if err != nil {
		return err
	}
	defer turn.Drop()
	seq, err := f.update(bucket, remove, func() error {
		if err := turn.Enter(ctx); err != nil {
			return err
		}
		if refuse {
			return errRefused
		}
		return nil
	}, func() { yield(yields) })
	if err != nil {
		if errors.Is(err, errRefused) {
			return nil
		}
		return err
	}
	turn.Commit(seq, func(e *routing.Editor) {
		if remove {
			e.Delete(catalog.KindBucket, bucket)
		} else {
			e.PutBucket(&catalog.Bucket{Name: bucket, Policy: policyOf(seq)})
		}
	}, nil)
	return nil
}

func yield(n int) {
	for range n {
		runtime.Gosched()
	}
}

type step struct {
	bucket         string
	remove, refuse bool
	yields         int
}

func steps(t *rapid.T, label string) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			bucket: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "bucket"),
			remove: rapid.IntRange(0, 3).Draw(t, "remove") == 0,
			refuse: rapid.IntRange(0, 5).Draw(t, "refuse") == 0,
			yields: rapid.IntRange(0, 20).Draw(t, "yields"),
		}
	}), 1, 12).Draw(t, label)
}

// What is published is at every moment what the store held after the change of the number
// published, and numbers only rise.
func TestPublishedIsTheStoreAtItsNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, router := newFakeStore(), routing.NewRouter()
		order := publish.New(router, func(state.Ref) bool { return false })
		var writers, watcher sync.WaitGroup
		done := make(chan struct{})
		failed := make(chan string, 1)
		watcher.Go(func() { watch(order, f, done, failed) })
		for n := range 3 {
			work := steps(t, fmt.Sprint("writer ", n))
			writers.Go(func() {
				for _, s := range work {
					if err := commit(context.Background(), order, f, s.bucket, s.remove, s.refuse, s.yields); err != nil {
						select {
						case failed <- err.Error():
						default:
						}
					}
				}
			})
		}
		writers.Wait()
		close(done)
		watcher.Wait()
		select {
		case why := <-failed:
			t.Fatal(why)
		default:
		}
		if _, seq := order.Published(); seq != f.seq {
			t.Fatalf("published up to %d of %d", seq, f.seq)
		}
	})
}

// watch compares what is published with the store until done.
func watch(order *publish.Sequencer, f *fakeStore, done <-chan struct{}, failed chan<- string) {
	var last state.Seq
	for {
		snap, seq := order.Published()
		f.mu.Lock()
		want := f.past[seq]
		f.mu.Unlock()
		if got := published(snap); fmt.Sprint(got) != fmt.Sprint(want) || seq < last {
			select {
			case failed <- fmt.Sprintf("at %d (after %d) %v is published, the store had %v", seq, last, got, want):
			default:
			}
			return
		}
		last = seq
		select {
		case <-done:
			return
		default:
			runtime.Gosched()
		}
	}
}

// Whatever this instance commits and others do at once, what is published of a thing never
// goes back, and in the end it is what the store has.
func TestNothingGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, router := newFakeStore(), routing.NewRouter()
		order := publish.New(router, func(state.Ref) bool { return false })
		ctx := context.Background()
		var actors sync.WaitGroup
		failed := make(chan string, 1)
		note := func(err error) {
			if err != nil {
				select {
				case failed <- err.Error():
				default:
				}
			}
		}
		for n := range 2 {
			work := steps(t, fmt.Sprint("writer ", n))
			actors.Go(func() {
				for _, s := range work {
					note(commit(ctx, order, f, s.bucket, s.remove, s.refuse, s.yields))
				}
			})
		}
		others := steps(t, "others")
		actors.Go(func() {
			for _, s := range others {
				_, err := f.update(s.bucket, s.remove, func() error { return nil }, func() { yield(s.yields) })
				note(err)
			}
		})
		ended, done := make(chan struct{}), make(chan struct{})
		go func() { actors.Wait(); close(ended) }()
		var watcher sync.WaitGroup
		watcher.Go(func() { watchSteps(order, done, note) })
		follow(ctx, order, f, ended, note)
		close(done)
		watcher.Wait()
		select {
		case why := <-failed:
			t.Fatal(why)
		default:
		}
		if got := published(router.Snapshot()); fmt.Sprint(got) != fmt.Sprint(f.now) {
			t.Fatalf("in the end %v is published, the store has %v", got, f.now)
		}
	})
}

// follow refreshes what changed until everything has ended.
func follow(ctx context.Context, order *publish.Sequencer, f *fakeStore, ended <-chan struct{}, note func(error)) {
	var at state.Seq
	for last := false; ; {
		changes := f.changes(at)
		var all []*publish.Change
		seen := make(map[string]bool)
		for _, ch := range changes {
			at = ch.Seq
			if !seen[ch.Name] {
				seen[ch.Name] = true
				all = append(all, &publish.Change{Ref: record.Bucket(ch.Name), Resource: true})
			}
		}
		note(order.Refresh(ctx, f, all, nil))
		if last && len(changes) == 0 {
			return
		}
		select {
		case <-ended:
			last = true
		default:
			runtime.Gosched()
		}
	}
}

// watchSteps looks for steps back until done.
func watchSteps(order *publish.Sequencer, done <-chan struct{}, note func(error)) {
	newest := make(map[string]state.Seq)
	for {
		snap, _ := order.Published()
		for b, seq := range published(snap) {
			if seq < newest[b] {
				note(fmt.Errorf("bucket %s went back from %d to %d", b, newest[b], seq))
			}
			newest[b] = max(newest[b], seq)
		}
		select {
		case <-done:
			return
		default:
			runtime.Gosched()
		}
	}
}

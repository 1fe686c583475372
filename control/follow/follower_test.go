package follow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

var errDown = fmt.Errorf("no route to host: %w", state.ErrUnavailable)

// sharedStore is as much of a shared store as is followed.
type sharedStore struct {
	state.Shared

	mu                sync.Mutex
	recs              map[string]state.Record // buckets
	log               []state.Change
	trimmed           state.Seq // of log
	objects           []state.ObjectChange
	trimmedObjects    state.Seq
	down              error
	watch             chan struct{}
	joined            int
	lost              chan struct{}
	leaseUntil        time.Time
	seen              Position
	rows              int64 // of pending objects
	recounts          int
	awaited, leaveErr error
	left              int
}

func newSharedStore() *sharedStore {
	return &sharedStore{recs: make(map[string]state.Record), watch: make(chan struct{}, 1)}
}

func (s *sharedStore) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// put is another instance's change of a bucket.
func (s *sharedStore) put(bucket string) state.Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, _ := record.Encode(&catalog.Bucket{Name: bucket})
	s.recs[bucket] = rec
	seq := state.Seq(len(s.log) + 1)
	s.log = append(s.log, state.Change{Seq: seq, Kind: state.ChangeResource, Resource: catalog.KindBucket, Name: bucket})
	return seq
}

func (s *sharedStore) object(key string, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows++; gone {
		s.rows -= 2
	}
	s.objects = append(s.objects, state.ObjectChange{
		Seq: state.Seq(len(s.objects) + 1), Kind: state.ObjectPending, Bucket: "b", Key: key, Cluster: "c", Gone: gone,
	})
}

func (s *sharedStore) tell() { s.watch <- struct{}{} }

func (s *sharedStore) ChangeLog() state.ChangeLog { return sharedStoreChangeLog{of: s} }

type sharedStoreChangeLog struct {
	state.ChangeLog
	of *sharedStore
}

func (s sharedStoreChangeLog) Seq(context.Context) (state.Seq, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return state.Seq(len(s.of.log)), s.of.down
}

func (s *sharedStore) Instances() state.Instances { return sharedStoreInstances{of: s} }

type sharedStoreInstances struct {
	state.Instances
	of *sharedStore
}

func (s *sharedStore) Queue() state.Queue { return sharedStoreQueue{of: s} }

type sharedStoreQueue struct {
	state.Queue
	of *sharedStore
}

func (s sharedStoreQueue) BacklogTotal(context.Context) (state.Backlog, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.recounts++
	return state.Backlog{Objects: s.of.rows}, s.of.down
}

func (s sharedStoreInstances) ObjectSeq(context.Context) (state.Seq, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return state.Seq(len(s.of.objects)), s.of.down
}

func (s sharedStoreInstances) Latest(context.Context) (changes, objects state.Seq, err error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return state.Seq(len(s.of.log)), state.Seq(len(s.of.objects)), s.of.down
}

func (s sharedStoreChangeLog) Changes(_ context.Context, after state.Seq, _ int) ([]state.Change, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if after < s.of.trimmed {
		return nil, state.ErrNotFound
	}
	return slices.Clone(s.of.log[after:]), s.of.down
}

func (s sharedStoreInstances) ObjectChanges(_ context.Context, after state.Seq, _ int) ([]state.ObjectChange, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if after < s.of.trimmedObjects {
		return nil, state.ErrNotFound
	}
	return slices.Clone(s.of.objects[after:]), s.of.down
}

func (s *sharedStore) Catalogue() state.Catalogue { return sharedStoreCatalogue{of: s} }

type sharedStoreCatalogue struct {
	state.Catalogue
	of *sharedStore
}

func (s sharedStoreCatalogue) Get(_ context.Context, _ catalog.Kind, name string) (state.Record, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	rec, ok := s.of.recs[name]
	if !ok {
		return rec, state.ErrNotFound
	}
	return rec, s.of.down
}

func (s sharedStoreCatalogue) CopiesOf(context.Context, ...string) ([]state.Copy, error) {
	return nil, nil
}

func (s sharedStoreChangeLog) Watch(context.Context) <-chan struct{} { return s.of.watch }

func (s sharedStoreInstances) Members(context.Context) ([]state.MemberInfo, error) {
	return []state.MemberInfo{{ID: "me"}, {ID: "other"}}, nil
}

func (s sharedStoreInstances) Join(context.Context, string) (state.Member, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.of.down != nil {
		return nil, s.of.down
	}
	s.of.joined++
	s.of.lost = make(chan struct{})
	return &member{s: s.of, id: fmt.Sprint("me", s.of.joined), lost: s.of.lost}, nil
}

type member struct {
	s    *sharedStore
	id   string
	lost chan struct{}
}

func (m *member) ID() string { return m.id }

func (m *member) LeaseUntil() time.Time {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	return m.s.leaseUntil
}

func (m *member) Lost() <-chan struct{} { return m.lost }

func (m *member) Seen(changes, objects state.Seq) {
	m.s.locked(func() { m.s.seen = Position{changes, objects} })
}

func (m *member) AwaitSeen(context.Context, state.Seq, state.Seq) error { return m.s.awaited }

func (m *member) Leave(context.Context) error {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.s.left++
	return m.s.leaveErr
}

// instance is a Follower with a Host that notes what it is told, in order.
type instance struct {
	*Follower
	store   *sharedStore
	members *Members
	logs    *observer.ObservedLogs

	mu   sync.Mutex
	told []string
}

func (i *instance) note(what string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.told = append(i.told, what)
}

// take returns what was told since the last call.
func (i *instance) take() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	defer func() { i.told = nil }()
	return strings.Join(i.told, ", ")
}

func (i *instance) Store() state.Store { return i.store }

func (i *instance) Load(ctx context.Context, between func(context.Context) error) error {
	i.note("load")
	return between(ctx)
}

func (i *instance) LoadObjects(context.Context) error {
	i.note("load objects")
	return nil
}

func (i *instance) FollowPulled(context.Context, ...state.ObjectChange) error { return nil }

func (i *instance) ObjectsChanged(changes []state.ObjectChange) {
	for _, c := range changes {
		i.note(fmt.Sprintf("object %s gone %v, an exception %v", c.Key, c.Gone, i.Exceptions.Has("c")))
	}
}

func (i *instance) Applied(_ context.Context, changes []*publish.Change) {
	for _, c := range changes {
		i.note(fmt.Sprintf("applied %s, an exception %v", c.Ref.Name, i.Exceptions.Has("c")))
	}
}

func (i *instance) Reloaded(context.Context) { i.note("reloaded") }

func (i *instance) Regained() { i.note("regained") }

func newInstance(t *testing.T, store *sharedStore) *instance {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	i := &instance{store: store, logs: logs}
	router := routing.NewRouter()
	exceptions := NewExceptions(router.Pending, new(Signals))
	exceptions.Follow(true)
	i.Follower = New(Options{
		Host: i, Order: publish.New(router, func(state.Ref) bool { return false }), Exceptions: exceptions,
		Node: "node", Now: time.Now, Log: zap.New(core),
	})
	i.members = NewMembers(i.Follower, func() error { return nil })
	return i
}

// follows runs a test on an instance that follows a store, on a clock of its own.
func follows(t *testing.T, f func(t *testing.T, i *instance)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		i := newInstance(t, newSharedStore())
		i.store.put("before")
		at, err := Start(t.Context(), i.store)
		if err != nil {
			t.Fatal(err)
		}
		i.store.put("meanwhile")
		if err := i.Begin(t.Context(), i.store, at); err != nil {
			t.Fatal(err)
		}
		if got := i.take(); got != "applied meanwhile, an exception false" {
			t.Errorf("told at the beginning: %s", got)
		}
		defer i.Stop(false)
		f(t, i)
	})
}

// Additions of exceptions come before the change they came with, removals after.
func TestTheOrderOfALook(t *testing.T) {
	follows(t, func(t *testing.T, i *instance) {
		i.store.object("k", false)
		i.store.put("one")
		i.store.tell()
		synctest.Wait()
		if got := i.take(); got != "object k gone false, an exception true, applied one, an exception true" {
			t.Errorf("told: %s", got)
		}
		i.store.object("k", true)
		i.store.put("two")
		i.store.tell()
		synctest.Wait()
		if got := i.take(); got != "object k gone true, an exception true, applied two, an exception true" {
			t.Errorf("told: %s", got)
		}
		if i.Exceptions.Has("c") {
			t.Error("the exception is still there after the look")
		}
		if i.store.seen != (Position{4, 2}) {
			t.Errorf("the others are told %+v", i.store.seen)
		}
	})
}

// Without being told, an instance looks every second.
func TestFollowingWithoutNotifications(t *testing.T) {
	follows(t, func(t *testing.T, i *instance) {
		close(i.store.watch)
		i.store.put("one")
		time.Sleep(poll + time.Millisecond)
		synctest.Wait()
		if got := i.take(); !strings.HasPrefix(got, "applied one") {
			t.Errorf("told: %s", got)
		}
	})
}

// Rows that a crash of the database brought back, or took along, are found without being told of.
func TestRowsThatACrashBroughtBack(t *testing.T) {
	wait := func() {
		time.Sleep(recountEvery + 2*poll)
		synctest.Wait()
	}
	follows(t, func(t *testing.T, i *instance) {
		i.store.object("k", false)
		i.store.tell()
		wait()
		i.take()
		i.store.locked(func() {
			if i.store.recounts == 0 {
				t.Error("the rows are never counted")
			}
		})
		wait()
		if got := i.take(); got != "" {
			t.Errorf("told while as many rows are there as exceptions: %s", got)
		}
		for _, rows := range []int64{2, 0} {
			i.store.locked(func() { i.store.rows = rows })
			wait()
			if got := i.take(); got != "load objects" {
				t.Errorf("told with %d rows and one exception: %s", rows, got)
			}
			i.store.locked(func() { i.store.rows = 1 })
			wait()
			i.take()
		}
		i.store.locked(func() { i.store.rows = 2 })
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if n := strings.Count(i.take(), "load objects"); n < 5 || n > 15 {
			t.Errorf("the rows were read %d times where that changes nothing", n)
		}
		row := state.Pending{Bucket: "b", Key: "own", Cluster: "c"}
		i.Exceptions.Adding([]state.Pending{row})
		wait()
		if got := i.take(); got != "" {
			t.Errorf("told while a row is on its way into the store: %s", got)
		}
		i.Exceptions.Added([]state.Pending{row}, errDown)
		wait()
		if got := i.take(); got != "" {
			t.Errorf("told while a row could not be stored: %s", got)
		}
	})
}

func TestOwnChangesAreNotApplied(t *testing.T) {
	follows(t, func(t *testing.T, i *instance) {
		turn, err := i.Order.Begin(t.Context(), record.Bucket("mine"))
		if err != nil {
			t.Fatal(err)
		}
		if err := turn.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		seq := i.store.put("mine")
		i.store.put("theirs")
		i.store.tell()
		synctest.Wait()
		if got := i.take(); got != "" {
			t.Errorf("told while the own change's outcome is not known: %s", got)
		}
		turn.Commit(seq, func(*routing.Editor) {}, func() { i.Made(seq) })
		synctest.Wait()
		if got := i.take(); got != "applied theirs, an exception false" {
			t.Errorf("told: %s", got)
		}
		if i.isOwn(seq) {
			t.Error("an own change is remembered after it was passed")
		}
	})
}

// An instance that can't follow says since when, and goes on by itself.
func TestLosingAndRegainingTheStore(t *testing.T) {
	follows(t, func(t *testing.T, i *instance) {
		_, at := i.At()
		i.store.locked(func() { i.store.down = errDown })
		since := time.Now().Add(poll).UTC().Format(time.RFC3339)
		time.Sleep(3 * poll)
		synctest.Wait()
		if err := i.Trouble(); !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), since) {
			t.Errorf("trouble %v, want since %s", err, since)
		}
		if n := i.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
			t.Errorf("it is logged %d times", n)
		}
		if _, now := i.At(); now.After(at.Add(poll)) {
			t.Errorf("what is known is as of %s, was %s", now, at)
		}
		if err := i.members.Confirm(t.Context()); !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), "not confirmed by every instance") {
			t.Errorf("a change's confirmation: %v", err)
		}
		i.store.locked(func() { i.store.down = nil })
		time.Sleep(2 * poll)
		synctest.Wait()
		if err := i.Trouble(); err != nil || i.take() != "regained" {
			t.Errorf("trouble %v", err)
		}
	})
}

// Who fell behind what the logs keep loads everything.
func TestLogsThatWereTrimmed(t *testing.T) {
	follows(t, func(t *testing.T, i *instance) {
		i.store.put("lost")
		i.store.put("last")
		i.store.object("lost", false)
		i.store.locked(func() { i.store.trimmed, i.store.trimmedObjects = 4, 1 })
		i.store.tell()
		synctest.Wait()
		if got := i.take(); got != "load objects, load, reloaded" {
			t.Errorf("told: %s", got)
		}
		if p, _ := i.At(); p != (Position{4, 1}) {
			t.Errorf("it follows from %+v", p)
		}
	})
}

// An instance whose lease ended writes nothing until it has joined and looked again.
func TestLosingTheLease(t *testing.T) {
	follows(t, func(t *testing.T, i *instance) {
		m := i.members
		i.store.locked(func() { i.store.leaseUntil = time.Now().Add(time.Minute) })
		if m.MayWrite() != nil || !m.Shared() || m.Claimant() != "me1" || m.LeaseUntil().IsZero() {
			t.Errorf("a member: %v, %v, %s", m.MayWrite(), m.Shared(), m.Claimant())
		}
		time.Sleep(time.Minute)
		if err := m.MayWrite(); !errors.Is(err, ErrCutOff) {
			t.Errorf("after the lease's end: %v", err)
		}
		i.store.locked(func() {
			i.store.down = errDown
			close(i.store.lost)
		})
		<-m.LeaseLost()
		synctest.Wait()
		if err := m.MayWrite(); !errors.Is(err, ErrCutOff) || m.LeaseLost() != nil || !m.LeaseUntil().IsZero() || m.Claimant() != "node" {
			t.Errorf("without a membership: %v, %s", err, m.Claimant())
		}
		i.store.locked(func() {
			i.store.down = nil
			i.store.leaseUntil = time.Now().Add(time.Hour)
		})
		time.Sleep(poll)
		synctest.Wait()
		if err := m.MayWrite(); err != nil || m.Claimant() != "me2" {
			t.Errorf("joined again: %v, %s", err, m.Claimant())
		}
	})
}

func TestConfirm(t *testing.T) {
	follows(t, func(t *testing.T, i *instance) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		i.store.put("one")
		if err := i.members.Confirm(gone); err != nil {
			t.Errorf("for a client that has gone: %v", err)
		}
		if p, _ := i.At(); p.Changes != 3 {
			t.Errorf("confirmed at %+v", p)
		}
		if err := i.members.CatchUp(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("catching up for a client that has gone: %v", err)
		}
		if err := i.members.CatchUp(t.Context()); err != nil {
			t.Errorf("catching up: %v", err)
		}
		i.store.awaited = errDown
		if err := i.members.Confirm(t.Context()); !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("others that can't be asked: %v", err)
		}
		if all, err := i.members.List(t.Context()); err != nil || len(all) != 2 {
			t.Errorf("members: %v, %v", all, err)
		}
	})
}

func TestStopLeaves(t *testing.T) {
	follows(t, func(t *testing.T, i *instance) {
		i.store.leaveErr = errDown
		i.store.put("last")
		i.Stop(true)
		i.Stop(true)
		if got := i.take(); !strings.HasPrefix(got, "applied last") {
			t.Errorf("the last look told: %s", got)
		}
		if i.store.left != 1 || i.logs.FilterMessageSnippet("could not leave").Len() != 1 {
			t.Errorf("left %d times, logged %v", i.store.left, i.logs.All())
		}
		if err := i.members.CatchUp(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A store that can't be joined or followed is an error of the beginning, not a member.
func TestBeginThatFails(t *testing.T) {
	i := newInstance(t, newSharedStore())
	i.store.down = errDown
	if _, err := Start(t.Context(), i.store); !errors.Is(err, errDown) {
		t.Errorf("reading where it stands: %v", err)
	}
	if err := i.Begin(t.Context(), i.store, Position{}); !errors.Is(err, errDown) {
		t.Errorf("joining: %v", err)
	}
	i.store.down = nil
	i.store.put("corrupt")
	i.store.recs["corrupt"] = state.Record{Kind: catalog.KindBucket, Body: []byte("no")}
	if err := i.Begin(t.Context(), i.store, Position{}); !errors.Is(err, state.ErrCorrupt) || i.store.left != 1 {
		t.Errorf("following: %v; left %d times", err, i.store.left)
	}
	i.Stop(true)
}

// With a store of its own an instance has nobody to ask.
func TestAlone(t *testing.T) {
	i := newInstance(t, newSharedStore())
	m := i.members
	if m.Shared() || m.Claimant() != "node" || m.MayWrite() != nil || m.LeaseLost() != nil || !m.LeaseUntil().IsZero() {
		t.Error("an instance with a store of its own has a lease")
	}
	all, err := m.List(t.Context())
	if all != nil || err != nil || m.CatchUp(t.Context()) != nil || m.Confirm(t.Context()) != nil {
		t.Errorf("members: %v, %v", all, err)
	}
	i.Made(7)
	if i.isOwn(7) {
		t.Error("changes are remembered that nobody follows")
	}
	m.missing = func() error { return errDown }
	if !errors.Is(m.MayWrite(), errDown) {
		t.Error("an instance without its store may write")
	}
	i.Stop(true)
}

// What changed is listed once, whatever happened to it.
func TestGather(t *testing.T) {
	all := Gather([]state.Change{
		{Kind: state.ChangeCopies, Name: "b"},
		{Kind: state.ChangeResource, Resource: catalog.KindZone, Name: "b"},
		{Kind: state.ChangeResource, Resource: catalog.KindBucket, Name: "b"},
		{Kind: state.ChangeCopies, Name: "b"},
		{Kind: state.ChangeCopies, Name: "c"},
	})
	var got []string
	for _, c := range all {
		got = append(got, fmt.Sprint(c.Ref, c.Resource))
	}
	if want := []string{"{bucket b} true", "{zone b} true", "{bucket c} false"}; !slices.Equal(got, want) {
		t.Errorf("gathered %v, want %v", got, want)
	}
}

package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errStore = errors.New("no database")

// board is a store that instances share: locks, reports and the list of those alive.
type board struct {
	mu      sync.Mutex
	members map[string]bool
	locks   map[string]*lock
	reports map[string]string
	put     int           // reports that were stored
	asked   int           // calls that ask for something
	hang    chan struct{} // when set, Put waits for it
	err     error         // of every call
	news    map[state.NewsKind][]chan struct{}
}

func newBoard() *board {
	return &board{members: make(map[string]bool), locks: make(map[string]*lock), reports: make(map[string]string), news: make(map[state.NewsKind][]chan struct{})}
}

// taken returns how often the store was asked for something since the last call, which is
// no news.
func (b *board) taken() (asked int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked, b.asked = b.asked, 0
	return asked
}

// tell tells who waits for news. The caller holds mu.
func (b *board) tell(kinds ...state.NewsKind) {
	for _, k := range kinds {
		for _, ch := range b.news[k] {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}

type lock struct {
	b          *board
	name, node string
	lost       chan struct{}
}

func (l *lock) Lost() <-chan struct{} { return l.lost }

func (l *lock) Unlock() error {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	if l.b.locks[l.name] == l {
		delete(l.b.locks, l.name)
		l.b.tell(state.NewsLocks)
	}
	return nil
}

// lose takes the locks of a member whose names begin with a prefix.
func (b *board) lose(node, prefix string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, l := range b.locks {
		if l.node == node && strings.HasPrefix(name, prefix) {
			delete(b.locks, name)
			close(l.lost)
			b.tell(state.NewsLocks)
		}
	}
}

// holders returns how many locks below a prefix are held.
func (b *board) holders(prefix string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.locks {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// set changes anything.
func (b *board) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.tell(state.NewsLocks, state.NewsReports)
}

func (b *board) Put(ctx context.Context, name, body string) error {
	b.mu.Lock()
	hang, err := b.hang, b.err
	b.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports[name] = body
	b.put++
	b.tell(state.NewsReports)
	return nil
}

func (b *board) List(_ context.Context, prefix string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	var names, bodies []string
	for name := range b.reports {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		bodies = append(bodies, b.reports[name])
	}
	return bodies, b.err
}

// instance is one member, and what its hooks were told.
type instance struct {
	*Peers
	b      *board
	name   string
	shared bool
	sites  *site.Sites
	stop   func()

	mu       sync.Mutex
	idle     bool
	here     string // its cluster
	moved    int    // how often others came, went or moved
	looked   int    // how often it was asked what it moves
	mayWrite error
	mine     map[int]bool // by the hooks
	asked    []Request
	gaps     []string
	fed      []string
	issues   map[string][]control.Issue // its own
	told     map[string][]control.Issue // the others'
	onLost   func(part int)
}

func (i *instance) Shared() bool     { return i.shared }
func (i *instance) Claimant() string { return i.name }

func (i *instance) MayWrite() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mayWrite
}

func (i *instance) TryLock(_ context.Context, name string) (state.Lock, bool, error) {
	i.b.mu.Lock()
	defer i.b.mu.Unlock()
	i.b.asked++
	if i.b.err != nil || i.b.locks[name] != nil {
		return nil, false, i.b.err
	}
	l := &lock{b: i.b, name: name, node: i.name, lost: make(chan struct{})}
	i.b.locks[name] = l
	return l, true, nil
}

func (i *instance) News(_ context.Context, of state.NewsKind) <-chan struct{} {
	if !i.shared {
		return nil
	}
	i.b.mu.Lock()
	defer i.b.mu.Unlock()
	ch := make(chan struct{}, 1)
	i.b.news[of] = append(i.b.news[of], ch)
	return ch
}

// members lists those alive.
type members struct{ *instance }

func (m members) List(context.Context) ([]state.MemberInfo, error) {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	m.b.asked++
	var all []state.MemberInfo
	for id := range m.b.members {
		all = append(all, state.MemberInfo{ID: id})
	}
	return all, m.b.err
}

// issueBook is what an instance knows of stuck buckets.
type issueBook struct{ *instance }

func (k issueBook) List(int) map[string][]control.Issue {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.issues
}

func (k issueBook) SetElsewhere(all map[string][]control.Issue) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told = all
}

// join makes a member that is alive and does nothing yet.
func (b *board) join(name string) *instance {
	b.set(func() { b.members[name] = true })
	i := &instance{b: b, name: name, shared: true, mine: make(map[int]bool)}
	router := routing.NewRouter()
	router.Swap(router.Snapshot().Edit(func(e *routing.Editor) {
		for _, c := range []string{"c1", "c2"} {
			cl := &catalog.Cluster{Name: c, Storage: &catalog.Storage{Endpoint: "http://" + c}}
			cl.Normalize()
			e.PutCluster(cl)
		}
	}))
	i.sites, _ = site.New(site.Options{
		Router: router, Pace: limit.New(4), Log: zap.NewNop(), Now: time.Now,
		Open: func(c string, _ *catalog.Storage) (storage.Storage, error) { return fakestorage.New(c), nil },
	})
	i.Peers = New(Options{
		Members: members{i}, Locks: i, Reports: b, Issues: issueBook{i}, Sites: i.sites, Log: zap.NewNop(), Now: time.Now,
		ShardEvery: time.Second, Hooks: i.hooks(),
		Here:   func() string { i.mu.Lock(); defer i.mu.Unlock(); return i.here },
		Moving: i.moving,
		Idle:   func() bool { i.mu.Lock(); defer i.mu.Unlock(); return i.idle },
	})
	return i
}

// moving counts how often it was asked for.
func (i *instance) moving() json.RawMessage {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.looked++
	return fmt.Appendf(nil, `"%s %d"`, i.name, i.looked)
}

func (i *instance) hooks() Hooks {
	return Hooks{
		Gained: func(parts []int) {
			i.mu.Lock()
			defer i.mu.Unlock()
			for _, p := range parts {
				i.mine[p] = true
			}
		},
		Lost: func(part int) {
			i.mu.Lock()
			during := i.onLost
			i.mu.Unlock()
			if during != nil {
				during(part)
			}
			i.mu.Lock()
			defer i.mu.Unlock()
			delete(i.mine, part)
		},
		Moved: func() { i.mu.Lock(); defer i.mu.Unlock(); i.moved++ },
		Asked: func(r Request) { i.mu.Lock(); defer i.mu.Unlock(); i.asked = append(i.asked, r) },
		Feed: func(c string, live, none bool) {
			i.mu.Lock()
			defer i.mu.Unlock()
			if live {
				i.gaps = append(i.gaps, c)
			}
			i.fed = append(i.fed, fmt.Sprint(c, " ", live, none))
		},
	}
}

// run starts its loops; stop ends them. One that does not replicate publishes no report.
func (i *instance) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	if !i.o.Idle() {
		wg.Go(func() { i.Peers.Run(ctx) })
	}
	wg.Go(func() { i.Shards.Run(ctx) })
	i.stop = func() { cancel(); wg.Wait() }
}

// start joins and runs.
func (b *board) start(t *testing.T, name string) *instance {
	t.Helper()
	i := b.join(name)
	i.run(t.Context())
	return i
}

// die ends a member as a crash does: its locks go with it, and it is not alive any more.
func (i *instance) die() {
	i.b.set(func() { delete(i.b.members, i.name) })
	i.b.lose(i.name, "")
	i.stop()
}

func (i *instance) setIdle(on bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.idle = on
}

func (i *instance) requests() []Request {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.asked)
}

func (i *instance) takeGaps() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	gaps := i.gaps
	i.gaps = nil
	return gaps
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wantParts checks how many parts each has, that the hooks know them, and that all
// are someone's.
func wantParts(tb testing.TB, want string, all ...*instance) {
	tb.Helper()
	var got []string
	owned := make(map[int]string)
	for _, i := range all {
		i.mu.Lock()
		for part := range i.mine {
			if other := owned[part]; other != "" {
				tb.Errorf("part %d is %s's and %s's", part, other, i.name)
			}
			owned[part] = i.name
		}
		if len(i.mine) != i.Shards.Count() {
			tb.Errorf("%s has %d parts, and its hooks were told of %d", i.name, i.Shards.Count(), len(i.mine))
		}
		i.mu.Unlock()
		got = append(got, fmt.Sprint(i.Shards.Count()))
	}
	if len(owned) != ShardCount {
		tb.Errorf("%d of %d parts are someone's", len(owned), ShardCount)
	}
	if s := strings.Join(got, " "); want != "" && s != want {
		tb.Errorf("parts: %s, want %s", s, want)
	}
}

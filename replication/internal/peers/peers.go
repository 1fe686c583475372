package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

const (
	reportRequests = 200
	// requestFor is how long a request is published. Who joins later must not carry it out:
	// deletes that people confirmed hours ago are not those that come now.
	requestFor = 5 * time.Minute
	// requestRead is how soon the others have read a request, with room to spare: a younger one is
	// not dropped for another.
	requestRead  = 2 * time.Second
	reportIssues = 500
	reportEvery  = time.Second
	// reportSpread is the more time between reports for each instance there is.
	reportSpread = 50 * time.Millisecond

	// readEvery is how soon reports are read that nothing told of.
	readEvery = 30 * time.Second

	reportPrefix = "replication/bulletin/"
)

// Peers exchanges reports. Reports stand in numbered slots, of which every instance holds
// one by a lock, so that their number stays that of the instances.
type Peers struct {
	o      Options
	Shards *Shards
	others atomic.Int64 // other instances that are alive

	// posting orders posts, reading reads: their order is that of what they tell.
	posting, reading chan struct{}

	mu       sync.Mutex
	requests []request
	asked    int64
	done     map[string]int64      // requests of other members that were carried out
	feeds    map[string]feedStatus // what others listen to, by cluster
	parts    map[string]int        // what other members have; nil: not known yet
	shares   map[string]Share      // of the other members
	slot     int                   // -1: none yet
	turn     int64                 // slots so far
	posted   string
	watch    watch
}

// errTooMany: as many requests as are published at a time may be unread.
var errTooMany = fmt.Errorf("the other instances were asked for %d things in %v: %w", reportRequests, requestRead, state.ErrUnavailable)

var errNoSlot = fmt.Errorf("the other instances can't be asked yet: %w", state.ErrUnavailable)

// New returns peers, and the shards that go with them.
func New(o Options) *Peers {
	p := &Peers{
		o: o, done: make(map[string]int64), feeds: make(map[string]feedStatus), slot: -1, watch: watch{taken: make(chan struct{})},
		posting: make(chan struct{}, 1), reading: make(chan struct{}, 1),
	}
	p.Shards = &Shards{o: o, others: p, again: make(chan struct{}, 1), enough: 1}
	return p
}

// Succeed goes on with what the former peers of this instance asked and carried out, before it
// runs: the others tell requests of an instance by their numbers.
func (p *Peers) Succeed(former *Peers) {
	former.mu.Lock()
	defer former.mu.Unlock()
	p.requests, p.asked, p.done, p.turn = slices.Clone(former.requests), former.asked, maps.Clone(former.done), former.turn
}

// Others returns how many other instances were alive lately.
func (p *Peers) Others() int { return int(p.others.Load()) }

// Run publishes this instance's report and reads the others' until ctx ends.
func (p *Peers) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if p.o.Members.Shared() && p.o.Members.MayWrite() == nil {
			p.withSlot(ctx)
		}
		delay.Sleep(ctx, reportEvery)
	}
}

// withSlot finds a slot and keeps the report there up to date while it is held.
func (p *Peers) withSlot(ctx context.Context) {
	members, err := p.o.Members.List(ctx)
	if err != nil {
		return
	}
	for i := range len(members) + 2 {
		lock, ok, err := p.o.Locks.TryLock(ctx, fmt.Sprintf("replication/place/%d", i))
		if err != nil {
			return
		}
		if ok {
			p.setSlot(i)
			holding(ctx, lock, p.o.Log, func(ctx context.Context) {
				p.keepUp(ctx)
				p.retract(ctx, lock)
			})
			p.setSlot(-1)
			return
		}
	}
}

func (p *Peers) setSlot(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slot, p.posted = i, ""; i >= 0 {
		p.turn++
	}
}

func (p *Peers) keepUp(ctx context.Context) {
	told := p.o.Members.News(ctx, state.NewsReports)
	stale := true
	var read time.Time
	for ctx.Err() == nil {
		select {
		case _, open := <-told:
			stale = open
		default:
		}
		err := p.post(ctx)
		if now := p.o.Now(); err == nil && (stale || now.Sub(read) > readEvery) {
			if err = p.Read(ctx); err == nil {
				stale, read = false, now
			}
		}
		if err != nil && ctx.Err() == nil {
			p.o.Log.Debug("could not exchange reports with the other instances; will retry", zap.Error(err))
		}
		delay.Sleep(ctx, max(reportEvery, time.Duration(p.Others()+1)*reportSpread))
	}
}

// retract takes the report back that stands in the slot of a lock: one that does not
// replicate any more may live on, and is no sharer. A lost lock's slot is another instance's.
func (p *Peers) retract(ctx context.Context, lock state.Lock) {
	select {
	case <-lock.Lost():
		return
	default:
	}
	p.mu.Lock()
	slot := p.slot
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportEvery)
	defer cancel()
	err := exclusively(ctx, p.posting, func() error { return p.o.Reports.Put(ctx, fmt.Sprint(reportPrefix, slot), "") })
	if err != nil {
		p.o.Log.Debug("could not take this instance's report back; it counts for as long as the instance is alive", zap.Error(err))
	}
}

// exclusively runs f, of which there is one at a time per turn, without a mutex: who waits
// for the store can be given up by ctx.
func exclusively(ctx context.Context, turn chan struct{}, f func() error) error {
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// post publishes this instance's report, if it changed.
func (p *Peers) post(ctx context.Context) error {
	return exclusively(ctx, p.posting, func() error {
		own := peerReport{Member: p.o.Members.Claimant(), Version: p.o.Version, Cluster: p.o.Here(), Parts: p.Shards.Count(), Feeds: p.ownFeeds(), Issues: p.ownIssues()}
		p.mu.Lock()
		p.dropOld()
		own.Asks, own.Turn = p.requests, p.turn
		slot, posted := p.slot, p.posted
		own.Watches = p.o.Now().Before(p.watch.until)
		watched := p.watch.elsewhere
		p.mu.Unlock()
		if watched {
			own.Moving = p.o.Moving()
		}
		if slot < 0 {
			return errNoSlot
		}
		text, err := json.Marshal(own)
		if err != nil || string(text) == posted {
			return err
		}
		if err := p.o.Reports.Put(ctx, fmt.Sprint(reportPrefix, slot), string(text)); err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.slot == slot {
			p.posted = string(text)
		}
		return nil
	})
}

// dropOld forgets requests that have been published for long. The caller holds mu.
func (p *Peers) dropOld() {
	since := p.o.Now().Add(-requestFor)
	i := slices.IndexFunc(p.requests, func(r request) bool { return r.at.After(since) })
	if i < 0 {
		i = len(p.requests)
	}
	p.requests = slices.Clip(p.requests[i:])
}

// ownFeeds says how this instance listens to the storages that it is to listen to.
func (p *Peers) ownFeeds() map[string]feedStatus {
	feeds := make(map[string]feedStatus)
	for _, name := range p.o.Sites.Declared() {
		if s := p.o.Sites.Get(name); s != nil && s.Feed.Own.Load() {
			f := s.Feed.Get()
			feeds[name] = feedStatus{Live: f.Live, Epoch: fmt.Sprint(p.o.Members.Claimant(), " ", f.Epoch), Why: f.Why, None: f.Silent == site.SilentNoFeed || f.Silent == site.SilentOff}
		}
	}
	return feeds
}

// ownIssues are what this instance found out about buckets.
func (p *Peers) ownIssues() map[string][]issue {
	all := make(map[string][]issue)
	for bucket, why := range p.o.Issues.List(reportIssues) {
		for _, w := range why {
			all[bucket] = append(all[bucket], issue(w))
		}
	}
	return all
}

// Read takes in the reports of the other instances that are alive.
func (p *Peers) Read(ctx context.Context) error {
	return exclusively(ctx, p.reading, func() error {
		members, err := p.o.Members.List(ctx)
		if err != nil {
			return err
		}
		bodies, err := p.o.Reports.List(ctx, reportPrefix)
		if err != nil {
			return err
		}
		p.apply(members, bodies)
		return nil
	})
}

// othersReplicate reports whether another instance that is alive publishes a report.
func (p *Peers) othersReplicate(ctx context.Context, members []state.MemberInfo) (bool, error) {
	bodies, err := p.o.Reports.List(ctx, reportPrefix)
	return len(p.latest(members, bodies)) > 0, err
}

// apply takes reports in.
func (p *Peers) apply(members []state.MemberInfo, bodies []string) {
	feeds, issues, parts := make(map[string]feedStatus), make(map[string][]control.Issue), make(map[string]int)
	shares := make(map[string]Share)
	var asked []Request
	others := p.latest(members, bodies)
	for _, other := range others {
		maps.Copy(feeds, other.Feeds)
		for bucket, why := range other.Issues {
			for _, w := range why {
				issues[bucket] = append(issues[bucket], control.Issue(w))
			}
		}
		parts[other.Member] = other.Parts
		shares[other.Member] = Share{Version: other.Version, Cluster: other.Cluster, Parts: other.Parts, Feeds: listenedTo(other.Feeds)}
		asked = append(asked, p.unheard(other)...)
	}
	p.mu.Lock()
	dealt, moved := maps.Equal(p.parts, parts), !sameClusters(p.shares, shares)
	p.parts, p.shares = parts, shares
	p.watch.take(others)
	p.mu.Unlock()
	if moved {
		p.o.Hooks.Moved()
	}
	if !dealt {
		p.Shards.look()
	}
	p.others.Store(int64(max(0, len(members)-1)))
	p.o.Issues.SetElsewhere(issues)
	for _, r := range asked {
		p.o.Hooks.Asked(r)
	}
	p.follow(feeds)
}

// latest returns the last report of each of the other members that are alive.
func (p *Peers) latest(members []state.MemberInfo, bodies []string) map[string]peerReport {
	alive := make(map[string]bool)
	for _, m := range members {
		alive[m.ID] = m.ID != p.o.Members.Claimant()
	}
	last := make(map[string]peerReport)
	for _, text := range bodies {
		var r peerReport
		if text == "" || json.Unmarshal([]byte(text), &r) != nil || !alive[r.Member] {
			continue
		}
		if was, ok := last[r.Member]; !ok || r.Turn > was.Turn {
			last[r.Member] = r
		}
	}
	return last
}

// sameClusters reports whether the same instances are where they were.
func sameClusters(a, b map[string]Share) bool {
	return maps.EqualFunc(a, b, func(x, y Share) bool { return x.Cluster == y.Cluster })
}

// Clusters returns where the other instances are that replicate, "" for one of which nobody says;
// false while that is not known.
func (p *Peers) Clusters() (of []string, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.shares {
		of = append(of, s.Cluster)
	}
	return of, p.shares != nil || !p.o.Members.Shared()
}

// Shares returns the shares of the instances that replicate, by member, this one among them.
func (p *Peers) Shares() map[string]Share {
	p.mu.Lock()
	all := maps.Clone(p.shares)
	p.mu.Unlock()
	if all == nil {
		all = make(map[string]Share)
	}
	if !p.o.Idle() {
		all[p.o.Members.Claimant()] = Share{Version: p.o.Version, Cluster: p.o.Here(), Parts: p.Shards.Count(), Feeds: listenedTo(p.ownFeeds())}
	}
	return all
}

// listenedTo names the clusters whose feeds are live.
func listenedTo(feeds map[string]feedStatus) []string {
	live := []string{}
	for cluster, f := range feeds {
		if f.Live {
			live = append(live, cluster)
		}
	}
	slices.Sort(live)
	return live
}

// sharers returns how many instances share the work, this one among them, of so many that
// are alive, and how many parts the other one has that has fewest. One that does not
// replicate publishes no report.
func (p *Peers) sharers(members int) (n, neediest int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts == nil {
		return max(1, members), ShardCount
	}
	neediest = ShardCount
	for _, parts := range p.parts {
		neediest = min(neediest, parts)
	}
	return 1 + len(p.parts), neediest
}

// unheard returns what another instance asks for that was not carried out here yet.
func (p *Peers) unheard(other peerReport) (rs []Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range other.Asks {
		if a.N > p.done[other.Member] {
			p.done[other.Member] = a.N
			rs = append(rs, Request{Bucket: a.Bucket, Allow: a.Allow, Copy: ids.CopyIn(a.Bucket, a.Prefix, a.Cluster), Read: a.Read})
		}
	}
	return rs
}

// follow notes how storages are listened to elsewhere. Listeners that began again, or ended,
// leave a gap behind them.
func (p *Peers) follow(feeds map[string]feedStatus) {
	for _, name := range p.o.Sites.Declared() {
		s := p.o.Sites.Get(name)
		p.mu.Lock()
		if s == nil || s.Feed.Own.Load() {
			delete(p.feeds, name)
			p.mu.Unlock()
			continue
		}
		h, ok := feeds[name]
		if !ok {
			h.Why = "no instance listens to the storage yet"
		}
		was, known := p.feeds[name]
		again := was.Epoch != h.Epoch
		p.feeds[name] = h
		p.mu.Unlock()
		s.Feed.Follow(h.Live, h.Why, again)
		if !known || again || was.Live != h.Live || was.None != h.None {
			p.o.Hooks.Feed(name, h.Live, h.None)
		}
	}
}

// Ask asks something of the others. It returns once they can read it; where no others can
// be, at once. What could not be asked is not asked later.
func (p *Peers) Ask(ctx context.Context, r Request) error {
	if !p.o.Members.Shared() {
		return nil
	}
	p.mu.Lock()
	if p.slot < 0 {
		p.mu.Unlock()
		return errNoSlot
	}
	if len(p.requests) >= reportRequests && p.o.Now().Sub(p.requests[0].at) < requestRead {
		p.mu.Unlock()
		return errTooMany
	}
	p.asked++
	n := p.asked
	p.requests = append(p.requests, request{
		N: n, Bucket: r.Bucket, Allow: r.Allow, Prefix: r.Copy.Prefix, Cluster: r.Copy.Cluster, Read: r.Read, at: p.o.Now(),
	})
	p.requests = p.requests[max(0, len(p.requests)-reportRequests):]
	p.mu.Unlock()
	err := p.post(ctx)
	if err != nil {
		p.withdraw(n)
	}
	return err
}

// withdraw takes a request back that could not be published.
func (p *Peers) withdraw(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []request // others may be reading the present one
	for _, r := range p.requests {
		if r.N != n {
			rest = append(rest, r)
		}
	}
	p.requests = rest
}

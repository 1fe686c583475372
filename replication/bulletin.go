package replication

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// bulletin is what an instance tells the others through a value in the store: what only
// it knows and they need, but nothing that a promise hangs on.
type bulletin struct {
	Member string `json:"member"`
	// Parts is how many parts of the work it has.
	Parts int `json:"parts"`
	// Feeds are the clusters whose storages it listens to, or tries to.
	Feeds map[string]heard `json:"feeds,omitempty"`
	// Issues are the reasons it found why buckets are stuck.
	Issues map[string][]foundIssue `json:"found,omitempty"`
	// Asks is what it asks of the others; the last ones.
	Asks []ask `json:"asks,omitempty"`
}

// heard is how a storage is listened to. Epoch changes with every beginning.
type heard struct {
	Live  bool   `json:"live"`
	Epoch string `json:"epoch"`
	Why   string `json:"why,omitempty"`
}

// ask asks for something to be done by whoever looks after a bucket ("": by everybody).
type ask struct {
	N      int64  `json:"n"` // counts the asks of a member
	Bucket string `json:"bucket,omitempty"`
	// Allow lets so many deletes of a copy through whatever max_deletes says.
	Allow   int64  `json:"allow,omitempty"`
	Prefix  string `json:"prefix,omitempty"`
	Cluster string `json:"cluster,omitempty"`
}

// foundIssue is a control.Issue as it is stored.
type foundIssue struct {
	Reason string   `json:"reason"`
	Short  []string `json:"short,omitempty"`
}

func toldIssues(all map[string][]control.Issue) map[string][]foundIssue {
	told := make(map[string][]foundIssue, len(all))
	for b, issues := range all {
		for _, i := range issues {
			told[b] = append(told[b], foundIssue(i))
		}
	}
	return told
}

const (
	bulletinAsks   = 200
	bulletinIssues = 500
	bulletinEvery  = time.Second
)

// board is where bulletins are put up: numbered places, of which every instance holds one
// by a lock, so that their number stays that of the instances.
type board struct {
	*run
	company atomic.Int64 // other instances that are alive

	mu     sync.Mutex
	asks   []ask
	asked  int64
	done   map[string]int64 // asks of other members that were heeded
	heard  map[string]heard // what others listen to, by cluster
	parts  map[string]int   // what other members have; nil: not known yet
	place  int              // -1: none yet
	posted string
}

func newBoard(r *run) *board {
	return &board{run: r, done: make(map[string]int64), heard: make(map[string]heard), place: -1}
}

func placeKey(i int) string { return fmt.Sprintf("replication/bulletin/%d", i) }

// exchange puts this instance's bulletin up and reads the others' until ctx ends.
func (b *board) exchange(ctx context.Context) {
	for ctx.Err() == nil {
		if b.ctl.Shared() && b.ctl.MayWrite() == nil {
			b.withPlace(ctx)
		}
		sleep(ctx, bulletinEvery)
	}
}

// withPlace finds a place and keeps the bulletin there up to date while it is held.
func (b *board) withPlace(ctx context.Context) {
	members, err := b.ctl.Members.List(ctx)
	if err != nil {
		return
	}
	for i := range len(members) + 2 {
		lock, ok, err := b.ctl.Store().TryLock(ctx, fmt.Sprintf("replication/place/%d", i))
		if err != nil {
			return
		}
		if ok {
			b.mu.Lock()
			b.place, b.posted = i, ""
			b.mu.Unlock()
			b.holding(ctx, lock, b.keepUp)
			b.mu.Lock()
			b.place = -1
			b.mu.Unlock()
			return
		}
	}
}

func (b *board) keepUp(ctx context.Context) {
	for ctx.Err() == nil {
		members, err := b.round(ctx)
		if err != nil && ctx.Err() == nil {
			b.log.Debug("exchanging news with the other instances", zap.Error(err))
		}
		sleep(ctx, max(bulletinEvery, time.Duration(members)*50*time.Millisecond))
	}
}

func (b *board) round(ctx context.Context) (int, error) {
	if err := b.post(ctx); err != nil {
		return 0, err
	}
	return b.read(ctx)
}

// post puts this instance's bulletin up, if it changed.
func (b *board) post(ctx context.Context) error {
	own := bulletin{Member: b.ctl.Claimant(), Parts: b.shards.count(), Feeds: b.ownFeeds(), Issues: toldIssues(b.ctl.Issues.List(bulletinIssues))}
	b.mu.Lock()
	defer b.mu.Unlock()
	own.Asks = b.asks
	text, err := json.Marshal(own)
	if err != nil || b.place < 0 || string(text) == b.posted {
		return err
	}
	if err := b.ctl.Store().PutMeta(ctx, placeKey(b.place), string(text)); err != nil {
		return err
	}
	b.posted = string(text)
	return nil
}

// ownFeeds says how this instance listens to the storages that it is to listen to.
func (b *board) ownFeeds() map[string]heard {
	feeds := make(map[string]heard)
	for _, name := range b.sites.declared() {
		if s := b.sites.get(name); s != nil && s.ears.Load() {
			live, epoch, why := s.feed.get()
			feeds[name] = heard{Live: live, Epoch: fmt.Sprint(b.ctl.Claimant(), " ", epoch), Why: why}
		}
	}
	return feeds
}

// read takes in the bulletins of the other instances that are alive, and says how many
// there are.
func (b *board) read(ctx context.Context) (int, error) {
	members, err := b.ctl.Members.List(ctx)
	if err != nil {
		return 0, err
	}
	alive := make(map[string]bool)
	for _, m := range members {
		alive[m.ID] = m.ID != b.ctl.Claimant()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	feeds, issues, parts := make(map[string]heard), make(map[string][]control.Issue), make(map[string]int)
	for i := range len(members) + 2 {
		text, err := b.ctl.Store().GetMeta(ctx, placeKey(i))
		if err != nil {
			return 0, err
		}
		var other bulletin
		if text == "" || json.Unmarshal([]byte(text), &other) != nil || !alive[other.Member] {
			continue
		}
		for c, h := range other.Feeds {
			feeds[c] = h
		}
		for bucket, why := range other.Issues {
			for _, i := range why {
				issues[bucket] = append(issues[bucket], control.Issue(i))
			}
		}
		parts[other.Member] = other.Parts
		b.heed(other)
	}
	b.parts = parts
	b.company.Store(int64(max(0, len(members)-1)))
	b.ctl.Issues.SetElsewhere(issues)
	b.follow(feeds)
	return len(members), nil
}

// sharers says how many instances share the work, this one among them, of so many that
// are alive, and how many parts the other one has that has fewest. One that does not
// replicate puts no bulletin up.
func (b *board) sharers(members int) (n, neediest int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parts == nil {
		return max(1, members), shardCount
	}
	neediest = shardCount
	for _, parts := range b.parts {
		neediest = min(neediest, parts)
	}
	return 1 + len(b.parts), neediest
}

// heed does what another instance asks for, once. The caller holds mu.
func (b *board) heed(other bulletin) {
	for _, a := range other.Asks {
		if a.N <= b.done[other.Member] {
			continue
		}
		b.done[other.Member] = a.N
		switch {
		case a.Allow > 0:
			b.breakers.allow(copyID{a.Bucket, a.Prefix, a.Cluster}, a.Allow)
		case a.Bucket == "":
			b.planner.storageChanged()
		case b.shards.owns(a.Bucket):
			b.planner.forgive(a.Bucket)
			b.sweeper.atOnce(a.Bucket)
		}
	}
}

// follow notes how storages are listened to elsewhere. A listener that began anew leaves a
// gap behind it.
func (b *board) follow(feeds map[string]heard) {
	for _, name := range b.sites.declared() {
		s := b.sites.get(name)
		if s == nil || s.ears.Load() {
			delete(b.heard, name)
			continue
		}
		h, ok := feeds[name]
		if !ok {
			h.Why = "no instance listens to the storage yet"
		}
		was := b.heard[name]
		b.heard[name] = h
		s.feed.follow(h, was.Epoch != h.Epoch)
		if h.Live && was.Epoch != h.Epoch {
			b.sweeper.gap(name)
		}
	}
}

// ask puts something up for the others. It returns once they can read it.
func (b *board) ask(ctx context.Context, a ask) error {
	if !b.ctl.Shared() {
		return nil
	}
	b.mu.Lock()
	b.asked++
	a.N = b.asked
	b.asks = append(b.asks, a)
	b.asks = b.asks[max(0, len(b.asks)-bulletinAsks):]
	placed := b.place >= 0
	b.mu.Unlock()
	if !placed {
		return fmt.Errorf("the other instances can't be asked yet: %w", state.ErrUnavailable)
	}
	return b.post(ctx)
}

// follow notes how another instance listens.
func (f *feedState) follow(h heard, anew bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.live != h.Live || anew {
		f.epoch++
	}
	f.live, f.why = h.Live, h.Why
}

// takeDelete counts a delete in at the breaker. Where other instances share the store, it
// looks at what people decided there before it refuses.
func (e *Engine) takeDelete(ctx context.Context, id copyID, row state.Copy) bool {
	if e.breakers.take(id, row, e.conf().MaxDeletes) {
		return true
	}
	r := e.run.Load()
	if r == nil || !e.ctl.Shared() {
		return false
	}
	if _, err := r.board.read(ctx); err != nil {
		return false
	}
	return e.breakers.take(id, row, e.conf().MaxDeletes)
}

// freshRow reads a copy's row anew where another instance may have changed it a moment
// ago: its deletes may be held since.
func (e *Engine) freshRow(ctx context.Context, id copyID, known state.Copy) (state.Copy, error) {
	if !e.ctl.Shared() {
		return known, nil
	}
	rows, err := e.ctl.Store().CopiesOf(ctx, id.bucket)
	if err != nil {
		return known, err
	}
	i := indexCopy(rows, id.prefix, id.cluster)
	if i < 0 || rows[i].State >= catalog.CopyDraining && known.State < catalog.CopyDraining || primaryOf(rows) == id.cluster {
		return known, errStateChanged
	}
	return rows[i], nil
}

package jobs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// RebalanceStatus tells what a rebalance has yet to move, or would move.
type RebalanceStatus struct {
	// Running says that a rebalance is under way, Since that when.
	Running bool
	Since   time.Time
	// What is not where placement would put it today: buckets, and copies to be made in all,
	// with what is in them as far as it was counted. Primaries are those that would move.
	Buckets, Primaries     int64
	Copies, Objects, Bytes int64
	// Moves are the first of them, sorted by bucket and prefix.
	Moves []RebalanceMove
}

// RebalanceMove is what a rebalance changes about one rule of a bucket.
type RebalanceMove struct {
	Bucket, Prefix string
	Add, Remove    []string
	// From and To are set where the bucket's primary moves.
	From, To       string
	Objects, Bytes int64 // of each copy that is made
}

// maxMoves bounds the moves told of.
const maxMoves = 1000

// Rebalances is how people have what is placed go to where it would be placed today. It keeps
// whether a rebalance is under way, and which buckets it moves now.
type Rebalances struct {
	o    *Options
	wake chan struct{}

	mu     sync.Mutex
	since  time.Time            // zero: none is under way
	active map[string]time.Time // buckets on their way, and since when
}

func newRebalances(o *Options) *Rebalances {
	return &Rebalances{o: o, wake: make(chan struct{}, 1), active: make(map[string]time.Time)}
}

// metaRebalance is where the store keeps since when a rebalance is under way.
const metaRebalance = "replication/rebalance"

// Start moves what is placed to where placement would put it today, durably and across
// restarts, a few buckets at a time on every instance.
func (b *Rebalances) Start(ctx context.Context) (RebalanceStatus, error) {
	if err := b.o.Hooks.Running(); err != nil {
		return RebalanceStatus{}, err
	}
	if since, _ := b.UnderWay(); since.IsZero() {
		if err := b.store(ctx, b.o.Now()); err != nil {
			return RebalanceStatus{}, err
		}
	}
	return b.Status(ctx)
}

// Stop ends a rebalance: buckets that are on their way stay where they have come to.
func (b *Rebalances) Stop(ctx context.Context) (RebalanceStatus, error) {
	if err := b.store(ctx, time.Time{}); err != nil {
		return RebalanceStatus{}, err
	}
	b.o.Hooks.Replan() // copies that are not complete yet are given up
	return b.Status(ctx)
}

// Status tells what a rebalance has yet to move, or, where none is under way, would.
func (b *Rebalances) Status(ctx context.Context) (RebalanceStatus, error) {
	since, _ := b.UnderWay()
	st := RebalanceStatus{Running: !since.IsZero(), Since: since, Moves: []RebalanceMove{}}
	counts, err := b.counts(ctx)
	if err != nil {
		return st, err
	}
	snap, in := b.o.Router.Snapshot(), b.o.Inputs()
	var names []string
	snap.Buckets(func(bucket string) bool { names = append(names, strings.Clone(bucket)); return ctx.Err() == nil })
	slices.Sort(names)
	for _, bucket := range names {
		st.add(bucket, snap.Of(bucket).Primary(), idealOf(in, snap, bucket), counts)
	}
	return st, ctx.Err()
}

// add takes a bucket's moves in.
func (st *RebalanceStatus) add(bucket, primary string, to plan.Ideal, counts map[countOf]state.Copy) {
	moves := to.Moves
	if to.Target != primary && len(moves) == 0 && primary != "" {
		moves = []plan.Move{{}} // only the role moves
	}
	if len(moves) == 0 {
		return
	}
	st.Buckets++
	if to.Target != primary {
		st.Primaries++
	}
	for _, m := range moves {
		row := counts[countOf{bucket, m.Prefix}]
		n := int64(len(m.Add))
		st.Copies, st.Objects, st.Bytes = st.Copies+n, st.Objects+n*row.Objects, st.Bytes+n*row.Bytes
		if len(st.Moves) == maxMoves {
			continue
		}
		mv := RebalanceMove{Bucket: bucket, Prefix: m.Prefix, Add: m.Add, Remove: m.Remove, Objects: row.Objects, Bytes: row.Bytes}
		if to.Target != primary {
			mv.From, mv.To = primary, to.Target
		}
		st.Moves = append(st.Moves, mv)
	}
}

// countOf names a rule of a bucket.
type countOf struct{ bucket, prefix string }

// counts reads how much is in the primaries' copies.
func (b *Rebalances) counts(ctx context.Context) (map[countOf]state.Copy, error) {
	all := make(map[countOf]state.Copy)
	err := b.o.Control.Store().Catalogue().EachCopy(ctx, func(c state.Copy) error {
		if c.Primary {
			all[countOf{c.Bucket, c.Prefix}] = state.Copy{Objects: c.Objects, Bytes: c.Bytes}
		}
		return nil
	})
	return all, err
}

// idealOf returns where a bucket would be if it were placed from scratch. One that has no primary yet
// is where it would be.
func idealOf(in *plan.Inputs, snap *routing.Snapshot, bucket string) plan.Ideal {
	decl, primary := snap.Bucket(bucket), snap.Of(bucket).Primary()
	if decl == nil || primary == "" || snap.Of(bucket).Elsewhere(primary) {
		return plan.Ideal{Target: primary, Reached: true}
	}
	return in.Ideal(decl, snap.Of(bucket).Rules(), copyrows.FromCatalog(bucket, snap.Of(bucket).Copies()), primary)
}

// UnderWay returns since when a rebalance is under way, and how many buckets it moves now.
func (b *Rebalances) UnderWay() (since time.Time, active int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since, len(b.active)
}

// Moves reports whether a bucket is to go to where it would be placed from scratch.
func (b *Rebalances) Moves(bucket string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.active[bucket]
	return ok
}

func (b *Rebalances) store(ctx context.Context, since time.Time) error {
	text := ""
	if !since.IsZero() {
		text = since.UTC().Format(time.RFC3339Nano)
	}
	if err := b.o.Control.Store().Facts().PutMeta(ctx, metaRebalance, text); err != nil {
		return err
	}
	b.turn(since)
	return nil
}

// Look takes over what the store says: another instance may have turned the switch.
func (b *Rebalances) Look(ctx context.Context) error {
	text, err := b.o.Control.Store().Facts().GetMeta(ctx, metaRebalance)
	if err != nil {
		return err
	}
	since, _ := time.Parse(time.RFC3339Nano, text) // "" is none
	b.turn(since)
	return nil
}

func (b *Rebalances) turn(since time.Time) {
	b.mu.Lock()
	changed := !b.since.Equal(since)
	b.since = since
	if since.IsZero() {
		clear(b.active)
	}
	b.mu.Unlock()
	if !changed {
		return
	}
	b.o.Log.Info("rebalance", zap.Bool("running", !since.IsZero()))
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Bounds of a rebalance.
const (
	// rebalanceAtOnce is how many buckets an instance moves at a time; one that has not
	// arrived within rebalancePatience does not keep others from moving.
	rebalanceAtOnce   = 2
	rebalancePatience = time.Hour
	rebalanceEvery    = time.Second
	// rebalanceShare bounds the time spent on looking for buckets to a twentieth.
	rebalanceShare = 20
)

// Run has buckets move while a rebalance is under way, until ctx ends.
func (b *Rebalances) Run(ctx context.Context, owns func(string) bool, touch func(bucket string)) {
	b.o.stored(ctx, "could not read whether a rebalance is under way; the next start does", b.Look(ctx))
	for ctx.Err() == nil {
		if since, _ := b.UnderWay(); since.IsZero() {
			select {
			case <-ctx.Done():
			case <-b.wake:
			}
			continue
		}
		began := b.o.Now()
		left, started := b.round(ctx, owns)
		for _, bucket := range started {
			touch(bucket)
		}
		if since, active := b.UnderWay(); left == 0 && active == 0 && !since.IsZero() && ctx.Err() == nil {
			b.o.stored(ctx, "could not store that a rebalance is done; trying again in a moment", b.store(ctx, time.Time{}))
		}
		delay.Sleep(ctx, max(rebalanceEvery, rebalanceShare*b.o.Now().Sub(began)))
	}
}

// round takes buckets that have arrived out and others in. left counts all that are yet to
// move, on whichever instance.
func (b *Rebalances) round(ctx context.Context, owns func(string) bool) (left int, started []string) {
	b.mu.Lock()
	active := maps.Clone(b.active)
	b.mu.Unlock()
	snap, in, busy := b.o.Router.Snapshot(), b.o.Inputs(), 0
	var arrived []string
	for bucket, since := range active {
		switch {
		case !owns(bucket) || idealOf(in, snap, bucket).Reached:
			arrived = append(arrived, bucket)
			delete(active, bucket)
		case b.o.Now().Sub(since) < rebalancePatience:
			busy++
		}
	}
	left = len(active)
	snap.Buckets(func(bucket string) bool {
		if _, moves := active[bucket]; moves {
			return ctx.Err() == nil
		}
		to := idealOf(in, snap, bucket)
		if len(to.Moves) == 0 && to.Target == snap.Of(bucket).Primary() {
			return ctx.Err() == nil
		}
		if left++; busy < rebalanceAtOnce && owns(bucket) {
			busy, started = busy+1, append(started, strings.Clone(bucket))
		}
		return ctx.Err() == nil
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bucket := range arrived {
		delete(b.active, bucket)
	}
	if b.since.IsZero() { // it was stopped meanwhile
		return left, nil
	}
	for _, bucket := range started {
		b.active[bucket] = b.o.Now()
	}
	return left, started
}

package replication

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// PurgeMode says what data a purge removes.
type PurgeMode string

// The purge modes.
const (
	PurgeCopies PurgeMode = "copies" // all copies but the primary's
	PurgeAll    PurgeMode = "all"    // all data
)

// metaPurges is the store's value that holds the purges under way.
const metaPurges = "replication/purges"

// intent is a purge that was decided, as it is stored: all that is needed to carry it
// out once the bucket is forgotten.
type intent struct {
	Bucket  string        `json:"bucket"`
	Mode    PurgeMode     `json:"mode"`
	Primary string        `json:"primary"`
	Copies  []purgeTarget `json:"copies"`
}

// purgeTarget is one cluster to purge, with what is known of the copy there.
type purgeTarget struct {
	Cluster    string    `json:"cluster"`
	Primary    bool      `json:"primary,omitempty"`
	MadeBucket bool      `json:"made_bucket,omitempty"`
	Verified   bool      `json:"verified,omitempty"`
	OwnedUntil time.Time `json:"owned_until,omitzero"`
	Foreign    []string  `json:"foreign,omitempty"` // keys in conflict
	// Pulled are the ETags, by key, of objects copied on demand to a bucket that is not
	// FaDO's: there they are all that is removed.
	Pulled map[string]string `json:"pulled,omitempty"`
}

// purger works purges off in the background.
type purger struct {
	*run
	wake chan struct{}
}

func newPurger(r *run) *purger { return &purger{run: r, wake: make(chan struct{}, 1)} }

// purgeMu orders changes of the stored purges; there is one store per process.
var purgeMu sync.Mutex

// Purge forgets a bucket and removes data as the mode says, in that order: it leaves
// the catalogue and routing first. It returns once the bucket is forgotten and what
// is to be removed is durably noted; the removal goes on in the background, on whichever
// instance has the lead, and ends if the bucket is declared again.
func (e *Engine) Purge(ctx context.Context, bucket string, mode PurgeMode, pre control.Precondition) error {
	if mode != PurgeCopies && mode != PurgeAll {
		return fmt.Errorf("purge: %q: expected %q or %q", mode, PurgeCopies, PurgeAll)
	}
	in, err := e.intend(ctx, bucket, mode)
	if err != nil {
		return err
	}
	// Noted first: a kill in between leaves a note about a bucket that is still there,
	// which is dropped.
	if err := e.editPurges(ctx, func(m map[string]intent) { m[bucket] = in }); err != nil {
		return err
	}
	if err := e.ctl.Delete(ctx, catalog.KindBucket, bucket, pre); err != nil {
		return errors.Join(err, e.editPurges(context.WithoutCancel(ctx), func(m map[string]intent) { delete(m, bucket) }))
	}
	e.ledger.forget(bucket)
	if r := e.run.Load(); r != nil {
		select {
		case r.purger.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// intend gathers what a purge will need to know.
func (e *Engine) intend(ctx context.Context, bucket string, mode PurgeMode) (intent, error) {
	if e.ctl.Router().Snapshot().Bucket(bucket) == nil {
		return intent{}, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	rows, err := e.ctl.Store().CopiesOf(ctx, bucket)
	if err != nil {
		return intent{}, err
	}
	in := intent{Bucket: bucket, Mode: mode, Primary: primaryOf(rows)}
	for _, c := range rows {
		i := slices.IndexFunc(in.Copies, func(t purgeTarget) bool { return t.Cluster == c.Cluster })
		if i < 0 {
			in.Copies = append(in.Copies, purgeTarget{Cluster: c.Cluster, Verified: true, OwnedUntil: c.OwnedUntil})
			i = len(in.Copies) - 1
		}
		t := &in.Copies[i]
		t.Primary = t.Primary || c.Primary
		t.MadeBucket = t.MadeBucket || c.MadeBucket
		t.Verified = t.Verified && !c.VerifiedAt.IsZero()
		t.OwnedUntil = earlier(t.OwnedUntil, c.OwnedUntil)
	}
	if err := e.intendPulled(ctx, &in); err != nil {
		return intent{}, err
	}
	hold := state.HoldConflict
	held, err := e.ctl.Store().ListPending(ctx, state.PendingFilter{Bucket: bucket, Hold: &hold}, state.PendingKey{}, scanConflicts)
	for _, p := range held {
		if i := slices.IndexFunc(in.Copies, func(t purgeTarget) bool { return t.Cluster == p.Cluster }); i >= 0 {
			in.Copies[i].Foreign = append(in.Copies[i].Foreign, p.Key)
		}
	}
	return in, err
}

func (e *Engine) loadPurges(ctx context.Context) (map[string]intent, error) {
	m := make(map[string]intent)
	text, err := e.ctl.Store().GetMeta(ctx, metaPurges)
	if err != nil || text == "" {
		return m, err
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("reading the purges under way: %w", err)
	}
	return m, nil
}

func (e *Engine) editPurges(ctx context.Context, f func(map[string]intent)) error {
	purgeMu.Lock()
	defer purgeMu.Unlock()
	m, err := e.loadPurges(ctx)
	if err != nil {
		return err
	}
	f(m)
	text := ""
	if len(m) > 0 {
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		text = string(b)
	}
	return e.ctl.Store().PutMeta(ctx, metaPurges, text)
}

// lead carries purges out on one instance at a time.
func (p *purger) lead(ctx context.Context) { p.leading(ctx, "replication/purge", p.loop) }

// loop carries purges out until ctx ends. One that can't go on is tried again.
func (p *purger) loop(ctx context.Context) {
	for {
		again := time.Minute
		purges, err := p.loadPurges(ctx)
		p.store(err)
		for _, in := range purges {
			if ctx.Err() != nil {
				return
			}
			if err := p.purge(ctx, in); err != nil && ctx.Err() == nil {
				p.log.Warn("purging a bucket", zap.String("bucket", in.Bucket), zap.Error(err))
				again = 5 * time.Second
			}
		}
		t := time.NewTimer(again)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-p.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// purge carries one intent out, and forgets it when nothing is left to do.
func (p *purger) purge(ctx context.Context, in intent) error {
	for _, t := range in.Copies {
		if t.Primary {
			continue
		}
		if err := p.target(ctx, in, t); err != nil && !errors.Is(err, errForbidden) {
			return err
		}
	}
	for _, t := range in.Copies { // the primary last: what it has decides about the copies
		if t.Primary && in.Mode == PurgeAll {
			if err := p.target(ctx, in, t); err != nil && !errors.Is(err, errForbidden) {
				return err
			}
		}
	}
	if p.declaredAgain(p.ctl.Router().Snapshot(), in.Bucket) {
		p.log.Warn("a purge ends: the bucket was declared again", zap.String("bucket", in.Bucket))
	}
	return p.editPurges(ctx, func(m map[string]intent) { delete(m, in.Bucket) })
}

func (p *purger) declaredAgain(s *routing.Snapshot, bucket string) bool {
	return s.Bucket(bucket) != nil
}

// target purges one cluster.
func (p *purger) target(ctx context.Context, in intent, t purgeTarget) error {
	if p.sites.get(t.Cluster) == nil {
		p.log.Warn("a purge leaves data behind: the cluster has no storage any more",
			zap.String("bucket", in.Bucket), zap.String("cluster", t.Cluster))
		return nil
	}
	dst, err := p.sites.usable(t.Cluster)
	if err != nil {
		return err
	}
	var src *site
	if in.Mode == PurgeCopies {
		if src, err = p.sites.usable(in.Primary); err != nil {
			return err
		}
	}
	versioned, err := p.keepsVersions(ctx, dst, in.Bucket)
	if err != nil {
		return err
	}
	if t.Pulled != nil {
		return p.pulledOf(ctx, in, t, dst, versioned)
	}
	for key, err := range allKeys(ctx, dst, in.Bucket, versioned) {
		if errors.Is(err, storage.ErrNoBucket) {
			return nil
		}
		if err != nil {
			return err
		}
		err := p.persist(ctx, func() error { return p.object(ctx, in, t, src, dst, key, versioned) })
		if err != nil {
			return err
		}
	}
	if t.MadeBucket {
		return p.dropBucket(ctx, dst, in.Bucket)
	}
	return nil
}

// allKeys yields the keys of a bucket, those that only have old versions included.
func allKeys(ctx context.Context, s *site, bucket string, versioned bool) iter.Seq2[string, error] {
	if keeper, ok := s.client.(versionKeeper); ok && versioned {
		return keeper.VersionedKeys(ctx, bucket, "")
	}
	return func(yield func(string, error) bool) {
		for o, err := range s.client.List(ctx, bucket, "", "") {
			if !yield(o.Key, err) || err != nil {
				return
			}
		}
	}
}

// object purges one object, unless the bucket has been declared again.
func (p *purger) object(ctx context.Context, in intent, t purgeTarget, src, dst *site, key string, versioned bool) error {
	ref := objectRef{in.Bucket, key, t.Cluster}
	return p.admitted(ctx, ref, func(ctx context.Context) error {
		if in.Mode == PurgeAll {
			ctx, cancel := context.WithTimeout(ctx, p.tune.CallTimeout)
			defer cancel()
			return dst.client.DeleteAllVersions(ctx, ref.bucket, ref.key)
		}
		return p.copyOf(ctx, t, src, dst, ref, versioned)
	})
}

// admitted runs f with an object to itself, through the gate: it ends when the bucket is
// declared again.
func (p *purger) admitted(ctx context.Context, ref objectRef, f func(context.Context) error) error {
	if err := p.pause.wait(ctx); err != nil {
		return err
	}
	unlock, err := p.keys.lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	op := &operation{
		bucket: ref.bucket, key: ref.key, to: ref.cluster, total: -1,
		allowed: func(s *routing.Snapshot) bool { return !p.declaredAgain(s, ref.bucket) },
	}
	opCtx, leave, err := p.gate.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	return f(opCtx)
}

// copyOf removes a copy's object if the primary has the same, or it is FaDO's.
func (p *purger) copyOf(ctx context.Context, t purgeTarget, src, dst *site, ref objectRef, versioned bool) error {
	row := state.Copy{Bucket: ref.bucket, OwnedUntil: t.OwnedUntil}
	row.Cluster, row.MadeBucket = t.Cluster, t.MadeBucket
	if t.Verified {
		row.VerifiedAt = t.OwnedUntil.Add(time.Second)
	}
	s := &situation{
		Engine: p.Engine, task: task{objectRef: ref, foreign: slices.Contains(t.Foreign, ref.key)},
		rows: []state.Copy{row}, row: row, src: src, dst: dst,
	}
	theirs, ours, err := s.look(ctx)
	if err != nil {
		return err
	}
	if ours == nil {
		return p.oldVersions(ctx, dst, ref)
	}
	same := theirs != nil && storage.Compare(*theirs, *ours) == storage.Equal
	if !same && (theirs == nil || !s.owns(*ours)) {
		p.log.Warn("a purge of copies leaves an object: the primary has not the same",
			zap.String("bucket", ref.bucket), zap.String("key", ref.key), zap.String("cluster", ref.cluster))
		return nil
	}
	_, err = p.removeForGood(ctx, dst, ref, *ours, versioned)
	return err
}

// oldVersions removes the versions below a delete marker if all of them are FaDO's.
func (p *purger) oldVersions(ctx context.Context, dst *site, ref objectRef) error {
	keeper, ok := dst.client.(versionKeeper)
	if !ok {
		return nil
	}
	forGood, err := keeper.OnlyCopies(ctx, ref.bucket, ref.key)
	if err != nil || !forGood {
		return err
	}
	return dst.client.DeleteAllVersions(ctx, ref.bucket, ref.key)
}

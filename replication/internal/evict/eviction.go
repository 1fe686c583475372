package evict

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// eviction removes the objects of a copy that has left routing.
type eviction struct {
	o        *Options
	id       ids.Copy
	row      state.Copy   // at the start
	rows     []state.Copy // of the bucket
	src, dst *site.Site   // the primary's storage, and the copy's
	anywhere bool         // users write at both sides

	keep      func(key string) bool // keys that another copy in the cluster holds
	versioned bool                  // the copy's bucket keeps versions, or did
	histories bool                  // the primary can have the history of what lies there

	removed, kept atomic.Int64
	foreign       atomic.Pointer[string] // one that stayed, for the report
	notYet        atomic.Pointer[error]

	behind hiddenHistory // by the only goroutine that looks for it

	looked bool // it came to look at objects
	mu     sync.Mutex
	waits  []string // keys that have to wait
}

// look prepares the eviction of a copy that is being removed; of another one it is
// [object.ErrChanged].
func look(ctx context.Context, o *Options, id ids.Copy) (*eviction, error) {
	rows, err := o.Copies.Of(ctx, id.Bucket)
	if err != nil {
		return nil, err
	}
	i, primary := copyrows.Index(rows, id.Prefix, id.Cluster), copyrows.PrimaryOf(rows)
	if i < 0 || rows[i].State != catalog.CopyRemoving || primary == "" || primary == id.Cluster {
		return nil, object.ErrChanged
	}
	v := &eviction{o: o, id: id, row: rows[i], rows: rows}
	v.anywhere = v.row.Anywhere || slices.Contains(o.Router.Snapshot().Of(id.Bucket).RulesAnywhere(), id.Prefix)
	if v.src, err = o.Sites.Usable(primary); err != nil {
		return nil, err
	}
	v.dst, err = o.Sites.Usable(id.Cluster)
	return v, err
}

// removal is what the copy's bucket has to be asked about before anything is removed there.
func (v *eviction) removal() buckets.Removal {
	return buckets.Removal{Copy: v.id, Rows: v.rows, Src: v.src, Dst: v.dst}
}

// settled reports whether every other copy that is wanted of the rule is synced, by
// [object.ErrNotYet] if not: until then this one may be needed.
func (v *eviction) settled() error {
	for _, c := range v.o.Router.Snapshot().Of(v.id.Bucket).Copies() {
		wanted := c.State != catalog.CopySynced && !c.State.Leaves()
		if wanted && (strings.HasPrefix(c.Prefix, v.id.Prefix) || strings.HasPrefix(v.id.Prefix, c.Prefix)) {
			return fmt.Errorf("the copy in %s is yet to be synced: %w", c.Cluster, object.ErrNotYet)
		}
	}
	return nil
}

// keeper tells which keys below the copy's prefix are not this copy's to remove: those of
// a longer rule, and those that another copy in the cluster holds.
func (v *eviction) keeper() func(string) bool {
	var own []string
	for _, c := range v.rows {
		if c.Cluster == v.id.Cluster {
			own = append(own, c.Prefix)
		}
	}
	return func(key string) bool {
		snap := v.o.Router.Snapshot()
		rule, ok := snap.Of(v.id.Bucket).RuleOf(key)
		if !ok || len(rule.Prefix) > len(v.id.Prefix) {
			return true
		}
		if rule.Prefix != v.id.Prefix && slices.Contains(own, rule.Prefix) {
			return true
		}
		if _, pulled := v.o.Router.Pulled.Get(v.id.Bucket, key, v.id.Cluster); pulled {
			return true
		}
		return slices.Contains(snap.Of(v.id.Bucket).WantedIn(nil, key), v.id.Cluster)
	}
}

// mayRemove judges a removal by a snapshot: the copy is still leaving, the bucket is
// written elsewhere, and nothing there wants the key.
func (v *eviction) mayRemove(key string) func(*routing.Snapshot) bool {
	return func(s *routing.Snapshot) bool {
		if p := s.Of(v.id.Bucket).Primary(); p == "" || p == v.id.Cluster || p != v.src.Name() {
			return false
		}
		if slices.Contains(s.Of(v.id.Bucket).WantedIn(nil, key), v.id.Cluster) {
			return false
		}
		for _, c := range s.Of(v.id.Bucket).Copies() {
			if c.Prefix == v.id.Prefix && c.Cluster == v.id.Cluster {
				return c.State == catalog.CopyRemoving
			}
		}
		return false
	}
}

// removing runs f as an operation on an object of the copy, with the object to itself.
func (v *eviction) removing(ctx context.Context, ref ids.Object, f func(context.Context, *guard.Pass) error) error {
	unlock, err := v.o.Guard.Lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	var own error
	op := guard.Op{Object: ref, Total: -1, Allowed: v.mayRemove(ref.Key)}
	err = v.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		own = f(ctx, p)
		return own
	})
	if errors.Is(err, guard.ErrForbidden) && !errors.Is(own, guard.ErrForbidden) {
		return object.ErrChanged // the removal itself is not allowed any more
	}
	return err
}

// missing ends an eviction that met a bucket which is gone; that the primary's is gone is no
// reason to remove anything.
func (v *eviction) missing(ctx context.Context, met error) error {
	there, err := v.exists(ctx, v.dst)
	if err != nil || !there {
		return err
	}
	answer := v.o.Hooks.AskSource(v.id.Bucket)
	if there, err = v.exists(ctx, v.src); err != nil {
		return err
	}
	if there {
		return fmt.Errorf("%w: the bucket at %s was gone for a while: %w", object.ErrNotYet, v.src.Name(), met)
	}
	err = fmt.Errorf("%w in %s: %w", object.ErrNoSource, v.src.Name(), met)
	answer(err)
	return err
}

func (v *eviction) exists(ctx context.Context, s *site.Site) (bool, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	return s.Reader().BucketExists(ctx, v.id.Bucket)
}

// stays notes an object that is left where it is.
func (v *eviction) stays(ref ids.Object, why string) {
	v.kept.Add(1)
	text := fmt.Sprintf("%q: %s", ref.Key, why)
	v.foreign.Store(&text)
	v.o.Log.Warn("an object stays at a copy that leaves: it is not FaDO's to remove",
		zap.String("bucket", ref.Bucket), zap.String("key", ref.Key), zap.String("cluster", ref.Cluster), zap.String("reason", why))
}

package walk

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// pass is one pass over a copy's rule at source and destination.
type pass struct {
	o        *Options
	id       ids.Copy
	row      state.Copy   // at the start
	known    catalog.Copy // what is known of it, wherever the pass begins
	rows     []state.Copy
	src, dst *site.Site
	rule     Rule
	// anywhere: users write at both sides.
	anywhere bool
	// began is when the comparison began, at the first key; zero if that is not known.
	began time.Time
}

// listingWindow is how many keys a pass reads between checks whether it still should.
const listingWindow = 1000

// newPass prepares a pass over a copy that is in one of the given states; otherwise it is
// [object.ErrChanged].
func newPass(ctx context.Context, o *Options, id ids.Copy, states ...catalog.CopyState) (*pass, error) {
	rows, err := o.Copies.Of(ctx, id.Bucket)
	if err != nil {
		return nil, err
	}
	i := copyrows.Index(rows, id.Prefix, id.Cluster)
	if i < 0 || !slices.Contains(states, rows[i].State) {
		return nil, object.ErrChanged
	}
	primary := copyrows.PrimaryOf(rows)
	if primary == "" || primary == id.Cluster {
		return nil, object.ErrChanged
	}
	snap := o.Router.Snapshot()
	w := &pass{o: o, id: id, row: rows[i], known: rows[i].Routed(), rows: rows, rule: RuleOf(snap, id)}
	w.anywhere = w.row.Anywhere || slices.Contains(snap.Of(id.Bucket).RulesAnywhere(), id.Prefix)
	if w.src, err = o.Sites.Usable(primary); err != nil {
		return nil, err
	}
	if w.dst, err = o.Sites.Usable(id.Cluster); err != nil {
		return nil, err
	}
	return w, nil
}

// still reports whether the copy is in a state by the current snapshot, and the bucket is
// written where it was.
func (w *pass) still(s catalog.CopyState) bool {
	found := false
	for _, c := range w.o.Router.Snapshot().Of(w.id.Bucket).Copies() {
		if c.Primary && c.Cluster != w.src.Name() {
			return false
		}
		if c.Prefix == w.id.Prefix && c.Cluster == w.id.Cluster {
			found = c.State == s && !c.Primary
		}
	}
	return found
}

// pairs merges both listings after a key.
func (w *pass) pairs(ctx context.Context, after string) iter.Seq2[listing.Pair, error] {
	src := w.src.Reader().List(ctx, w.id.Bucket, w.id.Prefix, after)
	dst := w.dst.Reader().List(ctx, w.id.Bucket, w.id.Prefix, after)
	return listing.Merge(ctx, src, dst, w.src.Name(), w.dst.Name())
}

// own returns the row of the pass's copy, to be changed, if the copy is still in a state and
// the bucket is written where it was.
func (w *pass) own(rows []state.Copy, s catalog.CopyState) (*state.Copy, error) {
	i := copyrows.Index(rows, w.id.Prefix, w.id.Cluster)
	if i < 0 || rows[i].State != s || copyrows.PrimaryOf(rows) != w.src.Name() {
		return nil, object.ErrChanged
	}
	return &rows[i], nil
}

// primaryRow returns the primary's row of the pass's rule, to be changed; nil if there is
// none.
func (w *pass) primaryRow(rows []state.Copy) *state.Copy {
	if i := copyrows.Index(rows, w.id.Prefix, w.src.Name()); i >= 0 {
		return &rows[i]
	}
	return nil
}

// rowOf is the row of a key that a pass found to differ.
func (w *pass) rowOf(key string, size int64) state.Pending {
	return state.Pending{Bucket: w.id.Bucket, Key: key, Cluster: w.id.Cluster, Size: size, Since: w.o.Now(), Background: true, Counted: true}
}

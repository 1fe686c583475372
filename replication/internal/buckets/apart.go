package buckets

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Whether two clusters keep a bucket in two physical buckets. localhost and 127.0.0.1, two DNS
// names, two nodes or ports of one server, a proxy: to remove a "copy" there would remove the
// primary's only object.

// errUntold says that nothing tells whether two clusters are one storage.
var errUntold = errors.New("nothing tells whether they are one storage")

// Apart tells whether a bucket in two clusters is two physical ones.
type Apart struct {
	o     *Options
	pairs *memory.Memory[pair, struct{}] // found to be two physical buckets
}

// pair is a bucket at two storages as they are declared now.
type pair struct {
	bucket string
	a, b   *site.Site
}

// maxPairs bounds the pairs that are remembered to be two; what is forgotten is found out
// again.
const maxPairs = 100_000

func newPairs(o *Options) *memory.Memory[pair, struct{}] {
	return memory.New[pair, struct{}](maxPairs, 0, o.Now)
}

// Distinct returns once it is known that a bucket in two clusters is two buckets. It asks the
// storages only if that was not found out before. Where nothing tells, it is taken for granted:
// nothing is removed on account of it.
func (a *Apart) Distinct(ctx context.Context, bucket string, x, y *site.Site) error {
	p := pair{bucket, x, y}
	if _, known := a.pairs.Get(p); known {
		return nil
	}
	err := a.tellApart(ctx, bucket, x, y, false)
	if errors.Is(err, errUntold) {
		err = nil
	}
	if err == nil {
		a.pairs.Note(p, struct{}{})
	}
	return err
}

// MustDiffer is Distinct before something is removed at x because y has it: the storages are
// asked at this moment, and where nothing tells the answer is [object.ErrBlocked].
func (a *Apart) MustDiffer(ctx context.Context, bucket string, x, y *site.Site) error {
	err := a.tellApart(ctx, bucket, x, y, true)
	if errors.Is(err, errUntold) {
		return fmt.Errorf("%w: FaDO removes nothing in %s: %w; allow s3:ListMultipartUploadParts for the bucket in %s, or s3:PutObject for both", object.ErrBlocked, x.Name(), err, y.Name())
	}
	return err
}

// fromOthers returns once a bucket in a cluster is known to be another one than in the clusters
// of its other copies.
func (a *Apart) fromOthers(ctx context.Context, bucket, cluster string) error {
	s, err := a.o.Sites.Usable(cluster)
	if err != nil {
		return err
	}
	return a.others(bucket, cluster, func(other *site.Site) error { return a.Distinct(ctx, bucket, s, other) })
}

// others calls f with the storages of a bucket's copies in other clusters, but for those that
// are down.
func (a *Apart) others(bucket, cluster string, f func(*site.Site) error) error {
	var seen []string
	for _, c := range a.o.Router.Snapshot().Of(bucket).Copies() {
		if c.Cluster == cluster || slices.Contains(seen, c.Cluster) {
			continue
		}
		seen = append(seen, c.Cluster)
		if other, err := a.o.Sites.Usable(c.Cluster); err == nil {
			if err := f(other); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *Apart) tellApart(ctx context.Context, bucket string, x, y *site.Site, now bool) error {
	askX, askY := x.Births.Of, y.Births.Of
	if now {
		askX, askY = x.Births.Lately, y.Births.Lately
	}
	ix, err := identityOf(ctx, x, bucket, askX)
	if err != nil {
		return err
	}
	iy, err := identityOf(ctx, y, bucket, askY)
	if err != nil {
		return err
	}
	if identity.Differ(ix, iy) {
		return nil
	}
	one, err := a.showsMark(ctx, bucket, x, y)
	if cantMark(err) { // the other way round, then: a mark is no object
		one, err = a.showsMark(ctx, bucket, y, x)
	}
	switch {
	case cantMark(err):
		return fmt.Errorf("clusters %s and %s: %w (%w)", x.Name(), y.Name(), errUntold, err)
	case errors.Is(err, storage.ErrNoBucket):
		return nil
	case err != nil:
		return fmt.Errorf("finding out whether %s and %s are one storage: %w", x.Name(), y.Name(), err)
	case one:
		return fmt.Errorf("bucket %s in cluster %s and in cluster %s is one physical bucket: %w; declare where the storage of one of them really is",
			bucket, x.Name(), y.Name(), ErrOneStorage)
	}
	return nil
}

// cantMark reports whether a mark could not be placed, or not be looked for, for a reason that
// stays.
func cantMark(err error) bool {
	return errors.Is(err, storage.ErrDenied) || errors.Is(err, storage.ErrUnsupported) || errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrRefused)
}

// markPrefix begins the keys of marks. No object has such a key: a mark is an upload without
// parts.
const markPrefix = ".fado-mark-"

// showsMark places a mark in the bucket at one storage, looks for it at another, and takes it
// away. It is on record like any upload, so that one which a kill leaves is swept away.
func (a *Apart) showsMark(ctx context.Context, bucket string, at, seen *site.Site) (one bool, err error) {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // it does not fail
	key := markPrefix + hex.EncodeToString(random)
	op := guard.Op{Object: ids.ObjectIn(bucket, key, at.Name()), Total: -1, Allowed: guard.Always, ToPrimary: true}
	err = a.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		w, err := p.Writer(at)
		if err != nil {
			return err
		}
		cctx, cancel := at.Call(ctx)
		defer cancel()
		m, err := w.PlaceMark(cctx, bucket, key)
		at.Observed(err)
		if err != nil {
			return err
		}
		note := state.Upload{Bucket: bucket, Key: key, Cluster: at.Name(), Token: m.Note(), Started: a.o.Now()}
		noted := a.o.Control.Store().Uploads().PutUpload(ctx, note)
		defer a.removeMark(context.WithoutCancel(ctx), w, at, bucket, m)
		if noted != nil {
			return noted
		}
		lctx, cancel := seen.Call(ctx)
		defer cancel()
		one, err = seen.Reader().HasMark(lctx, bucket, m)
		seen.Observed(err)
		return err
	})
	return one, err
}

// removeMark takes a mark away, and then its record: one that stays is swept away later.
func (a *Apart) removeMark(ctx context.Context, w storage.Writer, at *site.Site, bucket string, m storage.Mark) {
	ctx, cancel := at.Call(ctx)
	defer cancel()
	err := w.RemoveMark(ctx, bucket, m)
	at.Observed(err)
	if err == nil {
		_ = a.o.Control.Store().Uploads().DeleteUpload(ctx, bucket, m.Key, at.Name()) // swept away later, too
	}
}

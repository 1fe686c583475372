package walk

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// comparison judges the pairs that a scan meets.
type comparison struct {
	pass    *pass
	watch   Watch
	track   *copies.Tracker
	asking  *errgroup.Group // HEADs under way
	clocks  clocks
	held    held
	found   *found       // is told what differs
	srcSums copies.Delta // of the primary's objects
}

// one judges a pair, by a HEAD where the listings don't tell.
func (c *comparison) one(ctx context.Context, p listing.Pair) {
	c.watch.Saw(p)
	c.found.doubt.Seen(p.Src)
	if p.Src != nil {
		c.srcSums.Objects++
		c.srcSums.Bytes += p.Src.Size
	}
	verdict := storage.Different
	if p.Src != nil && p.Dst != nil {
		verdict = storage.Compare(*p.Src, *p.Dst)
	}
	judge, known := c.judgeOf(p)
	if known {
		if _, held := c.held.deletes[p.Key]; !held && (verdict != storage.Equal || c.clocks.doubts(*p.Src, *p.Dst)) {
			c.found.pending = append(c.found.pending, p)
		}
		c.track.Pass(p.Key, 0, 0)
		return
	}
	if c.mayGo(p) {
		c.askWhose(ctx, p.Clone(), judge)
		return
	}
	if verdict == storage.Unknown || verdict == storage.Equal && c.clocks.doubts(*p.Src, *p.Dst) ||
		verdict == storage.Different && (object.MayBeOlder(p.Src, p.Dst) && c.pass.doubts() || p.Src != nil && c.watched()) {
		c.ask(ctx, *p.Src, judge)
		return
	}
	judge(p, verdict)
	c.track.Pass(p.Key, 0, 0)
}

// watched reports whether it is told what the scan finds: then a difference between two listings, which
// are not of one moment, is looked at before it counts.
func (c *comparison) watched() bool {
	_, unwatched := c.watch.(noWatch)
	return !unwatched
}

// judgeOf returns what judges a pair by its comparison. Nothing has to where a row says
// already what is to be done about the key.
func (c *comparison) judgeOf(p listing.Pair) (judge func(listing.Pair, storage.Comparison), known bool) {
	if _, held := c.held.deletes[p.Key]; held {
		c.held.deletes[p.Key] = true
		if p.Dst == nil && object.StillLate(c.held.foreign[p.Key], p.Src) {
			return nil, true
		}
		if p.Src != nil || p.Dst == nil {
			c.found.differs(p.Key, sizeOf(p.Src)) // no delete any more
		}
		return nil, true
	}
	if _, held := c.held.conflicts[p.Key]; held {
		c.held.conflicts[p.Key] = true
		return c.judgeConflict, false
	}
	return c.judge, c.pass.o.Router.Pending.Has(c.pass.id.Bucket, p.Key, c.pass.id.Cluster)
}

// judge notes a pair that nothing was known of.
func (c *comparison) judge(p listing.Pair, verdict storage.Comparison) {
	if verdict == storage.Equal {
		return
	}
	if c.watched() && c.pass.o.Router.Pending.Has(c.pass.id.Bucket, p.Key, c.pass.id.Cluster) {
		c.found.differs(p.Key, sizeOf(p.Src)) // it was written since it was listed
		return
	}
	c.watch.Differs(c.pass.id.Cluster, p)
	switch {
	case p.Src == nil && !c.pass.anywhere:
		c.found.only(*p.Dst)
		c.found.extra(p.Key)
		return
	case p.Src != nil && p.Dst != nil && c.pass.doubts() && object.IsOlder(*p.Src, *p.Dst):
		c.found.olderAt(p)
		return
	case p.Dst == nil:
		c.found.lacks()
	}
	c.found.differs(p.Key, sizeOf(p.Src))
}

// judgeConflict schedules a check of a conflict when the object it is about has gone, be it that
// another one stands there, or when both sides have become equal. While they differ it stays one.
func (c *comparison) judgeConflict(p listing.Pair, verdict storage.Comparison) {
	of := c.held.foreign[p.Key]
	gone := p.Dst == nil || of != "" && of != state.ForeignAny && of != object.ForeignOf(*p.Dst)
	if verdict == storage.Equal || gone || c.pass.anywhere {
		c.found.differs(p.Key, sizeOf(p.Src))
	}
}

// mayGo reports whether a pair may be of an object that is to be deleted at the copy.
//
// Invariant: only what is FaDO's there counts for the breaker. What others write at a copy is a conflict, and
// however much it is holds no delete. Once too many were counted nothing has to be asked: each
// row is decided by a look of its own.
func (c *comparison) mayGo(p listing.Pair) bool {
	_, conflict := c.held.conflicts[p.Key]
	return p.Src == nil && p.Dst != nil && !c.pass.anywhere && !conflict && c.found.counts()
}

// askWhose looks at what the copy alone has, and has it judged unless it is another user's, which is noted only.
// An object that can't be asked for counts, and keeps no others from being compared.
func (c *comparison) askWhose(ctx context.Context, p listing.Pair, judge func(listing.Pair, storage.Comparison)) {
	done := c.track.Begin(p.Key, 0, 0)
	c.asking.Go(func() error {
		owns := mayBeOurs(ctx, c.pass, p.Key)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if owns {
			judge(p, storage.Different)
		} else {
			c.watch.Differs(c.pass.id.Cluster, p)
			c.found.differs(p.Key, 0)
		}
		done()
		return nil
	})
}

// ask looks at both objects where the listings don't tell: they know no stamps, no headers and
// no tags.
func (c *comparison) ask(ctx context.Context, src storage.Object, judge func(listing.Pair, storage.Comparison)) {
	done := c.track.Begin(src.Key, 0, 0)
	c.asking.Go(func() error {
		p, verdict, err := c.look(ctx, src)
		if err != nil {
			return err
		}
		judge(p, verdict)
		done()
		return nil
	})
}

// look asks both storages for an object.
func (c *comparison) look(ctx context.Context, src storage.Object) (listing.Pair, storage.Comparison, error) {
	dst, err := c.pass.dst.Stat(ctx, c.pass.id.Bucket, src.Key)
	if err != nil {
		return listing.Pair{}, storage.Different, err
	}
	now, err := c.pass.src.Stat(ctx, c.pass.id.Bucket, src.Key)
	if err != nil {
		return listing.Pair{}, storage.Different, err
	}
	if now != nil {
		src = *now
	}
	verdict := storage.Different
	if dst != nil {
		verdict = storage.Compare(src, *dst)
	}
	if verdict == storage.Different && dst != nil && c.pass.doubts() && object.IsOlder(src, *dst) {
		// The mark of a copy that users made of it on the server side is not FaDO's.
		if dst.Replica, err = c.pass.ours(ctx, *dst); err != nil {
			return listing.Pair{}, verdict, err
		}
	}
	return listing.Pair{Key: src.Key, Src: &src, Dst: dst}, verdict, nil
}

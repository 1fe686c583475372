package move

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// carryRows bounds the rows of a former primary's time that one pass works off, and the keys
// that the former primary lacks.
const carryRows = 100_000

// absencePatience is for how long after a move what a former primary lacks counts as deleted
// around the move: later someone may be clearing it away.
const absencePatience = 10 * time.Minute

// heldBatch bounds the rows of held deletes that are stored at a time.
const heldBatch = 512

// carry is one pass over what users wrote at a former primary around the move.
type carry struct {
	o        *Options
	bucket   string
	old, new *site.Site
	since    time.Time // by the old primary's clock: what is older was compared
	known    time.Time // by the new primary's clock: what is older was compared
	carried  int       // objects brought along
	parting  parting   // that the pass comes behind

	unsure   error      // why it is not known of a key whether the old primary has it
	absences bool       // what the old primary lacks was deleted there around the move
	absent   []string   // such keys
	row      state.Copy // of the new primary

	listed  int                // objects that the new primary has
	counted bool               // the deletes were, and may be made
	gone    []storage.Object   // that are to be deleted at the new primary
	told    []state.PendingKey // their rows
}

// newCarry makes a pass. In the first one after a move deletes count that no feed told of.
func newCarry(o *Options, bucket, from string, rows []state.Copy, first bool) (*carry, error) {
	c := &carry{o: o, bucket: bucket, absences: first}
	found := false
	for _, row := range rows {
		if row.Cluster == from && row.FormerPrimary {
			if !found || row.OwnedUntil.Before(c.since) {
				c.since = row.OwnedUntil
			}
			found = true
			c.absences = c.absences && o.Now().Sub(row.VerifiedAt) < absencePatience
		}
		if row.Primary && row.Prefix == "" {
			c.row = row
		}
		if row.Primary && (c.known.IsZero() || row.OwnedUntil.Before(c.known)) {
			c.known = row.OwnedUntil
		}
	}
	primary := copyrows.PrimaryOf(rows)
	if !found || primary == "" || primary == from {
		return nil, object.ErrChanged
	}
	var err error
	if c.old, err = o.Sites.Usable(from); err != nil {
		return nil, err
	}
	c.new, err = o.Sites.Usable(primary)
	return c, err
}

// run brings along what has to be, and counts it. A key that nothing is known of keeps no other one
// from it.
func (c *carry) run(ctx context.Context) error {
	return errors.Join(c.all(ctx), c.unsure)
}

func (c *carry) all(ctx context.Context) error {
	if err := c.noted(ctx); err != nil {
		return err
	}
	src, dst := c.old.Reader().List(ctx, c.bucket, "", ""), c.new.Reader().List(ctx, c.bucket, "", "")
	for p, err := range listing.Merge(ctx, src, dst, c.old.Name(), c.new.Name()) {
		if err != nil {
			return err
		}
		if c.anywhere(p.Key) {
			continue
		}
		if p.Dst != nil {
			c.listed++
		}
		if p.Src == nil {
			if c.absences && len(c.absent) < carryRows {
				c.absent = append(c.absent, p.Key)
			}
			continue
		}
		if object.WrittenBefore(*p.Src, c.since) {
			continue
		}
		if p.Dst != nil && storage.Compare(*p.Src, *p.Dst) == storage.Equal {
			continue
		}
		if _, err := c.one(ctx, p.Key); err != nil {
			return err
		}
	}
	return c.deletes(ctx)
}

// deletes carries over what users deleted at the old primary around the move: what rows tell of, and
// what was deleted after the move's scan had passed it, where no feed told of it. That is what was copied
// from there (see [carry.bring]) and is not there any more.
//
// Invariant: all of it is counted before the first goes, and what goes counts for the breaker. More than
// it lets a copy lose is held, since absence is weak evidence, and so is half of the bucket and more that is not
// there and that no feed told of: people may have cleared the former primary away before this pass came to
// look, as after a restart. See [object.LateOf].
func (c *carry) deletes(ctx context.Context) error {
	told := make(map[string]bool, len(c.gone))
	for _, o := range c.gone {
		told[o.Key] = true
	}
	for _, key := range c.absent {
		if told[key] {
			continue
		}
		if _, err := c.one(ctx, key); err != nil {
			return err
		}
	}
	slices.SortFunc(c.gone, func(a, b storage.Object) int { return strings.Compare(a.Key, b.Key) })
	c.gone = slices.CompactFunc(c.gone, func(a, b storage.Object) bool { return a.Key == b.Key }) // one that was tried again
	untold := len(c.gone) - len(told)
	cleared := untold >= object.Doubtful && 2*untold >= c.listed
	n := int64(len(c.gone))
	if n > 0 && (cleared || !c.o.Deletes.Lets(ctx, c.copyID(), c.row, n)) {
		return c.hold(ctx)
	}
	c.counted = true
	for _, o := range c.gone {
		if _, err := c.one(ctx, o.Key); err != nil {
			return err
		}
	}
	return c.o.Control.FinishPending(ctx, c.told...)
}

// hold has people decide about the deletes. Where none of them could be made when they are confirmed, the
// objects are back at both.
func (c *carry) hold(ctx context.Context) error {
	safe, err := site.DeletesSafely(ctx, c.new, c.bucket)
	if err != nil {
		return err
	}
	log := c.o.Log.With(zap.String("bucket", c.bucket), zap.String("from", c.old.Name()), zap.Int("objects", len(c.gone)))
	if !safe {
		log.Warn("a former primary lacks more objects than may go: they stay at the new one, and are copied back")
		return c.o.Control.FinishPending(ctx, c.told...)
	}
	log.Warn("a former primary lacks more objects than may go: the deletes are held")
	for batch := range slices.Chunk(c.gone, heldBatch) {
		var rows []state.Pending
		for _, o := range batch {
			rows = append(rows, state.Pending{
				Bucket: c.bucket, Key: o.Key, Cluster: c.old.Name(), Size: o.Size, Since: c.o.Now(), Background: true,
				Hold: state.HoldDeletes, Foreign: object.LateOf(o), Error: object.ErrLate.Error(),
			})
		}
		if err := c.o.Control.AddPending(ctx, rows...); err != nil {
			return err
		}
	}
	return c.o.Control.FinishPending(ctx, c.told...)
}

func (c *carry) copyID() ids.Copy { return ids.CopyIn(c.bucket, c.row.Prefix, c.row.Cluster) }

// noted looks at the keys that changed at the old primary before the move and were not
// brought to the new one yet: rows about a cluster that is the primary now can only be
// from before. Unlike a listing they tell of deletes. What is deleted at the old primary
// after the move is no user's word on the bucket any more: it may be being cleared away.
func (c *carry) noted(ctx context.Context) error {
	filter := state.PendingFilter{Bucket: c.bucket, Cluster: c.new.Name()}
	rows, err := c.o.Control.Store().Queue().ListPending(ctx, filter, state.PendingKey{}, carryRows)
	if err != nil {
		return err
	}
	var done []state.PendingKey
	for _, r := range rows {
		if r.Hold != state.HoldNone || c.anywhere(r.Key) {
			continue
		}
		gone := len(c.gone)
		known, err := c.one(ctx, r.Key)
		switch {
		case err != nil:
			return err
		case len(c.gone) > gone:
			c.told = append(c.told, r.RowKey())
		case known:
			done = append(done, r.RowKey())
		}
	}
	return c.o.Control.FinishPending(ctx, done...)
}

// anywhere reports whether a key is written anywhere: what differs is brought together by the last writer, and
// what the old primary has or lacks says nothing of what users did.
func (c *carry) anywhere(key string) bool { return c.o.Router.Snapshot().Of(c.bucket).Anywhere(key) }

// one carries one object over and counts it if that did something. It is not known if the old
// primary lists the object and does not have it when asked: the pass does not count then.
func (c *carry) one(ctx context.Context, key string) (known bool, err error) {
	err = c.o.Objects.Persist(ctx, func() error {
		did, err := c.object(ctx, key)
		if did {
			c.carried++
		}
		return err
	})
	if errors.Is(err, storage.ErrInconsistent) {
		c.unsure = fmt.Errorf("carrying %q over: %w", key, err)
		return false, nil
	}
	return true, err
}

// object carries one object over, if it is a user's and the new primary has nothing
// newer of its own.
func (c *carry) object(ctx context.Context, key string) (did bool, err error) {
	if err := c.o.Pause.Wait(ctx); err != nil {
		return false, err
	}
	release, err := c.o.Slots.Acquire(ctx, limit.Want{Class: limit.Bulk, To: c.new.Name()})
	if err != nil {
		return false, err
	}
	defer release()
	ref := ids.ObjectIn(c.bucket, key, c.new.Name())
	unlock, err := c.o.Guard.Lock(ctx, ref)
	if err != nil {
		return false, err
	}
	defer unlock()
	op := guard.Op{Object: ref, From: c.old.Name(), Total: -1, ToPrimary: true}
	err = c.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		for range carryAttempts { // a lost race is decided again, by what is there then
			if did, err = c.decide(ctx, p); !errors.Is(err, storage.ErrPrecondition) {
				break
			}
		}
		if err != nil {
			return err
		}
		return c.history(ctx, p)
	})
	if errors.Is(err, guard.ErrForbidden) {
		return false, c.forbidden(ctx, key)
	}
	return did, err
}

// history brings along what users wrote around the move and then overwrote or deleted. What is older
// was brought before the move: if the new primary lacks it now, a user removed it there.
func (c *carry) history(ctx context.Context, p *guard.Pass) error {
	return c.o.Objects.Histories.Settle(ctx, p, object.Sides{Src: c.old, Dst: c.new}, func(v storage.Version) bool {
		return !object.WrittenBefore(v.Object, c.since)
	})
}

// carryAttempts bounds how often one key is decided in a row, because users go on writing it.
const carryAttempts = 3

// decide looks at both sides and acts. [storage.ErrPrecondition]: what was looked at changed;
// such a key does not count as carried over, because from the end of the pass on what lies at
// the former primary counts as compared.
func (c *carry) decide(ctx context.Context, p *guard.Pass) (did bool, err error) {
	src, err := c.look(ctx, c.old, p.Op().Key)
	if err != nil {
		return false, err
	}
	dst, err := c.look(ctx, c.new, p.Op().Key)
	if err != nil {
		return false, err
	}
	return c.bring(ctx, p, src, dst)
}

// look asks for an object, and whether FaDO wrote this very version of it. That the old primary
// has it not is confirmed by its listing: it would be deleted at the new one.
func (c *carry) look(ctx context.Context, at *site.Site, key string) (*storage.Object, error) {
	o, err := at.Stat(ctx, c.bucket, key)
	if err == nil && o == nil && at == c.old {
		err = at.Absent(ctx, c.bucket, key)
	}
	if err != nil || o == nil {
		return nil, err
	}
	o.Replica, err = c.o.Objects.Provenance.Marked(ctx, c.bucket, at, *o)
	return o, err
}

// bring decides by what lies on both sides. What the new primary has with FaDO's mark was
// copied from the old one: if the old one lacks it now, a user deleted it there.
func (c *carry) bring(ctx context.Context, p *guard.Pass, src, dst *storage.Object) (bool, error) {
	key := p.Op().Key
	switch {
	case src == nil && (dst == nil || !dst.Replica):
		return false, nil
	case src == nil:
		return c.deleted(ctx, p, *dst)
	case src.Replica, object.WrittenBefore(*src, c.since):
		return false, nil
	case dst != nil && storage.Compare(*src, *dst) == storage.Equal:
		return false, nil
	case c.o.Objects.Provenance.Gave(c.bucket, key, c.old, c.new, *src):
		return false, nil // it got over before, and was replaced or deleted there
	}
	if later, err := c.later(ctx, *src, dst); err != nil || later {
		return false, err
	}
	if dst == nil {
		if was, err := c.brought(ctx, *src); err != nil || was {
			return false, err
		}
	}
	cond := storage.Condition{Absent: true}
	switch {
	case dst != nil && !dst.Replica && !object.WrittenBefore(*dst, c.known):
		return false, c.leave(ctx, key, "it was written at the former primary, and another one at the new")
	case dst != nil:
		cond = storage.Condition{IfETag: dst.ETag}
	}
	err := c.changing(ctx, key, src.Size, func() error {
		_, err := c.o.Objects.Writes.Transfer(ctx, p, object.Sides{Src: c.old, Dst: c.new}, *src, storage.CopyOptions{If: cond})
		return err
	})
	return err == nil, err
}

// deleted deletes at the new primary what a user deleted at the old one, once all such deletes are counted.
func (c *carry) deleted(ctx context.Context, p *guard.Pass, dst storage.Object) (bool, error) {
	if !c.counted {
		c.gone = append(c.gone, dst)
		return false, nil
	}
	safe, err := site.DeletesSafely(ctx, c.new, c.bucket)
	if err != nil {
		return false, err
	}
	if !safe {
		return false, c.leave(ctx, p.Op().Key, "it was deleted at the former primary around the move; the new one can't delete it without the risk "+
			"of deleting a write that came since, so it is back: delete it there once more")
	}
	if !c.o.Deletes.Take(ctx, c.copyID(), c.row) {
		return false, nil
	}
	err = c.changing(ctx, p.Op().Key, 0, func() error { return c.o.Objects.Writes.Delete(ctx, p, c.new, dst) })
	return err == nil, err
}

// later reports whether what the old primary has was there before the move, and what the new one
// shows was written, or deleted, by users behind it.
func (c *carry) later(ctx context.Context, src storage.Object, dst *storage.Object) (bool, error) {
	h := c.parting
	switch {
	case h.from != c.old.Name() || h.to != c.new.Name() || !object.WrittenBefore(src, h.left):
		return false, nil
	case dst != nil:
		return !dst.Replica && !object.WrittenBefore(*dst, h.came), nil
	}
	if keeps, err := c.new.HasHistory(ctx, c.bucket); err != nil || !keeps {
		return false, err // nothing tells of a delete
	}
	ctx, cancel := c.new.Call(ctx)
	defer cancel()
	v, err := c.new.Reader().Version(ctx, c.bucket, src.Key, "")
	c.new.Observed(err)
	return err == nil && v.Deleted && !object.WrittenBefore(v.Object, h.came), err
}

// changing changes a key at the new primary by f.
func (c *carry) changing(ctx context.Context, key string, size int64, f func() error) error {
	return c.o.Objects.Writes.Unheard(ctx, ids.ObjectIn(c.bucket, key, c.new.Name()), size, []string{c.old.Name()}, f)
}

// forbidden leaves an object that may no longer be written to the new primary, if it
// would have to be.
func (c *carry) forbidden(ctx context.Context, key string) error {
	src, err := c.look(ctx, c.old, key)
	if err != nil || src == nil || src.Replica || object.WrittenBefore(*src, c.since) {
		return err
	}
	return c.leave(ctx, key, "it was written at the former primary, and the policy does not allow the new one any more")
}

// leave reports an object that can't be carried over: it stays at the former primary as
// a foreign object. The row is durable before the former primary's objects up to now count
// as compared.
func (c *carry) leave(ctx context.Context, key, why string) error {
	return c.o.Control.AddPending(ctx, state.Pending{
		Bucket: c.bucket, Key: key, Cluster: c.old.Name(), Since: c.o.Now(), Background: true,
		Hold: state.HoldConflict, Foreign: state.ForeignAny, Error: object.ErrConflict.Error() + ": " + why,
	})
}

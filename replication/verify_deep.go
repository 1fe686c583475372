package replication

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// errDamaged says that an object's bytes are not those that its storage acknowledged. A
// pending row whose error begins with it has the object written anew, though by its ETag
// it is in step; and an object at the primary that is known to be so is no source.
var errDamaged = errors.New("the bytes are damaged")

// deepAtATime bounds the objects of one verification that are read at a time.
const deepAtATime = 4

// rereader is a storage whose objects can be held against what it keeps of them.
type rereader interface {
	Reread(ctx context.Context, bucket string, o storage.Object, limit func(ctx context.Context, n int) error) (storage.Reread, error)
}

// deep reads the objects of one rule at the primary and all synced copies.
type deep struct {
	*run
	vn     *verification
	id     copyID // the primary's
	src    *site
	copies []string
	rules  ruleFinder
	track  *tracker
	abort  context.CancelCauseFunc
	wg     sync.WaitGroup
	room   chan struct{}
}

// deepStep reads what one rule covers, from where it stood.
func (v *verifier) deepStep(ctx context.Context, vn *verification, step string, id copyID) error {
	_, from := vn.enter(step)
	vn.mu.Lock()
	at := vn.at
	vn.mu.Unlock()
	src, err := v.sites.usable(id.cluster)
	if err != nil {
		return err
	}
	d := &deep{
		run: v.run, vn: vn, id: id, src: src, rules: newRuleFinder(v.ctl.Router().Snapshot(), id),
		track: newTracker(from, at.Objects, at.Bytes), room: make(chan struct{}, deepAtATime),
	}
	for _, c := range v.ctl.Router().Snapshot().Copies(id.bucket) {
		if c.Prefix == id.prefix && c.State == catalog.CopySynced && !c.Primary {
			d.copies = append(d.copies, c.Cluster)
		}
	}
	return d.walk(ctx, from)
}

func (d *deep) walk(ctx context.Context, from string) error {
	ctx, d.abort = context.WithCancelCause(ctx)
	defer d.abort(nil)
	defer d.wg.Wait()
	for o, err := range d.src.client.List(ctx, d.id.bucket, d.id.prefix, from) {
		if err != nil {
			return fmt.Errorf("listing %s: %w", d.src.name, err)
		}
		if !d.rules.covers(o.Key) {
			continue
		}
		if err := d.begin(ctx, o); err != nil {
			return err
		}
	}
	d.wg.Wait()
	return context.Cause(ctx)
}

// begin has one object read, when there is room. Only a slot of bulk work is taken: live
// changes come first.
func (d *deep) begin(ctx context.Context, o storage.Object) error {
	if err := d.pause.wait(ctx); err != nil {
		return err
	}
	if d.ctl.Router().Snapshot().Primary(d.id.bucket) != d.src.name {
		return errStateChanged
	}
	release, err := d.slots.acquire(ctx, classBulk, d.src.name)
	if err != nil {
		return context.Cause(ctx)
	}
	select {
	case d.room <- struct{}{}:
	case <-ctx.Done():
		release()
		return context.Cause(ctx)
	}
	done := d.track.begin(o.Key, 1, o.Size*int64(1+len(d.copies)))
	d.wg.Go(func() {
		defer func() { <-d.room; release() }()
		err := d.object(ctx, o)
		if err != nil {
			d.abort(err)
			return
		}
		done()
		d.vn.mu.Lock()
		d.vn.Cursor, d.vn.at.Objects, d.vn.at.Bytes = d.track.mark()
		d.vn.mu.Unlock()
		d.vn.tell(d.ctl.Events(), d.now(), false)
	})
	return nil
}

// reading is what came of reading one cluster's object.
type reading struct {
	site *site
	obj  storage.Object
	storage.Reread
	damaged string // why its bytes are not to be used; "" if they may be
}

// object reads one key everywhere and judges. Copies that are pending are left to their
// rows; an object that changes meanwhile is left to the feeds.
func (d *deep) object(ctx context.Context, o storage.Object) error {
	src, err := d.read(ctx, d.src, o.Key)
	if err != nil {
		return err
	}
	if src == nil {
		return nil
	}
	var copies []*reading
	for _, c := range d.copies {
		if d.ctl.Router().Pending.Has(d.id.bucket, o.Key, c) {
			continue
		}
		s, err := d.sites.usable(c)
		if err != nil {
			return err
		}
		cp, err := d.read(ctx, s, o.Key)
		if err != nil {
			return err
		}
		if cp != nil && storage.Compare(src.obj, cp.obj) == storage.Equal {
			copies = append(copies, cp)
		}
	}
	d.vn.count(1, 0)
	return d.judge(ctx, src, copies)
}

const (
	readAttempts = 3
	readBackoff  = 200 * time.Millisecond
)

// read reads one cluster's object to its end; nil if it is not there or changed meanwhile.
// An object that can't be read from a storage that is well otherwise is damaged.
func (d *deep) read(ctx context.Context, s *site, key string) (*reading, error) {
	o, err := d.stat(ctx, s, d.id.bucket, key)
	if err != nil || o == nil {
		return nil, err
	}
	rr, ok := s.client.(rereader)
	if !ok {
		return nil, fmt.Errorf("reading in %s: %w", s.name, storage.ErrUnsupported)
	}
	r := &reading{site: s, obj: *o}
	for attempt := range readAttempts {
		if attempt > 0 && !sleep(ctx, jitter(readBackoff<<attempt)) {
			return nil, context.Cause(ctx)
		}
		r.Reread, err = rr.Reread(ctx, d.id.bucket, *o, func(ctx context.Context, n int) error {
			d.vn.count(0, int64(n))
			if err := waitFor(ctx, s.limiter, n); err != nil {
				return err
			}
			return waitFor(ctx, d.limiter.Load(), n)
		})
		if err == nil {
			if r.Integrity == storage.Damaged {
				r.damaged = r.Why
			}
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, storage.ErrPrecondition) || errors.Is(err, storage.ErrNotFound) {
			return nil, nil
		}
	}
	return r, d.unreadable(ctx, r, err)
}

// unreadable tells a damaged object from a storage that is not well.
func (d *deep) unreadable(ctx context.Context, r *reading, cause error) error {
	if errors.Is(cause, storage.ErrDenied) || errors.Is(cause, storage.ErrNoBucket) {
		return fmt.Errorf("reading in %s: %w", r.site.name, cause)
	}
	pctx, cancel := context.WithTimeout(ctx, d.tune.PingTimeout)
	defer cancel()
	if err := r.site.client.Ping(pctx); err != nil {
		return fmt.Errorf("reading in %s: %w", r.site.name, cause)
	}
	r.damaged = "it can't be read: " + cause.Error()
	return nil
}

// judge decides which side is good. Whose bytes are not what its own storage keeps of
// them is damaged; it is repaired from a side whose bytes are good, and nothing else is.
func (d *deep) judge(ctx context.Context, src *reading, copies []*reading) error {
	if src.damaged != "" && !d.falseAlarm(src, copies) {
		return d.primaryDamaged(ctx, src, copies)
	}
	for _, cp := range copies {
		switch {
		case cp.damaged == "" && cp.SHA256 == src.SHA256 && cp.Size == src.Size:
		case cp.damaged != "" && cp.SHA256 == src.SHA256 && cp.Size == src.Size: // its ETag means something else
		case cp.damaged == "" && src.Integrity != storage.Intact:
			d.vn.found(Mismatch{
				Key: src.obj.Key, Cluster: cp.site.name, State: mismatchUnrepairable,
				Reason: "its bytes differ from the primary's, and nothing tells which are right",
			})
		default:
			why := cp.damaged
			if why == "" {
				why = "its bytes differ from the primary's, which are what its storage acknowledged"
			}
			if err := d.repairCopy(ctx, cp, why); err != nil {
				return err
			}
		}
	}
	return nil
}

// notAnywhere: a version on top would take part in the order of writes.
const notAnywhere = "it is left to people where anywhere is written: write the good version again"

// falseAlarm says that a primary's ETag only looks like an MD5: a copy has the very same
// bytes, and finds nothing wrong with them.
func (d *deep) falseAlarm(src *reading, copies []*reading) bool {
	for _, cp := range copies {
		if src.Size == src.obj.Size && cp.Size == src.Size && cp.SHA256 == src.SHA256 {
			return true
		}
	}
	return false
}

// repairCopy has a copy's object written anew by the workers: the row is durable, and the
// copy is no hit for it, from here on.
func (d *deep) repairCopy(ctx context.Context, cp *reading, why string) error {
	ref := objectRef{d.id.bucket, cp.obj.Key, cp.site.name}
	if d.rules.anywhere() {
		d.vn.found(Mismatch{Key: ref.key, Cluster: ref.cluster, Reason: why + "; " + notAnywhere, State: mismatchUnrepairable})
		return nil
	}
	d.vn.found(Mismatch{Key: ref.key, Cluster: ref.cluster, Reason: why, State: mismatchRepairing})
	d.rotten.note(ref, cp.obj)
	return d.ctl.AddPending(ctx, state.Pending{
		Bucket: ref.bucket, Key: ref.key, Cluster: ref.cluster, Size: cp.obj.Size, Since: d.now(), Background: true,
		Error: errDamaged.Error() + ": " + why,
	})
}

// primaryDamaged repairs a primary's object from a copy whose bytes are proven to be what
// the primary's storage acknowledged, by the sum that it keeps of them. Where nothing
// proves that, both sides are left as they are, and people decide.
func (d *deep) primaryDamaged(ctx context.Context, src *reading, copies []*reading) error {
	ref := objectRef{d.id.bucket, src.obj.Key, src.site.name}
	d.rotten.note(ref, src.obj)
	m := Mismatch{
		Key: ref.key, Cluster: ref.cluster, State: mismatchUnrepairable,
		Reason: "the primary's bytes are damaged: " + src.damaged,
	}
	if d.rules.anywhere() {
		m.Reason += "; " + notAnywhere
		copies = nil
	}
	for _, cp := range copies {
		if cp.damaged != "" || !d.proves(cp, src) {
			continue
		}
		err := d.repairPrimary(ctx, cp, src)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			m.Reason += "; repairing it from " + cp.site.name + ": " + err.Error()
			continue
		}
		d.rotten.drop(ref)
		m.State, m.Reason = mismatchRepaired, m.Reason+"; repaired from "+cp.site.name
		d.vn.found(m)
		return nil
	}
	m.Reason += "; no copy was proven to be what was written there"
	d.vn.found(m)
	return nil
}

// proves says whether a copy's bytes are what the primary's storage acknowledged.
func (d *deep) proves(cp, src *reading) bool {
	if cp.Size != src.obj.Size {
		return false
	}
	if cp.Proves(src.Reread) || cp.MD5 != "" && cp.MD5 == src.obj.ETag {
		return true
	}
	// The same ETag of a multipart upload, computed anew from the copy's bytes.
	return cp.Integrity == storage.Intact && cp.obj.ETag == src.obj.ETag
}

// repairPrimary writes a copy's bytes over the primary's damaged ones, if these are what
// was read; where versions are kept, as a version on top.
func (d *deep) repairPrimary(ctx context.Context, from, to *reading) error {
	ref := objectRef{d.id.bucket, to.obj.Key, to.site.name}
	unlock, err := d.keys.lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	op := &operation{bucket: ref.bucket, key: ref.key, from: from.site.name, to: to.site.name, total: from.Size, anew: true}
	opCtx, leave, err := d.gate.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	_, err = d.transfer(opCtx, op, from.site, to.site, ref.bucket, from.obj, storage.Condition{IfETag: to.obj.ETag})
	return err
}

// isDamaged says whether a pending row asks for an object to be written anew.
func isDamaged(row state.Pending) bool { return strings.HasPrefix(row.Error, errDamaged.Error()) }

// damages remembers the objects that were found to be damaged. Forgetting one costs no
// more than finding it again: what is copied is checked on its way.
type damages struct {
	mu sync.Mutex
	by map[objectRef]storage.Object
}

const maxDamages = 100_000

func (d *damages) note(ref objectRef, o storage.Object) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.by == nil || len(d.by) >= maxDamages {
		d.by = make(map[objectRef]storage.Object)
	}
	d.by[ref] = o
}

func (d *damages) drop(ref objectRef) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.by, ref)
}

// is says whether this very object was found to be damaged.
func (d *damages) is(ref objectRef, o storage.Object) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was, ok := d.by[ref]
	return ok && was.ETag == o.ETag && was.VersionID == o.VersionID &&
		was.LastModified.Truncate(time.Second).Equal(o.LastModified.Truncate(time.Second))
}

package verify

import (
	"context"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// judge decides which side is good. A side whose bytes are not what its own storage keeps of
// them is damaged; it is repaired from a side whose bytes are good, and nothing else is.
func (d *deep) judge(ctx context.Context, src *reading, copies []*reading) error {
	if src.damaged != "" && !falseAlarm(src, copies) {
		return d.primaryDamaged(ctx, src, copies)
	}
	for _, cp := range copies {
		switch {
		case cp.SHA256 == src.SHA256 && cp.Size == src.Size: // if damaged, its ETag means something else
		case cp.damaged == "" && src.Integrity != storage.Intact:
			d.c.found(Mismatch{
				Key: src.obj.Key, Cluster: cp.site.Name(), State: unrepairable,
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

// falseAlarm reports that a primary's ETag only looks like an MD5: a copy has the very same
// bytes, and finds nothing wrong with them.
func falseAlarm(src *reading, copies []*reading) bool {
	for _, cp := range copies {
		if src.Size == src.obj.Size && cp.Size == src.Size && cp.SHA256 == src.SHA256 {
			return true
		}
	}
	return false
}

// repairCopy has a copy's object written again by the workers: the row is durable, and the
// copy is no hit for it, from here on.
func (d *deep) repairCopy(ctx context.Context, cp *reading, why string) error {
	ref := ids.ObjectIn(d.id.Bucket, cp.obj.Key, cp.site.Name())
	if d.anywhere {
		d.c.found(Mismatch{Key: ref.Key, Cluster: ref.Cluster, Reason: why + "; " + notAnywhere, State: unrepairable})
		return nil
	}
	d.c.found(Mismatch{Key: ref.Key, Cluster: ref.Cluster, Reason: why, State: repairing})
	d.v.o.Objects.Damaged.Note(ref, cp.obj)
	return d.v.o.Pending.Add(ctx, state.Pending{
		Bucket: ref.Bucket, Key: ref.Key, Cluster: ref.Cluster, Size: cp.obj.Size, Since: d.v.o.Now(), Background: true,
		Damaged: true, Error: object.ErrDamaged.Error() + ": " + why, Cause: state.CauseCorrupt,
	})
}

// differs has the workers look at a copy that is another object than the primary's by what both
// storages say of it: nothing that was read is passed over.
func (d *deep) differs(ctx context.Context, cp *reading) error {
	d.c.found(Mismatch{
		Key: cp.obj.Key, Cluster: cp.site.Name(), State: repairing, Reason: "its content, headers or tags are not the primary's",
	})
	return d.v.o.Pending.Add(ctx, state.Pending{
		Bucket: d.id.Bucket, Key: cp.obj.Key, Cluster: cp.site.Name(), Size: cp.obj.Size, Since: d.v.o.Now(), Background: true,
	})
}

// primaryDamaged repairs a primary's object from a copy whose bytes are proven to be what
// the primary's storage acknowledged, by the sum that it keeps of them. Where nothing
// proves that, both sides are left as they are, and people decide.
func (d *deep) primaryDamaged(ctx context.Context, src *reading, copies []*reading) error {
	ref := ids.ObjectIn(d.id.Bucket, src.obj.Key, src.site.Name())
	d.v.o.Objects.Damaged.Note(ref, src.obj)
	m := Mismatch{
		Key: ref.Key, Cluster: ref.Cluster, State: unrepairable,
		Reason: "the primary's bytes are damaged: " + src.damaged,
	}
	if d.anywhere {
		m.Reason += "; " + notAnywhere
		copies = nil
	}
	for _, cp := range copies {
		if cp.damaged != "" || !proves(cp, src) {
			continue
		}
		err := d.repairPrimary(ctx, cp, src)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			m.Reason += "; repairing it from " + cp.site.Name() + ": " + err.Error()
			continue
		}
		d.v.o.Objects.Damaged.Drop(ref)
		m.State, m.Reason = repaired, m.Reason+"; repaired from "+cp.site.Name()
		d.c.found(m)
		return nil
	}
	m.Reason += "; no copy was proven to be what was written there"
	d.c.found(m)
	return nil
}

// proves reports whether a copy's bytes are what the primary's storage acknowledged.
func proves(cp, src *reading) bool {
	if cp.Size != src.obj.Size {
		return false
	}
	if cp.Proves(src.Reread) || cp.MD5 != "" && cp.MD5 == src.obj.ETag {
		return true
	}
	// The same ETag of a multipart upload, computed again from the copy's bytes.
	return cp.Integrity == storage.Intact && cp.obj.ETag == src.obj.ETag
}

// repairPrimary writes a copy's bytes over the primary's damaged ones, if these are what
// was read; where versions are kept, as a version on top.
func (d *deep) repairPrimary(ctx context.Context, from, to *reading) error {
	ref := ids.ObjectIn(d.id.Bucket, to.obj.Key, to.site.Name())
	unlock, err := d.v.o.Guard.Lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	op := guard.Op{Object: ref, From: from.site.Name(), Total: from.Size, Rewrite: true}
	return d.v.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		at := object.Sides{Src: from.site, Dst: to.site}
		_, err := d.v.o.Objects.Writes.Transfer(ctx, p, at, from.obj, storage.CopyOptions{If: storage.Condition{IfETag: to.obj.ETag}})
		return err
	})
}

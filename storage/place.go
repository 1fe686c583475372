package storage

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/fado-project/fado/storage/s3"
)

// restamps reports whether what is copied is itself a stamped copy: then its stamp goes along,
// since its own time and ETag are not the original's.
func (o CopyOptions) restamps() bool {
	return o.Version != nil && o.Version.Source.ETag != ""
}

// place decides how a version is written so that it stands where the order of versions has
// it. The original's time is kept wherever it can be; where what is there has the same or,
// by its storage's clock, a later one, the copy gets the next moment and its stamp tells
// the time it stands for.
func (t *destination) place(ctx context.Context) error {
	v := t.opts.Version
	t.obj.LastModified = v.LastModified
	if !t.to.Preserve {
		return t.placeElsewhere(ctx)
	}
	if t.opts.Below {
		return t.placeBelow(ctx)
	}
	if t.preserve {
		if err := t.checkBefore(ctx); err != nil || t.preserve {
			return err
		}
	}
	vs, err := versionsOf(ctx, t.dst, t.bucket, t.obj.Key, 1)
	if err != nil {
		return err
	}
	t.placed.at = v.Written
	if len(vs) == 0 || vs[0].LastModified.Before(v.Written) {
		return nil
	}
	if m := vs[0]; m.DeleteMarker && m.LastModified.Truncate(time.Millisecond).After(v.Written) &&
		!sameVersion(m.ID, derivedID(t.bucket, t.obj.Key, "", m.LastModified)) { // FaDO's own, moved behind what it covers
		return t.deletedSince(m.ID)
	}
	t.placed.at = afterVersion(vs[0].LastModified)
	return nil
}

// placeBelow decides the version ID of a version that comes below others: its own, wherever the
// bucket has room for that. There is one null version of a key, which another would replace.
func (t *destination) placeBelow(ctx context.Context) error {
	v := t.opts.Version
	if t.state != VersioningOn {
		return t.dst.wire.Fail(t.putRequest(), ErrUnsupported, "its bucket keeps no versions")
	}
	t.placed.at = v.Written
	if t.preserve && uuid.Validate(v.VersionID) == nil {
		return nil
	}
	if t.preserve && isNull(v.VersionID) {
		vs, err := versionsOf(ctx, t.dst, t.bucket, t.obj.Key, 0)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(vs, func(e s3.VersionEntry) bool { return isNull(e.ID) }) {
			t.placed.id = "null"
			return nil
		}
	}
	t.placed.id = derivedID(t.bucket, t.obj.Key, v.origin().ETag, v.Written)
	return nil
}

// deletedSince says that a delete marker beats the version: users made it since the two were
// compared, and no condition on content tells.
func (t *destination) deletedSince(marker string) error {
	return t.dst.wire.Fail(t.putRequest(), ErrPrecondition, "it was deleted later than this version was written: marker %s", marker)
}

// notDeletedSince returns nil unless a delete marker that is there beats the version.
func (t *destination) notDeletedSince(ctx context.Context) error {
	now, err := currentVersion(ctx, t.dst, t.bucket, t.obj.Key)
	if err == nil && now.Deleted && CompareVersions(now, *t.opts.Version) > 0 {
		return t.deletedSince(now.VersionID)
	}
	return err
}

// placeElsewhere prepares a write to a storage whose versions are in order of arrival.
func (t *destination) placeElsewhere(ctx context.Context) error {
	if t.opts.Below {
		return t.dst.wire.Fail(t.putRequest(), ErrUnsupported, "it takes no version that is older than what is there")
	}
	if t.opts.If.Absent {
		vs, err := versionsOf(ctx, t.dst, t.bucket, t.obj.Key, 1)
		if err != nil {
			return err
		}
		if len(vs) > 0 && vs[0].DeleteMarker {
			if err := t.notDeletedSince(ctx); err != nil {
				return err
			}
			if err := expectMarker(ctx, t); err != nil {
				return err
			}
		}
	}
	return t.checkBefore(ctx)
}

// expectMarker makes the write conditional on a delete marker that is there, where If-None-Match: *
// would refuse it after all content was sent.
func expectMarker(ctx context.Context, t *destination) error {
	if !t.to.MarkersCount {
		return nil
	}
	vs, err := versionsOf(ctx, t.dst, t.bucket, t.obj.Key, 0)
	if err == nil && len(vs) > 0 && vs[0].DeleteMarker {
		t.placed.cover(vs)
	}
	return err
}

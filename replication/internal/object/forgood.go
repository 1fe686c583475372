package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/storage"
)

// Removals take objects away for good. All methods are safe for concurrent use.
type Removals struct {
	report *report.Report
	writes *Writes
}

// Removal is an object that is to leave a storage for good.
type Removal struct {
	At        Sides          // from Dst; Src is the primary's, nil where it can't be asked
	Seen      storage.Object // what the decision was made by
	Versioned bool           // the bucket keeps versions, or did until versioning was suspended
	Recorded  bool           // the store has on record that FaDO put Seen there
}

// ForGood takes an operation's object away.
//
// Where the bucket keeps versions, what goes for good are versions that were looked at, each
// by its ID, and of those the ones FaDO can be told to have written ([wrote]). What is
// written meanwhile stays, and so does every other version: below a delete marker, and then
// covered is true. Of the versions below the one that was looked at only those go that the primary
// has, too: this may have been the primary once, or have got a primary's history from it, and what
// is left of that may be nowhere else. What a user removed at the primary can't be told from that.
func (rs *Removals) ForGood(ctx context.Context, p *guard.Pass, r Removal) (covered bool, err error) {
	if r.Versioned {
		covered, err = rs.versions(ctx, p, r)
	} else {
		err = rs.writes.Delete(ctx, p, r.At.Dst, r.Seen)
	}
	if err != nil {
		return false, err
	}
	rs.report.Removed(p.Op().Object)
	return covered, nil
}

func (rs *Removals) versions(ctx context.Context, p *guard.Pass, r Removal) (covered bool, err error) {
	vs, err := VersionsAt(ctx, r.At.Dst, p.Op().Bucket, p.Op().Key)
	if errors.Is(err, storage.ErrUnsupported) {
		return true, rs.writes.Delete(ctx, p, r.At.Dst, r.Seen)
	}
	if err != nil {
		return false, err
	}
	if len(vs) == 0 {
		return false, nil // it went meanwhile
	}
	ours, err := wrote(ctx, p, r, vs)
	if err != nil {
		return false, err
	}
	seen := slices.ContainsFunc(ours, func(v storage.Version) bool { return isSeen(v, r.Seen) })
	rest := slices.DeleteFunc(slices.Clone(ours), func(v storage.Version) bool { return v.Deleted || isSeen(v, r.Seen) })
	there, err := atPrimary(ctx, p, r.At, rest)
	if err != nil {
		return false, err
	}
	if len(ours) == len(vs) && seen && len(there) == len(rest) {
		return false, DropVersions(ctx, p, r.At.Dst, vs)
	}
	ours, err = atPrimary(ctx, p, r.At, ours)
	if err != nil {
		return false, err
	}
	ours, err = apartFromNull(ctx, p.Op().Bucket, r, vs, ours)
	if err != nil {
		return false, err
	}
	// The marker first: no version below may come to be the current one.
	if err := rs.writes.Delete(ctx, p, r.At.Dst, r.Seen); err != nil {
		return false, err
	}
	return true, DropVersions(ctx, p, r.At.Dst, ours)
}

// ErrBelow says that an object can't be removed because a version below it would go, too.
var ErrBelow = errors.New("a delete marker would take the place of a version that is not known to be FaDO's: the bucket's versioning is suspended")

// apartFromNull returns those of FaDO's versions that are still there below a delete marker: where versioning is
// suspended, the marker is the null version, and takes the place of the one before. That must be none but the
// object that was looked at.
func apartFromNull(ctx context.Context, bucket string, r Removal, vs, ours []storage.Version) ([]storage.Version, error) {
	i := slices.IndexFunc(vs, isNull)
	if i < 0 {
		return ours, nil
	}
	if keeps, err := r.At.Dst.KeepsVersions(ctx, bucket); err != nil || keeps {
		return ours, err
	}
	if !vs[i].Deleted && !isSeen(vs[i], r.Seen) {
		return nil, ErrBelow
	}
	return slices.DeleteFunc(ours, isNull), nil
}

func isNull(v storage.Version) bool { return v.VersionID == "null" }

// Hidden removes what is left of an operation's object, which has no current version:
// those versions that FaDO wrote and that the primary has, too, and the delete markers if no other
// version is left. It returns how many are left that hold content.
func (rs *Removals) Hidden(ctx context.Context, p *guard.Pass, at Sides) (left int, err error) {
	vs, err := VersionsAt(ctx, at.Dst, p.Op().Bucket, p.Op().Key)
	if err != nil {
		return 0, err
	}
	ours, err := wrote(ctx, p, Removal{At: at, Versioned: true}, vs)
	if err != nil {
		return 0, err
	}
	there, err := atPrimary(ctx, p, at, ours)
	if err != nil {
		return 0, err
	}
	contents := slices.DeleteFunc(slices.Clone(vs), func(v storage.Version) bool { return v.Deleted })
	left = len(contents) - len(there)
	if left == 0 {
		there = vs
	}
	return left, DropVersions(ctx, p, at.Dst, there)
}

// atPrimary returns those of the versions with content that the primary has, too.
func atPrimary(ctx context.Context, p *guard.Pass, at Sides, vs []storage.Version) ([]storage.Version, error) {
	if at.Src == nil || len(vs) == 0 {
		return nil, nil
	}
	theirs, err := HistoryAt(ctx, at.Src, p.Op().Bucket, p.Op().Key, storage.MaxHistory)
	if errors.Is(err, storage.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(vs), func(v storage.Version) bool {
		return v.Deleted || !slices.ContainsFunc(theirs.Versions, func(t storage.Version) bool {
			return sameVersion(t, v) || !t.Deleted && t.Size == v.Size && v.Source.ETag != "" && t.ETag == v.Source.ETag
		})
	}), nil
}

// isSeen reports whether a version is the object that was looked at.
func isSeen(v storage.Version, o storage.Object) bool {
	return !v.Deleted && v.ETag == o.ETag && (nullID(v.VersionID) && nullID(o.VersionID) || v.VersionID == o.VersionID)
}

// wrote returns those of a key's versions, listed newest first, that FaDO wrote as far as can
// be told here, and the delete markers, which hold nothing.
//
// A version is FaDO's if it has the mark or the stamp of that very version; a version ID that
// FaDO derived; the identity of a version that the primary has; or if the store has it on
// record. Of two with one stamp the newer is a server-side copy that a user made.
func wrote(ctx context.Context, p *guard.Pass, r Removal, vs []storage.Version) (ours []storage.Version, err error) {
	var theirs []storage.Version
	if r.At.Src != nil && slices.ContainsFunc(vs, func(v storage.Version) bool { return !v.Deleted && !v.Replica }) {
		theirs, err = VersionsAt(ctx, r.At.Src, p.Op().Bucket, p.Op().Key)
		if err != nil && !errors.Is(err, storage.ErrUnsupported) {
			return nil, err
		}
	}
	for i, v := range vs {
		switch {
		case v.Token != "" && slices.ContainsFunc(vs[i+1:], func(o storage.Version) bool { return o.Token == v.Token }):
		case v.Deleted,
			stamped(v),
			v.Replica && v.Source.ETag == "",
			storage.Derived(p.Op().Bucket, v),
			r.Recorded && isSeen(v, r.Seen),
			slices.ContainsFunc(theirs, func(t storage.Version) bool { return sameVersion(t, v) }):
			ours = append(ours, v)
		}
	}
	return ours, nil
}

// stamped reports whether a version has FaDO's stamp for this key, and may be what it says.
func stamped(v storage.Version) bool { return v.Source.ETag != "" && v.Source.Size == v.Size }

// sameVersion reports whether two storages have one version: its ID and ETag, or, where it has
// another ID or none, the moment it was written at.
func sameVersion(a, b storage.Version) bool {
	if a.Deleted || a.ETag != b.ETag || a.Size != b.Size {
		return false
	}
	if !nullID(a.VersionID) && a.VersionID == b.VersionID {
		return true
	}
	return a.LastModified.Truncate(time.Millisecond).Equal(b.LastModified.Truncate(time.Millisecond))
}

// versionsPatience bounds looking at all versions of a key: a request for each of them.
const versionsPatience = 10 * time.Minute

// VersionsAt lists the versions of a key at a storage, the newest first.
func VersionsAt(ctx context.Context, at *site.Site, bucket, key string) ([]storage.Version, error) {
	return allVersions(ctx, at, func(ctx context.Context) ([]storage.Version, error) {
		return at.Reader().Versions(ctx, bucket, key)
	})
}

// allVersions asks a storage for all versions of a key, which may take many requests.
func allVersions[T any](ctx context.Context, at *site.Site, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, versionsPatience)
	defer cancel()
	vs, err := ask(ctx)
	if ctx.Err() == nil { // what took too long here is no single request
		at.Observed(err)
	}
	if err != nil {
		return vs, fmt.Errorf("asking %s for the versions of an object: %w", at.Name(), err)
	}
	return vs, nil
}

// DropVersions removes versions, newest first as they were listed, for good. The oldest goes
// first, so that what is visible until the end is the current one.
func DropVersions(ctx context.Context, p *guard.Pass, at *site.Site, vs []storage.Version) error {
	w, err := p.Writer(at)
	if err != nil {
		return err
	}
	for _, v := range slices.Backward(vs) {
		if err := stillNull(ctx, p, at, v); err != nil {
			return err
		}
		cctx, cancel := at.Call(ctx)
		err := w.DeleteVersion(cctx, p.Op().Bucket, p.Op().Key, v.VersionID)
		cancel()
		at.Observed(err)
		if err != nil {
			return fmt.Errorf("removing version %s from %s: %w", v.VersionID, at.Name(), err)
		}
	}
	return nil
}

// stillNull returns [storage.ErrPrecondition] if a null version is not the one that was looked at: where versioning
// is suspended, each write takes its place and its ID. No storage removes one on a condition, so it is looked at
// again right before.
func stillNull(ctx context.Context, p *guard.Pass, at *site.Site, v storage.Version) error {
	if !isNull(v) {
		return nil
	}
	now, err := HistoryAt(ctx, at, p.Op().Bucket, p.Op().Key, storage.MaxHistory)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(now.Versions, isNull)
	if i < 0 {
		return nil // removing it again is no error
	}
	if n := now.Versions[i]; n.Deleted != v.Deleted || n.ETag != v.ETag || n.LastModified.Unix() != v.LastModified.Unix() {
		return fmt.Errorf("the null version in %s was written again: %w", at.Name(), storage.ErrPrecondition)
	}
	return nil
}

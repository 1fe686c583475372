package asks

import (
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// Outlived reports whether the source of an issue is a job of a kind that none of a bucket's
// copies asks for any more, nor the bucket as a whole: what kept such a job from its end is over.
func Outlived(source control.Source, cs []catalog.Copy, whole Whole) bool {
	switch source.Finder {
	case control.FinderMove:
		return source.Cluster != whole.Move
	case control.FinderCarry:
		return source.Cluster != whole.Carry
	case control.FinderConverge:
		return source.Cluster != whole.Converge
	case control.FinderSync, control.FinderScan, control.FinderEvict:
		return !slices.ContainsFunc(cs, func(c catalog.Copy) bool {
			return source == control.Source{Finder: finderOf(c), Cluster: c.Cluster, Prefix: c.Prefix} && !countedByScans(cs, c)
		})
	default:
		return false
	}
}

// Whole are the jobs that a bucket asks for as a whole, each by the cluster it is about, "" for
// none: a job that is asked for may have to wait, for a storage that is down or a copy in step.
type Whole struct{ Move, Carry, Converge string }

// OfWhole returns those of a bucket whose primary is to be in target.
func OfWhole(snap *routing.Snapshot, bucket string, cs []catalog.Copy, primary, target string) (w Whole) {
	w.Move = MoveOf(snap.Bucket(bucket), primary, target)
	if former := slices.IndexFunc(cs, func(c catalog.Copy) bool { return c.FormerPrimary }); former >= 0 {
		w.Carry = cs[former].Cluster
	}
	if MustConverge(snap, bucket, cs) {
		w.Converge = primary
	}
	return w
}

// countedByScans reports whether the primary's objects are counted as others of its rule are scanned,
// so that no count of them alone is made any more: the planner and the scan scheduler ask for none.
func countedByScans(cs []catalog.Copy, primary catalog.Copy) bool {
	return primary.Primary && Seen(cs) &&
		slices.ContainsFunc(cs, func(c catalog.Copy) bool {
			return !c.Primary && c.State == catalog.CopySynced && c.Prefix == primary.Prefix
		})
}

// MustConverge reports whether copies are marked as written anywhere while their policies
// say otherwise.
func MustConverge(snap *routing.Snapshot, bucket string, cs []catalog.Copy) bool {
	rules := snap.Of(bucket).RulesAnywhere()
	return slices.ContainsFunc(cs, func(c catalog.Copy) bool { return c.Anywhere && !Among(rules, c.Prefix) })
}

// UnmarkedAnywhere reports whether a bucket has copies of rules that may be written anywhere
// whose rows don't say so yet.
func UnmarkedAnywhere(bucket routing.BucketView) bool {
	rules := bucket.RulesAnywhere()
	return len(rules) > 0 && slices.ContainsFunc(bucket.Copies(), func(c catalog.Copy) bool {
		return !c.Anywhere && Among(rules, c.Prefix)
	})
}

// Among reports whether a prefix is one of some that are sorted.
func Among(prefixes []string, prefix string) bool {
	_, found := slices.BinarySearch(prefixes, prefix)
	return found
}

// finderOf is the finder of the job that a copy in its state asks for.
func finderOf(c catalog.Copy) control.Finder {
	switch c.State {
	case catalog.CopyDraining, catalog.CopyRemoving:
		return control.FinderEvict
	case catalog.CopySynced:
		return control.FinderScan
	default:
		return control.FinderSync
	}
}

// MoveOf returns where a bucket's primary is to be moved by itself, from where it is to where it is to be; "" for
// nowhere. decl may be nil.
func MoveOf(decl *catalog.Bucket, primary, target string) string {
	if target == primary || decl != nil && PromotedByHand(decl, target) { // people say when
		return ""
	}
	return target
}

// Seen reports whether the objects of any of a bucket's copies were looked at.
func Seen(cs []catalog.Copy) bool {
	return slices.ContainsFunc(cs, func(c catalog.Copy) bool { return c.Verified })
}

// PromotedByHand reports whether a bucket's primary moves to a cluster only when people say
// so.
func PromotedByHand(decl *catalog.Bucket, target string) bool {
	return decl.Promote == catalog.PromoteManual && decl.Primary == target
}

package replication

import (
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// What a bucket and its copies ask for, and what is over since they do not any more.

// outlived reports whether the source of an issue is a job of a kind that none of a bucket's
// copies asks for any more, nor the bucket as a whole: what kept such a job from its end is over.
func outlived(source control.Source, cs []catalog.Copy, whole wholeJobs) bool {
	switch source.Finder {
	case control.FinderMove:
		return source.Cluster != whole.move
	case control.FinderCarry:
		return source.Cluster != whole.carry
	case control.FinderConverge:
		return source.Cluster != whole.converge
	case control.FinderSync, control.FinderScan, control.FinderEvict:
		return !slices.ContainsFunc(cs, func(c catalog.Copy) bool {
			return source == control.Source{Finder: finders[jobFor(c)], Cluster: c.Cluster, Prefix: c.Prefix} && !countedByScans(cs, c)
		})
	default:
		return false
	}
}

// wholeJobs are the jobs that a bucket asks for as a whole, each by the cluster it is about, "" for
// none: a job that is asked for may have to wait, for a storage that is down or a copy in step.
type wholeJobs struct{ move, carry, converge string }

// wholeJobsOf returns those of a bucket whose primary is to be in target.
func wholeJobsOf(snap *routing.Snapshot, bucket string, cs []catalog.Copy, primary, target string) (w wholeJobs) {
	decl := snap.Bucket(bucket)
	if byHand := decl != nil && promotedByHand(decl, target); target != primary && !byHand { // or people say when
		w.move = target
	}
	if former := slices.IndexFunc(cs, func(c catalog.Copy) bool { return c.FormerPrimary }); former >= 0 {
		w.carry = cs[former].Cluster
	}
	if mustConverge(snap, bucket, cs) {
		w.converge = primary
	}
	return w
}

// countedByScans reports whether the primary's objects are counted as others of its rule are scanned,
// so that no count of them alone is made any more, see [scans.scan] and [planner.dispatchWhole].
func countedByScans(cs []catalog.Copy, primary catalog.Copy) bool {
	return primary.Primary &&
		slices.ContainsFunc(cs, func(c catalog.Copy) bool { return c.Verified }) &&
		slices.ContainsFunc(cs, func(c catalog.Copy) bool {
			return !c.Primary && c.State == catalog.CopySynced && c.Prefix == primary.Prefix
		})
}

// mustConverge reports whether copies are marked as written anywhere while their policies
// say otherwise.
func mustConverge(snap *routing.Snapshot, bucket string, cs []catalog.Copy) bool {
	rules := snap.Of(bucket).RulesAnywhere()
	return slices.ContainsFunc(cs, func(c catalog.Copy) bool { return c.Anywhere && !among(rules, c.Prefix) })
}

// unmarkedAnywhere reports whether a bucket has copies of rules that may be written anywhere
// whose rows don't say so yet.
func unmarkedAnywhere(bucket routing.BucketView) bool {
	rules := bucket.RulesAnywhere()
	return len(rules) > 0 && slices.ContainsFunc(bucket.Copies(), func(c catalog.Copy) bool {
		return !c.Anywhere && among(rules, c.Prefix)
	})
}

// among reports whether a prefix is one of some that are sorted.
func among(prefixes []string, prefix string) bool {
	_, found := slices.BinarySearch(prefixes, prefix)
	return found
}

// jobFor is the job that a copy in its state asks for.
func jobFor(c catalog.Copy) jobKind {
	switch c.State {
	case catalog.CopyDraining, catalog.CopyRemoving:
		return jobEvict
	case catalog.CopySynced:
		return jobScan
	default:
		return jobSync
	}
}

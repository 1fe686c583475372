package control

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// BucketStatus is the read-only status of a bucket.
type BucketStatus struct {
	State     string // ok, syncing, stuck, conflict
	Reason    string // all Reasons in one text
	Reasons   []Reason
	Primary   string
	Copies    []CopyStatus
	Conflicts int64
	// Prefixes are the copies of the bucket's prefix rules, each with its own; Copies sums
	// them up with those of the bucket's.
	Prefixes []PrefixStatus
	// Promotion is the move of the primary that waits for people; nil where none does.
	Promotion *Promotion
}

// Promotion is a move of a primary that is prepared until people say so.
type Promotion struct {
	To    string // the cluster
	Ready bool   // its copy has everything
	// Reason says what is missing while it is not ready.
	Reason string
}

// promotionOf tells of a bucket's prepared move; nil where none is.
func promotionOf(b *catalog.Bucket, st BucketStatus) *Promotion {
	if b == nil || b.Promote != catalog.PromoteManual || b.Primary == st.Primary || st.Primary == "" {
		return nil
	}
	p := &Promotion{To: b.Primary, Reason: "there is no copy in " + b.Primary + " yet"}
	for _, c := range st.Copies {
		switch {
		case c.Cluster != b.Primary:
		case c.State != "synced":
			p.Reason = "the copy in " + c.Cluster + " is " + c.State
		case c.Pending.Objects > 0:
			p.Reason = Count(c.Pending.Objects, "object") + " on the way to " + c.Cluster
		default:
			p.Ready, p.Reason = true, ""
		}
	}
	return p
}

// CopyStatus is one cluster's part of a BucketStatus, over all of the bucket's rules.
type CopyStatus struct {
	Cluster    string
	Zone       string
	Role       string // primary, copy
	State      string
	Objects    int64
	Bytes      int64
	Cursor     string
	Pending    PendingStatus
	VerifiedAt *time.Time
	Error      string
	// Losses are what this copy can't keep of the primary's objects, in sentences such as
	// "tags are not kept in c3".
	Losses []string
}

// PrefixStatus is where the keys of a prefix rule are.
type PrefixStatus struct {
	Prefix string
	Policy string // "" for a rule that is gone, and whose copies are given back
	Copies []PrefixCopy
}

// PrefixCopy is one cluster's copy of a prefix rule's keys.
type PrefixCopy struct {
	Cluster    string
	Role       string // primary, copy
	State      string
	Objects    int64
	Bytes      int64
	VerifiedAt *time.Time
	Error      string
}

// prefixStatuses tells of a bucket's prefix rules, and of those that are gone and have copies
// still, sorted by prefix; their copies as [copyStatuses] sorts them.
func prefixStatuses(rules []catalog.PrefixRule, rows []state.Copy) (sts []PrefixStatus) {
	at := make(map[string]*PrefixStatus)
	for _, r := range rules {
		if r.Prefix != "" {
			at[r.Prefix] = &PrefixStatus{Prefix: r.Prefix, Policy: r.Policy, Copies: []PrefixCopy{}}
		}
	}
	for _, r := range rows {
		if r.Prefix == "" {
			continue
		}
		if at[r.Prefix] == nil {
			at[r.Prefix] = &PrefixStatus{Prefix: r.Prefix}
		}
		c := PrefixCopy{
			Cluster: r.Cluster, Role: "copy", State: r.State.String(), Objects: r.Objects, Bytes: r.Bytes,
			VerifiedAt: timeOrNil(r.VerifiedAt), Error: r.Error,
		}
		if r.Primary {
			c.Role = "primary"
		}
		at[r.Prefix].Copies = append(at[r.Prefix].Copies, c)
	}
	for _, prefix := range slices.Sorted(maps.Keys(at)) {
		st := *at[prefix]
		slices.SortFunc(st.Copies, func(a, b PrefixCopy) int {
			return cmp.Or(-strings.Compare(a.Role, b.Role), strings.Compare(a.Cluster, b.Cluster))
		})
		sts = append(sts, st)
	}
	return sts
}

// PendingStatus sums the objects of a copy that differ now.
type PendingStatus struct {
	Objects int64
	Bytes   int64
	Oldest  *time.Time
}

// The states of a bucket, from bad to good.
const (
	BucketStuck    = "stuck"    // can't get where it should be without help, or not now
	BucketConflict = "conflict" // objects that are not FaDO's stand in the way
	BucketSyncing  = "syncing"  // on its way
	BucketOK       = "ok"
)

// copyStatuses sums a bucket's copies per cluster, the primary first, then by name.
func copyStatuses(snap *routing.Snapshot, rows []state.Copy, logs []state.Backlog) []CopyStatus {
	sts := []CopyStatus{}
	for _, r := range rows {
		i := slices.IndexFunc(sts, func(s CopyStatus) bool { return s.Cluster == r.Cluster })
		if i < 0 {
			sts = append(sts, newCopyStatus(snap, r))
		} else {
			sts[i].add(r)
		}
	}
	for _, l := range logs {
		if i := slices.IndexFunc(sts, func(s CopyStatus) bool { return s.Cluster == l.Cluster }); i >= 0 {
			sts[i].Pending = PendingStatus{Objects: l.Objects, Bytes: l.Bytes, Oldest: timeOrNil(l.Oldest)}
			if sts[i].Error == "" {
				sts[i].Error = l.LastError()
			}
		}
	}
	slices.SortFunc(sts, func(a, b CopyStatus) int {
		return cmp.Or(-strings.Compare(a.Role, b.Role), strings.Compare(a.Cluster, b.Cluster))
	})
	return sts
}

func newCopyStatus(snap *routing.Snapshot, r state.Copy) CopyStatus {
	s := CopyStatus{
		Cluster: r.Cluster, Role: "copy", State: r.State.String(), Objects: r.Objects, Bytes: r.Bytes,
		VerifiedAt: timeOrNil(r.VerifiedAt), Error: r.Error,
		Losses: []string{},
	}
	if cl := snap.Cluster(r.Cluster); cl != nil && len(cl.Zones) > 0 {
		s.Zone = cl.Zones[0]
	}
	if r.Primary {
		s.Role = "primary"
	}
	if r.State == catalog.CopySyncing {
		s.Cursor = r.Cursor
	}
	return s
}

// stateRank orders copy states from what needs most attention to what needs none.
var stateRank = []string{"failed", "waiting", "syncing", "removing", "draining", "synced"}

// add takes the copy of another rule in the same cluster in: what is furthest from
// done is shown.
func (s *CopyStatus) add(r state.Copy) {
	if slices.Index(stateRank, r.State.String()) < slices.Index(stateRank, s.State) {
		s.State = r.State.String()
	}
	if r.Primary {
		s.Role = "primary"
	}
	if r.State == catalog.CopySyncing {
		s.Cursor = r.Cursor
	}
	s.Objects, s.Bytes = s.Objects+r.Objects, s.Bytes+r.Bytes
	if s.VerifiedAt == nil || r.VerifiedAt.Before(*s.VerifiedAt) {
		s.VerifiedAt = timeOrNil(r.VerifiedAt)
	}
	if s.Error == "" {
		s.Error = r.Error
	}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

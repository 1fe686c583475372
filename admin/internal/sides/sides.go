// Package sides tells, of a bucket whose primary's storage may not be the one it was, which side
// can be said to be right, and what each choice loses. It looks at what is known, and at no storage.
package sides

import (
	"fmt"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

// SidesView answers GET /fado/buckets/{name}/trust.
type SidesView struct {
	Bucket string `json:"bucket"` // the bucket's name
	// Whether the bucket is stopped: only then can people say which side is right.
	Stopped bool       `json:"stopped"`
	Sides   []SideView `json:"sides"` // the primary first, then the copies by name
}

// SideView is one side that may be right.
type SideView struct {
	Cluster string `json:"cluster"` // the cluster
	Role    string `json:"role"`    // primary, copy
	Objects int64  `json:"objects"` // how many objects it had, as of the last comparison
	Bytes   int64  `json:"bytes"`   // their bytes
	// When its last comparison with the primary began; null before the first.
	ComparedAt *time.Time `json:"compared_at"`
	// Why it can't be said to be right now; "" where it can.
	Refused string   `json:"refused"`
	Effects []string `json:"effects"` // what saying so does and loses, in sentences
}

// Bound writes the deletes that copies take before people are asked.
func Bound(b replication.MaxDeletes) string {
	var all []string
	if b.Objects > 0 {
		all = append(all, control.Count(b.Objects, "object"))
	}
	if b.Percent > 0 {
		all = append(all, fmt.Sprintf("%g %%", b.Percent))
	}
	if len(all) == 0 {
		return "off: any number"
	}
	return strings.Join(all, " and ")
}

// Of tells the sides of a bucket. maxDeletes are the deletes that copies take before people are asked.
func Of(snap *routing.Snapshot, bucket string, st control.BucketStatus, maxDeletes string) SidesView {
	v := SidesView{Bucket: bucket, Stopped: stopped(snap, bucket, st.Primary), Sides: make([]SideView, 0, len(st.Copies))}
	for _, c := range st.Copies {
		s := SideView{Cluster: c.Cluster, Role: c.Role, Objects: c.Objects, Bytes: c.Bytes, ComparedAt: c.VerifiedAt}
		if c.Role == "primary" {
			s.Effects = ofPrimary(c, st.Copies, maxDeletes)
		} else {
			if !whole(snap.Of(bucket).Copies(), c.Cluster) {
				s.Refused = "it has no synced copy of the whole bucket"
			}
			s.Effects = ofCopy(c, st)
		}
		v.Sides = append(v.Sides, s)
	}
	return v
}

func stopped(snap *routing.Snapshot, bucket, primary string) bool {
	for _, c := range snap.Of(bucket).Copies() {
		if c.Primary && c.Stopped {
			return true
		}
	}
	return primary != "" && snap.Of(bucket).Elsewhere(primary)
}

// whole says whether a cluster has a synced copy of every rule of a bucket.
func whole(copies []catalog.Copy, cluster string) bool {
	rules, synced := make(map[string]bool), 0
	for _, c := range copies {
		if c.State > catalog.CopySynced {
			continue
		}
		rules[c.Prefix] = true
		if c.Cluster == cluster && c.State == catalog.CopySynced {
			synced++
		}
	}
	return synced > 0 && synced == len(rules)
}

// ofPrimary says what becomes of copies that follow what lies at the primary now.
func ofPrimary(p control.CopyStatus, copies []control.CopyStatus, maxDeletes string) []string {
	all := []string{"What lies in " + p.Cluster + " now is right, no matter who wrote it: objects that differ in copies are overwritten by it."}
	for _, c := range copies {
		if c.Role == "primary" {
			continue
		}
		all = append(all, fmt.Sprintf("%s had %s as of its last comparison: those that %s does not have now are deleted there, too.",
			c.Cluster, control.Count(c.Objects, "object"), p.Cluster))
	}
	return append(all, "More deletes than max_deletes ("+maxDeletes+") are held, and you are asked again.")
}

// ofCopy says what becomes of a bucket whose primary a copy becomes.
func ofCopy(c control.CopyStatus, st control.BucketStatus) []string {
	all := []string{"The bucket is written in " + c.Cluster + " from then on."}
	if c.Pending.Objects > 0 {
		all = append(all, fmt.Sprintf("%s, known to differ, had not come to %s: what is there stays as it is.", control.Count(c.Pending.Objects, "object"), c.Cluster))
	} else {
		all = append(all, "No object is known that had not come to "+c.Cluster+"; what was written in "+st.Primary+" and not noticed is not in it.")
	}
	for _, loss := range c.Losses {
		all = append(all, "It lacks what it could not keep: "+loss+".")
	}
	var others []string
	for _, o := range st.Copies {
		if o.Cluster != c.Cluster {
			others = append(others, o.Cluster)
		}
	}
	return append(all, "Nothing is deleted: what only "+strings.Join(others, ", ")+" has stays there, as conflicts.")
}

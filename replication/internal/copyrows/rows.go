package copyrows

import (
	"slices"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// Index returns the index of the row of a rule and cluster, -1 if there is none.
func Index(rows []state.Copy, prefix, cluster string) int {
	return slices.IndexFunc(rows, func(c state.Copy) bool { return c.Prefix == prefix && c.Cluster == cluster })
}

// MadeBucket reports whether FaDO made the physical bucket in a cluster, by any of the rows
// of the bucket's copies there.
func MadeBucket(rows []state.Copy, cluster string) bool {
	return slices.ContainsFunc(rows, func(c state.Copy) bool { return c.Cluster == cluster && c.MadeBucket })
}

// PrimaryOf returns the cluster that the bucket is written in by its rows, "" if none.
func PrimaryOf(rows []state.Copy) string {
	for _, c := range rows {
		if c.Primary {
			return c.Cluster
		}
	}
	return ""
}

// PrimaryRows returns the rows of the bucket's primary.
func PrimaryRows(rows []state.Copy) []state.Copy {
	return slices.DeleteFunc(slices.Clone(rows), func(c state.Copy) bool { return !c.Primary })
}

// Earlier returns the earlier of two times; the zero time is the earliest.
func Earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Resync puts a copy back to the start of its life. What is known of its objects stays: they
// were compared once.
func Resync(c *state.Copy) {
	c.State, c.Cursor, c.ScanCursor, c.Error = catalog.CopyWaiting, "", "", ""
	c.DrainSince = time.Time{}
}

// Import puts a copy back to before the start of its life: nothing is known of what lies there.
func Import(c *state.Copy) {
	Resync(c)
	c.VerifiedAt, c.OwnedUntil, c.MadeBucket, c.HeldDeletes, c.FormerPrimary, c.Trusts = time.Time{}, time.Time{}, false, false, false, false
	c.At, c.Born = 0, time.Time{}
}

// InCatalog returns what the catalogue holds of rows.
func InCatalog(rows []state.Copy) []catalog.Copy {
	copies := make([]catalog.Copy, len(rows))
	for i, r := range rows {
		copies[i] = r.Copy
	}
	return copies
}

// SyncedEverywhere reports whether a cluster has a synced copy of every rule of a bucket.
func SyncedEverywhere(copies []catalog.Copy, cluster string) bool {
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

// FromCatalog makes rows of what routing knows of copies: enough to tell whether a plan
// changes them.
func FromCatalog(bucket string, copies []catalog.Copy) []state.Copy {
	rows := make([]state.Copy, len(copies))
	for i, c := range copies {
		rows[i] = state.Copy{Bucket: bucket, Copy: c}
	}
	return rows
}

// CarryingOver reports whether a former primary's last writes are yet to be compared.
func CarryingOver(rows []state.Copy) bool {
	return slices.ContainsFunc(rows, func(c state.Copy) bool { return c.FormerPrimary })
}

// EverVerified reports whether the primary's bucket was seen, or compared with, before.
func EverVerified(rows []state.Copy) bool {
	return slices.ContainsFunc(rows, func(c state.Copy) bool { return !c.VerifiedAt.IsZero() })
}

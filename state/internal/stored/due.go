package stored

import (
	"database/sql"
	"time"
)

// Due is a moment at which a row of a cluster may be claimed; none if it is not valid.
type Due struct {
	Cluster string
	At      sql.NullInt64
}

// FirstDue returns the first moment of each cluster.
func FirstDue(all []Due) map[string]time.Time {
	first := make(map[string]time.Time)
	for _, d := range all {
		if !d.At.Valid {
			continue
		}
		at := time.UnixMilli(d.At.Int64).UTC()
		if was, there := first[d.Cluster]; !there || at.Before(was) {
			first[d.Cluster] = at
		}
	}
	return first
}

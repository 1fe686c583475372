package stored

import (
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// ChangeLog collects the changes of a transaction, each thing once, in order.
type ChangeLog struct {
	Changes []state.Change
	seen    map[state.Change]int
}

// Resource notes that a resource was put or deleted.
func (l *ChangeLog) Resource(k catalog.Kind, name string, deleted bool) {
	l.add(state.Change{Kind: state.ChangeResource, Resource: k, Name: name}, deleted)
}

// Copies notes that the copies of a bucket changed.
func (l *ChangeLog) Copies(bucket string) {
	l.add(state.Change{Kind: state.ChangeCopies, Name: bucket}, false)
}

// Revises says that a zone, cluster, policy or bucket changed.
func (l *ChangeLog) Revises() bool {
	return slices.ContainsFunc(l.Changes, func(c state.Change) bool {
		return c.Kind == state.ChangeResource && c.Resource != catalog.KindKey
	})
}

func (l *ChangeLog) add(c state.Change, deleted bool) {
	if l.seen == nil {
		l.seen = make(map[state.Change]int)
	}
	i, ok := l.seen[c]
	if !ok {
		i = len(l.Changes)
		l.seen[c] = i
		l.Changes = append(l.Changes, c)
	}
	l.Changes[i].Deleted = deleted
}

// CutWhole cuts changes to a limit without splitting a Seq, unless nothing would be
// left.
func CutWhole(all []state.Change, limit int) []state.Change {
	if limit <= 0 || len(all) <= limit {
		return all
	}
	cut := limit
	for cut > 0 && all[cut-1].Seq == all[limit].Seq {
		cut--
	}
	if cut > 0 {
		return all[:cut]
	}
	for cut = limit; cut < len(all) && all[cut].Seq == all[0].Seq; cut++ {
	}
	return all[:cut]
}

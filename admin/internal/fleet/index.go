package fleet

import (
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// Origins says who declares a bucket.
type Origins func(bucket string) control.Origin

// index is what is counted and sorted by of all buckets, as of one look: a few words a bucket.
type index struct {
	rows []row // sorted by name
	// policies and clusters are the sets that rows refer to: most buckets share one.
	policies, clusters sets
	names              []string // room to read in
	// of is the mark of the buckets that it was read from.
	of routing.BucketsMark
}

type row struct {
	name               string
	policies, clusters uint32
	state, origin      uint8
}

// states are those of buckets, the worst first; origins those of declarations.
var (
	states  = []string{control.BucketStuck, control.BucketConflict, control.BucketSyncing, control.BucketOK}
	origins = []control.Origin{control.OriginConfig, control.OriginAPI}

	isOK = uint8(slices.Index(states, control.BucketOK))
)

func originOf(bucket string, of Origins) uint8 { return uint8(slices.Index(origins, of(bucket))) }

// sets are different sets of names, numbered.
type sets struct {
	all  [][]string
	byID map[string]uint32
	// last are the names that were asked for last, as they were given, and number is their set's.
	last   []string
	number uint32
}

// id returns the number of a set, of which the caller keeps the slice.
func (s *sets) id(names []string) uint32 {
	if s.byID == nil || !slices.Equal(names, s.last) {
		s.last = append(s.last[:0], names...)
		s.number = s.find(names)
	}
	return s.number
}

func (s *sets) find(names []string) uint32 {
	slices.Sort(names)
	names = slices.Compact(names)
	key := strings.Join(names, "\x00")
	if id, known := s.byID[key]; known {
		return id
	}
	if s.byID == nil {
		s.byID = make(map[string]uint32)
	}
	id := uint32(len(s.all))
	s.byID[key], s.all = id, append(s.all, slices.Clone(names))
	return id
}

// with says which sets have a name; nil for all, where none is asked for.
func (s *sets) with(name string) []bool {
	if name == "" {
		return nil
	}
	has := make([]bool, len(s.all))
	for i, names := range s.all {
		_, has[i] = slices.BinarySearch(names, name)
	}
	return has
}

// newIndex indexes the buckets of a snapshot; notOK has the names of those of each state but ok. The
// index before, if there is one, saves sorting while no bucket comes or goes.
func newIndex(snap *routing.Snapshot, notOK map[string][]string, of Origins, before *index) *index {
	ix := &index{rows: make([]row, 0, snap.Len(catalog.KindBucket)), of: snap.BucketsMark()}
	switch {
	case before != nil && before.of == ix.of:
		ix.readAgain(before, of)
	case ix.readInOrderOf(before, snap, of):
	default:
		ix.rows = ix.rows[:0]
		snap.Views(func(b routing.BucketView) bool { ix.add(b, of); return true })
		slices.SortFunc(ix.rows, func(a, b row) int { return strings.Compare(a.name, b.name) })
	}
	for state, found := range notOK {
		for _, bucket := range found {
			if i, known := ix.find(bucket); known {
				ix.rows[i].state = uint8(slices.Index(states, state))
			}
		}
	}
	return ix
}

// readAgain takes over what an index has of the same buckets.
func (ix *index) readAgain(before *index, of Origins) {
	ix.policies, ix.clusters = before.policies, before.clusters
	ix.rows = append(ix.rows, before.rows...)
	for i := range ix.rows {
		r := &ix.rows[i]
		r.state, r.origin = isOK, originOf(r.name, of)
	}
}

// readInOrderOf reads the buckets of an index again; false where there are others now.
func (ix *index) readInOrderOf(before *index, snap *routing.Snapshot, of Origins) bool {
	if before == nil || len(before.rows) != snap.Len(catalog.KindBucket) {
		return false
	}
	for i := range before.rows {
		b := snap.Of(before.rows[i].name)
		if !b.Known() {
			return false
		}
		ix.add(b, of)
	}
	return true
}

func (ix *index) add(b routing.BucketView, of Origins) {
	r := row{name: b.Name(), state: isOK, origin: originOf(b.Name(), of)}
	ix.names = b.PoliciesIn(ix.names[:0])
	r.policies = ix.policies.id(ix.names)
	ix.names = b.ClustersIn(ix.names[:0])
	r.clusters = ix.clusters.id(ix.names)
	ix.rows = append(ix.rows, r)
}

func (ix *index) find(bucket string) (int, bool) {
	return slices.BinarySearchFunc(ix.rows, bucket, func(r row, name string) int { return strings.Compare(r.name, name) })
}

// Key is what a search is for; what is empty narrows nothing.
type Key struct {
	// Policy is that of a bucket or of one of its prefixes, Cluster has a copy of it, and Part is in its name.
	State, Policy, Cluster, Part string
	// Origin is who declares the bucket.
	Origin control.Origin
}

// filter is a Key in the terms of an index.
type filter struct {
	part               string
	state, origin      int // -1 for any
	policies, clusters []bool
}

func (ix *index) filter(k Key) filter {
	return filter{
		part: k.Part, state: slices.Index(states, k.State), origin: slices.Index(origins, k.Origin),
		policies: ix.policies.with(k.Policy), clusters: ix.clusters.with(k.Cluster),
	}
}

// fails says which parts of the filter a row does not meet, a bit each.
func (f *filter) fails(r *row) (by uint8) {
	if f.part != "" && !strings.Contains(r.name, f.part) {
		by |= byPart
	}
	if f.state >= 0 && int(r.state) != f.state {
		by |= byState
	}
	if f.origin >= 0 && int(r.origin) != f.origin {
		by |= byOrigin
	}
	if f.policies != nil && !f.policies[r.policies] {
		by |= byPolicy
	}
	if f.clusters != nil && !f.clusters[r.clusters] {
		by |= byCluster
	}
	return by
}

const (
	byPart uint8 = 1 << iota
	byState
	byOrigin
	byPolicy
	byCluster
)

// each calls f with the rows that meet a search, by name.
func (ix *index) each(k Key, f func(*row)) {
	by := ix.filter(k)
	for i := range ix.rows {
		if by.fails(&ix.rows[i]) == 0 {
			f(&ix.rows[i])
		}
	}
}

// first returns the first names after one that meet a search, so many at most, and how many do in all.
func (ix *index) first(k Key, after string, most int) (names []string, total int) {
	ix.each(k, func(r *row) {
		if total++; len(names) < most && r.name > after {
			names = append(names, r.name)
		}
	})
	return names, total
}

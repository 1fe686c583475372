package routing

import (
	"maps"
	"slices"
	"strings"
)

// clusterID and policyID stand for names within the snapshots that descend from one
// another. An id is never given to another name, so a bucket may refer to a policy
// or cluster that is not there (yet, or any more) without harm: 0 is no name.
type (
	clusterID uint32
	policyID  uint32
)

// nameTable gives names dense ids. It is part of a snapshot, so it is copied by the
// first edit that adds a name; edit says which edit made it.
type nameTable struct {
	edit  uint64
	ids   map[string]uint32
	names []string
}

func newNameTable() *nameTable {
	return &nameTable{ids: map[string]uint32{}, names: []string{""}}
}

// intern returns the id of a name, and the table that has it: t itself, or the copy
// that edit owns.
func (t *nameTable) intern(edit uint64, name string) (uint32, *nameTable) {
	if name == "" {
		return 0, t
	}
	if id, ok := t.ids[name]; ok {
		return id, t
	}
	if t.edit != edit {
		t = &nameTable{edit: edit, ids: maps.Clone(t.ids), names: slices.Clone(t.names)}
	}
	id := uint32(len(t.names))
	name = strings.Clone(name)
	t.ids[name] = id
	t.names = append(t.names, name)
	return id, t
}

// bitset is a set of cluster ids.
type bitset []uint64

func (b bitset) has(id clusterID) bool {
	word := int(id >> 6)
	return word < len(b) && b[word]&(1<<(id&63)) != 0
}

func (b *bitset) add(id clusterID) {
	for int(id>>6) >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[id>>6] |= 1 << (id & 63)
}

// intersect keeps what is in c too.
func (b bitset) intersect(c bitset) {
	for i := range b {
		if i < len(c) {
			b[i] &= c[i]
		} else {
			b[i] = 0
		}
	}
}

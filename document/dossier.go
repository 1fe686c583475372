package document

import (
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// dossier is what is worked out of one bucket.
type dossier struct {
	name string
	// old and next are its rules before and after, sorted by prefix.
	old, next []catalog.PrefixRule
	rows      []Row
	// has are the copies that stay while nothing changes, gets those that it settles at.
	has, gets places
	// before and after are where it is written.
	before, after string
}

// settles notes where a bucket's copies settle.
func (d *dossier) settles(copies []catalog.Copy, room places) {
	d.gets, d.after = room[:0], ""
	for i := range copies {
		c := &copies[i]
		d.gets = append(d.gets, place{c.Prefix, c.Cluster})
		if c.Primary {
			d.after = c.Cluster
		}
	}
	d.gets.sort()
}

// holds notes where a bucket's copies are.
func (d *dossier) holds(rows []Row, room places) {
	d.rows, d.has, d.before = rows, room[:0], ""
	for i := range rows {
		c := &rows[i].Copy
		if c.Primary {
			d.before = c.Cluster
		}
		if c.Primary || !c.State.Leaves() {
			d.has = append(d.has, place{c.Prefix, c.Cluster})
		}
	}
	d.has.sort()
}

// ruled says whether a prefix has a rule afterwards.
func (d *dossier) ruled(prefix string) bool {
	_, ok := slices.BinarySearchFunc(d.next, prefix, func(r catalog.PrefixRule, p string) int { return strings.Compare(r.Prefix, p) })
	return ok
}

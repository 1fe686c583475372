package fleet

import (
	"cmp"
	"slices"
)

// MatrixPolicyView is one policy in the matrix of a fleet whose buckets are too many for a row each.
type MatrixPolicyView struct {
	Policy  string `json:"policy"`  // the policy's name
	Buckets int    `json:"buckets"` // how many follow it, wholly or below a prefix
	NotOK   int    `json:"not_ok"`  // how many of these are not ok
	// One for each column.
	Cells []MatrixCountView `json:"cells"`
}

// MatrixCountView is one policy in one cluster.
type MatrixCountView struct {
	Allowed bool `json:"allowed"` // whether the policy allows the cluster
	Buckets int  `json:"buckets"` // how many of its buckets have a copy there
	NotOK   int  `json:"not_ok"`  // how many of these are not ok
}

// ByPolicy counts the buckets that match, by policy and cluster. Those that follow several policies count with each of
// them, in the clusters that it allows.
func (s *Search) ByPolicy() MatrixView {
	ix := s.Fleet.index(s.Snapshot, s.OriginOf)
	m := NewMatrixMaker(s.Snapshot)
	v := MatrixView{Clusters: m.Columns, Rows: []MatrixRowView{}, Policies: []MatrixPolicyView{}}
	byName := make(map[string]*MatrixPolicyView)
	for of, n := range ix.alike(s.Key) {
		policies := ix.policies.all[of.policies]
		for _, policy := range policies {
			row := byName[policy]
			if row == nil {
				row = m.policyRow(policy)
				byName[policy] = row
			}
			row.Buckets, row.NotOK = row.Buckets+n.buckets, row.NotOK+n.notOK
			for _, cluster := range ix.clusters.all[of.clusters] {
				if i, known := m.byName[cluster]; known && (row.Cells[i].Allowed || len(policies) == 1) {
					cell := &row.Cells[i]
					cell.Buckets, cell.NotOK = cell.Buckets+n.buckets, cell.NotOK+n.notOK
				}
			}
		}
	}
	for _, row := range byName {
		v.Policies = append(v.Policies, *row)
	}
	slices.SortFunc(v.Policies, func(a, b MatrixPolicyView) int { return cmp.Compare(a.Policy, b.Policy) })
	return v
}

func (m *MatrixMaker) policyRow(policy string) *MatrixPolicyView {
	row := &MatrixPolicyView{Policy: policy, Cells: make([]MatrixCountView, len(m.Columns))}
	for i, ok := range m.allows(policy) {
		row.Cells[i].Allowed = ok
	}
	return row
}

// kind is what many buckets have alike: their policies and their clusters.
type kind struct{ policies, clusters uint32 }

type counted struct{ buckets, notOK int }

// alike counts the rows that meet a search, by their kind.
func (ix *index) alike(k Key) map[kind]*counted {
	kinds := make(map[kind]*counted)
	var last kind // most rows are as the one before
	var n *counted
	ix.each(k, func(r *row) {
		if of := (kind{r.policies, r.clusters}); n == nil || of != last {
			if n = kinds[of]; n == nil {
				n = &counted{}
				kinds[of] = n
			}
			last = of
		}
		n.buckets++
		if r.state != isOK {
			n.notOK++
		}
	})
	return kinds
}

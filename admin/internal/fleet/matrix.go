package fleet

import (
	"cmp"
	"slices"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// MatrixView is the JSON of GET /fado/matrix: which cluster holds what.
type MatrixView struct {
	// The columns: clusters with a storage, sorted by zone and name.
	Clusters []MatrixColumnView `json:"clusters"`
	Rows     []MatrixRowView    `json:"rows"` // the buckets of the page, by name
	// With by=policy, the policies and no rows.
	Policies []MatrixPolicyView `json:"policies,omitempty"`
	// What to give as after for the following page, empty at the end.
	Next string `json:"next"`
}

// MatrixColumnView is one cluster.
type MatrixColumnView struct {
	Cluster string `json:"cluster"` // the cluster's name
	Zone    string `json:"zone"`    // its failure domain
}

// MatrixRowView is one bucket.
type MatrixRowView struct {
	Bucket string `json:"bucket"` // the bucket's name
	State  string `json:"state"`  // the bucket's state
	Policy string `json:"policy"` // its policy; "" for the default one
	// A letter for each column: P the primary, and of copies S synced, Y syncing, W waiting,
	// D draining, R removing, F failed; X: the policy does not allow the cluster, -: it is not
	// chosen.
	Cells string `json:"cells"`
	// Where objects are on their way, or held.
	Behind []MatrixBehindView `json:"behind"`
}

// MatrixBehindView is where a bucket has objects on their way.
type MatrixBehindView struct {
	Cluster string     `json:"cluster"` // the cluster it is in
	Objects int64      `json:"objects"` // objects known to differ there
	Bytes   int64      `json:"bytes"`   // their bytes, as far as known
	Oldest  *time.Time `json:"oldest"`  // since when the oldest of them differs
}

// The letters of cells, but for those of copies.
const (
	cellPrimary   = 'P'
	cellForbidden = 'X'
	cellNotChosen = '-'
)

// copyCells are the letters of the states of copies.
var copyCells = map[string]byte{"synced": 'S', "syncing": 'Y', "waiting": 'W', "draining": 'D', "removing": 'R', "failed": 'F'}

// MatrixMaker makes rows.
type MatrixMaker struct {
	snap *routing.Snapshot
	// Columns are the clusters with a storage, sorted by zone and name.
	Columns []MatrixColumnView
	byName  map[string]int
	// allowed says for each policy which columns it allows.
	allowed map[string][]bool
}

// NewMatrixMaker returns what makes rows of a snapshot.
func NewMatrixMaker(snap *routing.Snapshot) *MatrixMaker {
	m := &MatrixMaker{snap: snap, Columns: []MatrixColumnView{}, byName: make(map[string]int), allowed: make(map[string][]bool)}
	snap.Clusters(func(cl *catalog.Cluster) bool {
		if cl.Storage != nil {
			col := MatrixColumnView{Cluster: cl.Name}
			if len(cl.Zones) > 0 {
				col.Zone = cl.Zones[0]
			}
			m.Columns = append(m.Columns, col)
		}
		return true
	})
	slices.SortFunc(m.Columns, func(a, b MatrixColumnView) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Cluster, b.Cluster))
	})
	for i, col := range m.Columns {
		m.byName[col.Cluster] = i
	}
	return m
}

// allows says which columns a policy allows.
func (m *MatrixMaker) allows(policy string) []bool {
	list, known := m.allowed[policy]
	if !known {
		list = make([]bool, len(m.Columns))
		for i, col := range m.Columns {
			list[i] = m.snap.AllowsPolicy(policy, col.Cluster)
		}
		m.allowed[policy] = list
	}
	return list
}

// Row tells of one bucket.
func (m *MatrixMaker) Row(bucket string, st *control.BucketStatus) MatrixRowView {
	row := MatrixRowView{Bucket: bucket, State: st.State, Behind: []MatrixBehindView{}}
	cells := make([]byte, len(m.Columns))
	for i := range cells {
		cells[i] = cellForbidden
	}
	for n, rule := range m.snap.Of(bucket).Rules() {
		if n == 0 {
			row.Policy = rule.Policy
		}
		for i, ok := range m.allows(rule.Policy) {
			if ok {
				cells[i] = cellNotChosen
			}
		}
	}
	for _, cp := range st.Copies {
		i, known := m.byName[cp.Cluster]
		if !known {
			continue // its cluster was deleted meanwhile
		}
		if cells[i] = copyCells[cp.State]; cp.Role == "primary" {
			cells[i] = cellPrimary
		}
		if p := cp.Pending; p.Objects > 0 {
			row.Behind = append(row.Behind, MatrixBehindView{cp.Cluster, p.Objects, p.Bytes, p.Oldest})
		}
	}
	row.Cells = string(cells)
	return row
}

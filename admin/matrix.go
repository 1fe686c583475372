package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// matrixView is the JSON of GET /fado/matrix: which cluster holds what.
type matrixView struct {
	// The columns: clusters with a storage, sorted by zone and name.
	Clusters []matrixColumnView `json:"clusters"`
	Rows     []matrixRowView    `json:"rows"` // the buckets of the page, by name
	// What to give as after for the following page, empty at the end.
	Next string `json:"next"`
}

type matrixColumnView struct {
	Cluster string `json:"cluster"` // the cluster's name
	Zone    string `json:"zone"`    // its failure domain
}

// matrixRowView is one bucket.
type matrixRowView struct {
	Bucket string `json:"bucket"` // the bucket's name
	State  string `json:"state"`  // the bucket's state
	Policy string `json:"policy"` // its policy; "" for the default one
	// A letter for each column: P the primary, and of copies S synced, Y syncing, W waiting,
	// D draining, R removing, F failed; X: the policy does not allow the cluster, -: it is not
	// chosen.
	Cells string `json:"cells"`
	// Where objects are on their way, or held.
	Behind []matrixBehindView `json:"behind"`
}

type matrixBehindView struct {
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

// matrixLimit is how many buckets are told where no limit is said.
const matrixLimit = 200

func matrix(c *call) error {
	limit, err := c.limit(matrixLimit)
	if err != nil {
		return err
	}
	names, total, err := c.matching(limit + 1)
	if err != nil {
		return err
	}
	m := newMatrixMaker(c.catalogue.Router().Snapshot())
	v := matrixView{Clusters: m.columns, Rows: make([]matrixRowView, 0, len(names))}
	if len(names) > limit {
		names = names[:limit]
		v.Next = names[limit-1]
	}
	statuses, err := c.catalogue.Buckets(c.r.Context(), names...)
	if err != nil {
		return err
	}
	for _, name := range names {
		if st, known := statuses[name]; known { // not one deleted meanwhile
			v.Rows = append(v.Rows, m.row(name, &st))
		}
	}
	c.w.Header().Set("X-Total-Count", strconv.Itoa(total))
	return c.reply(http.StatusOK, v)
}

// matrixMaker makes rows.
type matrixMaker struct {
	snap    *routing.Snapshot
	columns []matrixColumnView
	byName  map[string]int
	// allowed says for each policy which columns it allows.
	allowed map[string][]bool
}

func newMatrixMaker(snap *routing.Snapshot) *matrixMaker {
	m := &matrixMaker{snap: snap, columns: []matrixColumnView{}, byName: make(map[string]int), allowed: make(map[string][]bool)}
	snap.Clusters(func(cl *catalog.Cluster) bool {
		if cl.Storage != nil {
			col := matrixColumnView{Cluster: cl.Name}
			if len(cl.Zones) > 0 {
				col.Zone = cl.Zones[0]
			}
			m.columns = append(m.columns, col)
		}
		return true
	})
	slices.SortFunc(m.columns, func(a, b matrixColumnView) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Cluster, b.Cluster))
	})
	for i, col := range m.columns {
		m.byName[col.Cluster] = i
	}
	return m
}

// allows says which columns a policy allows.
func (m *matrixMaker) allows(policy string) []bool {
	list, known := m.allowed[policy]
	if !known {
		list = make([]bool, len(m.columns))
		for i, col := range m.columns {
			list[i] = m.snap.AllowsPolicy(policy, col.Cluster)
		}
		m.allowed[policy] = list
	}
	return list
}

func (m *matrixMaker) row(bucket string, st *control.BucketStatus) matrixRowView {
	row := matrixRowView{Bucket: bucket, State: st.State, Behind: []matrixBehindView{}}
	cells := make([]byte, len(m.columns))
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
			row.Behind = append(row.Behind, matrixBehindView{cp.Cluster, p.Objects, p.Bytes, p.Oldest})
		}
	}
	row.Cells = string(cells)
	return row
}

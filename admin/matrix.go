package admin

import (
	"net/http"
	"strconv"

	"github.com/fado-project/fado/admin/internal/fleet"
)

// matrixLimit is how many buckets are told where no limit is said.
const matrixLimit = 200

func matrix(c *call) error {
	if c.Query("by") != "" {
		s, err := c.search(true)
		if err != nil {
			return err
		}
		return c.Reply(http.StatusOK, s.ByPolicy())
	}
	limit, err := c.Limit(matrixLimit)
	if err != nil {
		return err
	}
	names, total, err := c.matching(limit + 1)
	if err != nil {
		return err
	}
	m := fleet.NewMatrixMaker(c.catalogue.Router().Snapshot())
	v := fleet.MatrixView{Clusters: m.Columns, Rows: make([]fleet.MatrixRowView, 0, len(names))}
	if len(names) > limit {
		names = names[:limit]
		v.Next = names[limit-1]
	}
	statuses, err := c.catalogue.Buckets(c.R.Context(), names...)
	if err != nil {
		return err
	}
	for _, name := range names {
		if st, known := statuses[name]; known { // not one deleted meanwhile
			v.Rows = append(v.Rows, m.Row(name, &st))
		}
	}
	c.W.Header().Set("X-Total-Count", strconv.Itoa(total))
	return c.Reply(http.StatusOK, v)
}

package admin

import (
	"net/http"
	"time"

	"github.com/fado-project/fado/admin/internal/documents"
	"github.com/fado-project/fado/replication"
)

// rebalanceView answers GET, POST and DELETE /fado/rebalance.
type rebalanceView struct {
	Running bool `json:"running"` // whether it is under way
	// Since is when it began, null where none is under way.
	Since *time.Time `json:"since"`
	// Buckets are those that are not where placement would put them today, Primaries how many
	// of their primaries would move.
	Buckets   int64 `json:"buckets"`
	Primaries int64 `json:"primaries"` // of these, primaries that would move
	// Copies are to be made, with so many objects and bytes in all.
	Copies  int64 `json:"copies"`
	Objects int64 `json:"objects"` // their objects
	Bytes   int64 `json:"bytes"`   // their bytes
	// Moves are the first thousand, sorted by bucket and prefix.
	Moves []rebalanceMoveView `json:"moves"`
}

// rebalanceMoveView is what a rebalance changes about one rule of a bucket.
type rebalanceMoveView struct {
	Bucket string   `json:"bucket"` // the bucket's name
	Prefix string   `json:"prefix"` // the prefix of its rule; "" for the bucket's own
	Add    []string `json:"add"`    // clusters that would get a copy
	Remove []string `json:"remove"` // clusters whose copy would go
	// Primary is where the bucket's primary moves from and to, null where it stays.
	Primary *documents.PrimaryMove `json:"primary"`
	Objects int64                  `json:"objects"` // objects of one copy
	Bytes   int64                  `json:"bytes"`   // their bytes
}

func viewRebalance(st replication.RebalanceStatus) rebalanceView {
	v := rebalanceView{
		Running: st.Running, Buckets: st.Buckets, Primaries: st.Primaries, Copies: st.Copies, Objects: st.Objects, Bytes: st.Bytes,
		Moves: views(st.Moves, viewRebalanceMove),
	}
	if st.Running {
		v.Since = &st.Since
	}
	return v
}

func viewRebalanceMove(m replication.RebalanceMove) rebalanceMoveView {
	v := rebalanceMoveView{Bucket: m.Bucket, Prefix: m.Prefix, Add: orEmpty(m.Add), Remove: orEmpty(m.Remove), Objects: m.Objects, Bytes: m.Bytes}
	if m.To != "" {
		v.Primary = &documents.PrimaryMove{From: m.From, To: m.To}
	}
	return v
}

func rebalanceStatus(c *call) error {
	st, err := c.engine.rebalances.Status(c.R.Context())
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, viewRebalance(st))
}

// rebalance begins a rebalance, or with dry_run tells what it would do.
func rebalance(c *call) error {
	if c.Query("dry_run") == "true" {
		return rebalanceStatus(c)
	}
	st, err := c.engine.rebalances.Start(c.R.Context())
	if err != nil {
		return err
	}
	return c.Reply(http.StatusAccepted, viewRebalance(st))
}

func stopRebalance(c *call) error {
	st, err := c.engine.rebalances.Stop(c.R.Context())
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, viewRebalance(st))
}

func rebalanceOperations() operations {
	const path = "/fado/rebalance"
	return operations{
		{
			name: "rebalance-status", method: http.MethodGet, pattern: path, role: roleViewer, handle: rebalanceStatus,
			summary: "Whether a rebalance is under way, and what is not where placement would put it today.",
			replies: []reply{{status: 200, doc: "What is left to move.", body: rebalanceView{}}}, errors: []int{400, 503},
		},
		{
			name: "rebalance", method: http.MethodPost, pattern: path, role: roleOperator, handle: rebalance, acts: actsOnRebalance,
			params:  []parameter{{name: "dry_run", enum: []string{"true", "false"}, doc: "Whether to move nothing and only tell what would move. Default: false."}},
			summary: "Move what is placed to where placement would put it today, a few buckets at a time.",
			replies: []reply{
				{status: 200, doc: "With dry_run: what would move.", body: rebalanceView{}},
				{status: 202, doc: "Under way, across restarts.", body: rebalanceView{}},
			},
			errors: []int{400, 503},
		},
		{
			name: "stop-rebalance", method: http.MethodDelete, pattern: path, role: roleOperator, handle: stopRebalance, acts: acting(false),
			summary: "Stop a rebalance: copies that are not complete yet are given up, what has moved stays.",
			replies: []reply{{status: 200, doc: "What is left that would move.", body: rebalanceView{}}}, errors: []int{400, 503},
		},
	}
}

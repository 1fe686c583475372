package admin

import (
	"net/http"

	"github.com/fado-project/fado/admin/internal/fleet"
)

func rebalanceStatus(c *call) error {
	st, err := c.engine.rebalances.Status(c.R.Context())
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, fleet.ViewRebalance(st))
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
	return c.Reply(http.StatusAccepted, fleet.ViewRebalance(st))
}

func stopRebalance(c *call) error {
	st, err := c.engine.rebalances.Stop(c.R.Context())
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, fleet.ViewRebalance(st))
}

func rebalanceOperations() operations {
	const path = "/fado/rebalance"
	return operations{
		{
			name: "rebalance-status", method: http.MethodGet, pattern: path, role: roleViewer, handle: rebalanceStatus,
			summary: "Whether a rebalance is under way, and what is not where placement would put it today.",
			replies: []reply{{status: 200, doc: "What is left to move.", body: fleet.RebalanceView{}}}, errors: []int{400, 503},
		},
		{
			name: "rebalance", method: http.MethodPost, pattern: path, role: roleOperator, handle: rebalance, acts: actsOnRebalance,
			params:  []parameter{{name: "dry_run", enum: []string{"true", "false"}, doc: "Whether to move nothing and only tell what would move. Default: false."}},
			summary: "Move what is placed to where placement would put it today, a few buckets at a time.",
			replies: []reply{
				{status: 200, doc: "With dry_run: what would move.", body: fleet.RebalanceView{}},
				{status: 202, doc: "Under way, across restarts.", body: fleet.RebalanceView{}},
			},
			errors: []int{400, 503},
		},
		{
			name: "stop-rebalance", method: http.MethodDelete, pattern: path, role: roleOperator, handle: stopRebalance, acts: acting(false),
			summary: "Stop a rebalance: copies that are not complete yet are given up, what has moved stays.",
			replies: []reply{{status: 200, doc: "What is left that would move.", body: fleet.RebalanceView{}}}, errors: []int{400, 503},
		},
	}
}

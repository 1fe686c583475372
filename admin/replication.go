package admin

import (
	"net/http"

	"github.com/fado-project/fado/admin/internal/backlog"
	"github.com/fado-project/fado/admin/internal/request"
)

const defaultFailures = 1000

// pausedView answers the pause switch.
type pausedView struct {
	Paused bool `json:"paused"` // whether replication is paused
}

// retriedView answers POST /fado/replication/failures/retry.
type retriedView struct {
	Retried int `json:"retried"` // how many objects are due now
}

func replicationStatus(c *call) error {
	node := c.Query("node")
	if own := c.catalogue.Node(); node != "" && node != own && node != everyNode {
		return request.Bad("query parameter \"node\": %q: expected all, or %s, the instance that answers", node, own)
	}
	st, err := c.engine.reports.Status(c.R.Context(), node == everyNode)
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, viewStatus(st))
}

func failures(c *call) error {
	limit, err := c.Limit(defaultFailures)
	if err != nil {
		return err
	}
	list, err := c.engine.reports.Failures(c.R.Context(), limit)
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, views(list, backlog.ViewFailure))
}

func retryFailures(c *call) error {
	n, err := c.engine.RetryFailures(c.R.Context())
	if err != nil {
		return err
	}
	return c.Reply(http.StatusAccepted, retriedView{n})
}

func pause(c *call) error {
	if err := c.engine.Pause(c.R.Context()); err != nil {
		return err
	}
	return c.Reply(http.StatusOK, pausedView{true})
}

func resume(c *call) error {
	if err := c.engine.Resume(c.R.Context()); err != nil {
		return err
	}
	return c.Reply(http.StatusOK, pausedView{false})
}

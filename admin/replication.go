package admin

import (
	"net/http"
	"strconv"

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
	after, err := backlog.PlaceOf(c.Query("after"))
	if err != nil {
		return err
	}
	list, err := c.engine.reports.Failures(c.R.Context(), after, limit+1)
	if err != nil {
		return err
	}
	total, err := c.engine.reports.FailuresTotal(c.R.Context())
	if err != nil {
		return err
	}
	c.W.Header().Set("X-Total-Count", strconv.Itoa(total))
	if len(list) > limit {
		list = list[:limit]
		c.NextPage("/fado/replication/failures", "after", backlog.Place(list[limit-1]))
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

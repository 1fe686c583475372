package admin

import "net/http"

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
	st, err := c.engine.Status(c.r.Context())
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, viewStatus(st))
}

func failures(c *call) error {
	limit, err := c.limit(defaultFailures)
	if err != nil {
		return err
	}
	list, err := c.engine.Failures(c.r.Context(), limit)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, views(list, viewFailure))
}

func retryFailures(c *call) error {
	n, err := c.engine.RetryFailures(c.r.Context())
	if err != nil {
		return err
	}
	return c.reply(http.StatusAccepted, retriedView{n})
}

func pause(c *call) error {
	if err := c.engine.Pause(c.r.Context()); err != nil {
		return err
	}
	return c.reply(http.StatusOK, pausedView{true})
}

func resume(c *call) error {
	if err := c.engine.Resume(c.r.Context()); err != nil {
		return err
	}
	return c.reply(http.StatusOK, pausedView{false})
}

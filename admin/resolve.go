package admin

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/replication"
)

// resolveInput is the body of POST /fado/buckets/{name}/conflicts/resolve.
type resolveInput struct {
	// The key to decide about; left out, every conflict of the bucket.
	Key *string `json:"key,omitempty"`
	// Whose object stays: a cluster, or "newest".
	Winner string `json:"winner"`
	// Whether objects that lose may go for good where the storage keeps no versions.
	Discard bool `json:"discard,omitempty"`
}

// resolveConflicts settles conflicts as people decided. Where nothing could be, because
// objects would be lost, it is a 409 that says why.
func resolveConflicts(c *call) error {
	v, err := c.verdict()
	if err != nil {
		return err
	}
	name := c.Name()
	res, err := c.engine.decisions.Resolve(c.R.Context(), name, v)
	if errors.Is(err, replication.ErrBadWinner) {
		return request.Bad("winner: %w", err)
	}
	if err != nil {
		return storageTrouble(name, err)
	}
	if res.Resolved == 0 && res.RefusedTotal > 0 {
		first := viewRefusal(res.Refused[0])
		err := fmt.Errorf("bucket %q: %q: %s", name, first.Key, first.Reason)
		if n := res.RefusedTotal - 1; n > 0 {
			err = fmt.Errorf("%w (and %d more keys)", err, n)
		}
		return request.Fail(http.StatusConflict, err)
	}
	return c.Reply(http.StatusOK, viewResolution(res))
}

// verdict reads the decision from the body.
func (c *call) verdict() (replication.Verdict, error) {
	body, err := c.Peek()
	if err != nil {
		return replication.Verdict{}, err
	}
	var in resolveInput
	if err := request.Decode(body, &in, `{"key": "…", "winner": "<cluster>" or "newest", "discard": true or false}`); err != nil {
		return replication.Verdict{}, err
	}
	if in.Winner == "" {
		return replication.Verdict{}, request.Bad(`winner: expected a cluster or "newest"`)
	}
	v := replication.Verdict{Winner: in.Winner, Discard: in.Discard}
	if in.Key != nil {
		if v.Key = *in.Key; v.Key == "" {
			return v, request.Bad("key: is empty: expected a key, or none for every conflict of the bucket")
		}
	}
	return v, nil
}

package admin

import (
	"errors"
	"net/http"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/replication"
)

// releaseInput is the body of POST /fado/buckets/{name}/release.
type releaseInput struct {
	// What goes for good: "history", the versions that are hidden there.
	Purge string `json:"purge"`
	// Where the copy is that leaves.
	Cluster string `json:"cluster"`
}

// releaseView answers it.
type releaseView struct {
	Bucket  string `json:"bucket"`  // the bucket's name
	Cluster string `json:"cluster"` // where the copy leaves
	Objects int    `json:"objects"` // of how many objects versions were removed
}

func releaseOperation(base string) operation {
	return operation{
		name: "release-history", method: http.MethodPost, pattern: base + "/release", role: roleAdmin, handle: releaseHistory, acts: actsOnRelease,
		summary: "Remove for good the older versions that a copy hides which is being removed: they may be in no copy that remains.",
		request: releaseInput{}, requestTypes: []string{mediaJSON},
		replies: []reply{{status: 200, doc: "They are gone, and the copy goes.", body: releaseView{}}}, errors: []int{400, 404, 409, 413, 503},
	}
}

// releaseHistory removes what keeps a copy from leaving.
func releaseHistory(c *call) error {
	name := c.Name()
	in, err := readRelease(c)
	if err != nil {
		return err
	}
	n, err := c.engine.decisions.ReleaseHistory(c.R.Context(), name, in.Cluster)
	if errors.Is(err, replication.ErrNoneLeaves) {
		return request.Fail(http.StatusConflict, err)
	}
	if err != nil {
		return storageTrouble(name, err)
	}
	return c.Reply(http.StatusOK, releaseView{Bucket: name, Cluster: in.Cluster, Objects: n})
}

func readRelease(c *call) (in releaseInput, err error) {
	body, err := c.Peek()
	if err == nil {
		err = request.Decode(body, &in, `{"purge": "history", "cluster": "…"}`)
	}
	switch {
	case err != nil:
	case in.Purge != "history":
		err = request.Bad(`purge: %q: expected "history"`, in.Purge)
	case in.Cluster == "":
		err = request.Bad("cluster: expected the name of the cluster that the copy leaves")
	}
	return in, err
}

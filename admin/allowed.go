package admin

import (
	"net/http"

	"github.com/fado-project/fado/admin/internal/residency"
	"github.com/fado-project/fado/catalog"
)

// checkPolicy tells which clusters a policy allows that may not be declared yet, and changes nothing.
func checkPolicy(c *call) error {
	body, err := c.Body()
	if err != nil {
		return err
	}
	res, err := collection{catalog.KindPolicy, "/fado/policies"}.decodeNew(c, body)
	if err != nil {
		return err
	}
	p := res.(*catalog.Policy)
	p.Normalize()
	snap := c.catalogue.Router().Snapshot()
	if err := catalog.ValidateResource(p, snap); err != nil {
		return err
	}
	return c.Reply(http.StatusOK, residency.Of(p, snap))
}

// checkPolicyOperation is that which checks a policy.
func checkPolicyOperation() operation {
	return operation{
		name: "check-policy", method: http.MethodPost, pattern: "/fado/policies/check", role: roleViewer, handle: checkPolicy, effect: effectReads,
		summary: "Which clusters a policy that may not be declared yet allows, and for each why or why not. Nothing is written.",
		request: catalog.NewResource(catalog.KindPolicy), requestTypes: []string{mediaJSON},
		replies: []reply{{status: 200, doc: "Every cluster.", body: residency.PolicyCheckView{}}}, errors: []int{400, 413, 503},
	}
}

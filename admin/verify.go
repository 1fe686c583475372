package admin

import (
	"net/http"
)

// verifyBucket asks for a verification of a bucket.
func verifyBucket(c *call) error {
	name := c.name()
	v, err := c.engine.VerifyBucket(c.r.Context(), name, c.query("deep") == "true")
	if err != nil {
		return storageTrouble(name, err)
	}
	return c.reply(http.StatusAccepted, viewVerification(v))
}

// verification tells what the last verification of a bucket found, or how far the one
// under way has come.
func verification(c *call) error {
	name := c.name()
	v, err := c.engine.Verification(c.r.Context(), name)
	if err != nil {
		return storageTrouble(name, err)
	}
	return c.reply(http.StatusOK, viewVerification(v))
}

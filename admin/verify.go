package admin

import "net/http"

// verifyBucket asks for a verification of a bucket.
func verifyBucket(c *call) error {
	name := c.Name()
	v, err := c.engine.verifications.Request(c.R.Context(), name, c.Query("deep") == "true")
	if err != nil {
		return storageTrouble(name, err)
	}
	return c.Reply(http.StatusAccepted, viewVerification(v))
}

// verification tells what the last verification of a bucket found, or how far the one
// under way has come.
func verification(c *call) error {
	name := c.Name()
	v, err := c.engine.verifications.Last(c.R.Context(), name)
	if err != nil {
		return storageTrouble(name, err)
	}
	return c.Reply(http.StatusOK, viewVerification(v))
}

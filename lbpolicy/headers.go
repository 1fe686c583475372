package lbpolicy

import (
	"context"
	"net/http"

	"github.com/fado-project/fado/routing"
)

// The headers FaDO sends, in canonical form.
const (
	headerCluster       = "X-Fado-Cluster"
	headerLocality      = "X-Fado-Locality"
	headerStorage       = "X-Fado-Storage"
	headerStorageBucket = "X-Fado-Storage-Bucket"
	headerInputs        = "X-Fado-Inputs"
	headerReason        = "X-Fado-Reason"
	headerRetryAfter    = "Retry-After"
)

// responseHeaders are those only FaDO may answer in.
var responseHeaders = [...]string{headerCluster, headerLocality, headerReason}

// stripForwarded removes what only FaDO may tell a function.
func stripForwarded(h http.Header) {
	delete(h, headerCluster)
	delete(h, headerLocality)
	delete(h, headerStorage)
	delete(h, headerStorageBucket)
	delete(h, headerInputs)
}

// setForwarded tells the function where it runs, how far the data is and where to
// read it, or removes such headers, so that no client can set them.
func setForwarded(st *requestState, d *routing.Decision, forward bool) {
	h := st.headersForAttempt()
	if !forward {
		stripForwarded(h)
		return
	}
	values := &st.forwarded
	if st.attempts > 1 { // the first attempt's may still be on its way
		values = new([4]string)
	}
	storage, bucket := d.StorageFor(st.endpoint)
	*values = [4]string{st.endpoint.Cluster, d.Locality.String(), storage, bucket}
	// The capacity of one keeps an append from overwriting the next value.
	h[headerCluster], h[headerLocality] = values[0:1:1], values[1:2:2]
	if storage != "" {
		h[headerStorage], h[headerStorageBucket] = values[2:3:3], values[3:4:4]
		return
	}
	delete(h, headerStorage) // a client's
	delete(h, headerStorageBucket)
}

// setResponse tells the client where its request went.
func setResponse(st *requestState, d *routing.Decision, w http.ResponseWriter) {
	h := w.Header()
	if st.refused {
		st.refused = false
		delete(h, headerReason)
		delete(h, headerRetryAfter)
	}
	values := &st.answered
	if st.attempts > 1 {
		values = new([2]string)
	}
	*values = [2]string{st.endpoint.Cluster, d.Locality.String()}
	h[headerCluster], h[headerLocality] = values[0:1:1], values[1:2:2]
}

// setRefusal tells the client why its request goes nowhere, and when to try again if
// that may help.
func setRefusal(st *requestState, w http.ResponseWriter, reason routing.Reason) {
	h := w.Header()
	delete(h, headerCluster)
	delete(h, headerLocality)
	delete(h, headerRetryAfter)
	h[headerReason] = []string{string(reason)}
	if after := retryAfter(reason); after != "" {
		h[headerRetryAfter] = []string{after}
	}
	st.refused = true
}

// retryAfter returns in how many seconds a refused request may be accepted: a copy
// is brought up to date within about one, and within five the health of each endpoint
// is checked. The other reasons last until the catalogue changes.
func retryAfter(reason routing.Reason) string {
	switch reason {
	case routing.ReasonNoFreshCopy:
		return "1"
	case routing.ReasonNoEndpoint:
		return "5"
	default:
		return ""
	}
}

// countAtEnd counts the refusal a request with retries ends with, if it does.
func countAtEnd(st *requestState, app App) {
	context.AfterFunc(st.req.Context(), func() {
		if reason := st.rejection.Load(); reason != nil {
			app.Invocations().CountRejection(*reason)
		}
	})
}

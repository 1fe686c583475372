package catalog

import "time"

// ObjectName names an object.
type ObjectName struct{ Bucket, Key string }

// Pulled says what is known of an object that lies in a cluster because an invocation
// there asked for it.
type Pulled struct {
	Size int64
	ETag string // as it was put there; "" while that is not known to have been done
	// Current says that it may be used: it was verified and is not about to be removed.
	Current bool
	// Until is when it expires unless it is used again.
	Until time.Time
}

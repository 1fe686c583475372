package site

import "time"

// patience is how long a storage may take to open before it counts as one that can't be
// opened. Opening makes no connection, but reads files (a ca_file, secrets), and a path may
// hang; no other storage waits for that.
const patience = time.Second

// opening is the making of a site's client.
type opening struct {
	began time.Time
	done  chan struct{}
	made  *Site // set when done is closed
}

// underWay reports whether the client is still being made.
func (o *opening) underWay() bool {
	if o == nil {
		return false
	}
	select {
	case <-o.done:
		return false
	default:
		return true
	}
}

// wait returns the site that was made, or the one that stands for it when patience is over.
func (o *opening) wait(meanwhile *Site) *Site {
	t := time.NewTimer(patience - time.Since(o.began))
	defer t.Stop()
	select {
	case <-o.done:
		return o.made
	case <-t.C:
		return meanwhile
	}
}

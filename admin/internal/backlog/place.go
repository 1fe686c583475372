package backlog

import (
	"strings"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// Place says where a failure stands among all of them: names of buckets and clusters have no slash.
func Place(f replication.Failure) string { return f.Bucket + "/" + f.Cluster + "/" + f.Key }

// PlaceOf reads it; "" is before all of them.
func PlaceOf(text string) (state.PendingKey, error) {
	if text == "" {
		return state.PendingKey{}, nil
	}
	parts := strings.SplitN(text, "/", 3)
	if len(parts) < 3 || parts[0] == "" || parts[1] == "" && parts[2] != "" { // a purge may be of no cluster
		return state.PendingKey{}, request.Bad("query parameter \"after\": %q: expected what the Link header of the page before says", text)
	}
	return state.PendingKey{Bucket: parts[0], Cluster: parts[1], Key: parts[2]}, nil
}

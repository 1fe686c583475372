package fleet

import (
	"time"

	"github.com/fado-project/fado/admin/internal/documents"
	"github.com/fado-project/fado/replication"
)

// RebalanceView answers GET, POST and DELETE /fado/rebalance.
type RebalanceView struct {
	Running bool `json:"running"` // whether it is under way
	// Since is when it began, null where none is under way.
	Since *time.Time `json:"since"`
	// Buckets are those that are not where placement would put them today, Primaries how many
	// of their primaries would move.
	Buckets   int64 `json:"buckets"`
	Primaries int64 `json:"primaries"` // of these, primaries that would move
	// Copies are to be made, with so many objects and bytes in all.
	Copies  int64 `json:"copies"`
	Objects int64 `json:"objects"` // their objects
	Bytes   int64 `json:"bytes"`   // their bytes
	// Moves are the first thousand, sorted by bucket and prefix.
	Moves []RebalanceMoveView `json:"moves"`
}

// RebalanceMoveView is what a rebalance changes about one rule of a bucket.
type RebalanceMoveView struct {
	Bucket string   `json:"bucket"` // the bucket's name
	Prefix string   `json:"prefix"` // the prefix of its rule; "" for the bucket's own
	Add    []string `json:"add"`    // clusters that would get a copy
	Remove []string `json:"remove"` // clusters whose copy would go
	// Primary is where the bucket's primary moves from and to, null where it stays.
	Primary *documents.PrimaryMove `json:"primary"`
	Objects int64                  `json:"objects"` // objects of one copy
	Bytes   int64                  `json:"bytes"`   // their bytes
}

// ViewRebalance tells how a rebalance is doing.
func ViewRebalance(st replication.RebalanceStatus) RebalanceView {
	v := RebalanceView{
		Running: st.Running, Buckets: st.Buckets, Primaries: st.Primaries, Copies: st.Copies, Objects: st.Objects, Bytes: st.Bytes,
		Moves: make([]RebalanceMoveView, 0, len(st.Moves)),
	}
	if st.Running {
		v.Since = &st.Since
	}
	for _, m := range st.Moves {
		v.Moves = append(v.Moves, viewRebalanceMove(m))
	}
	return v
}

func viewRebalanceMove(m replication.RebalanceMove) RebalanceMoveView {
	v := RebalanceMoveView{Bucket: m.Bucket, Prefix: m.Prefix, Add: append([]string{}, m.Add...), Remove: append([]string{}, m.Remove...), Objects: m.Objects, Bytes: m.Bytes}
	if m.To != "" {
		v.Primary = &documents.PrimaryMove{From: m.From, To: m.To}
	}
	return v
}

package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fado-project/fado/state"
)

// metaHolds is the mirror's value that says what it holds.
const metaHolds = "mirror/holds"

// holds says up to where a mirror holds what the store does, and when that was so. The
// tags are its stored form.
type holds struct {
	At      time.Time `json:"at"`
	Changes state.Seq `json:"changes"`
	Objects state.Seq `json:"objects"`
}

var (
	errEmpty = errors.New("there is no local mirror yet")
	errAhead = errors.New("the store is another one than was mirrored, or was restored from a backup")
)

// heldAt says when what a mirror holds was true.
func heldAt(ctx context.Context, s state.Store) (time.Time, error) {
	h, err := readHolds(ctx, s)
	if err == nil && h.At.IsZero() {
		err = errEmpty
	}
	return h.At, err
}

func readHolds(ctx context.Context, s state.Store) (h holds, err error) {
	text, err := s.Facts().GetMeta(ctx, metaHolds)
	if err != nil || text == "" {
		return h, err
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return holds{}, fmt.Errorf("reading what the local mirror holds: %w", err)
	}
	return h, nil
}

func writeHolds(ctx context.Context, s state.Store, h holds) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return s.Facts().PutMeta(ctx, metaHolds, string(text))
}

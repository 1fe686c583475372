package stored

import (
	"encoding/json"
	"fmt"

	"github.com/fado-project/fado/state"
)

// ScanBacklog reads a row of sums: of names, objects, bytes, held deletes, conflicts and failing rows, since
// when the oldest row and the oldest held delete differ, and the causes as [failingCause] in a JSON array, or "".
func ScanBacklog[R interface{ Scan(into ...any) error }](rows R) (b state.Backlog, err error) {
	var oldest, oldestHeld int64
	var causes string
	err = rows.Scan(&b.Bucket, &b.Cluster, &b.Objects, &b.Bytes, &b.HeldDeletes, &b.Conflicts, &b.Failing, &oldest, &oldestHeld, &causes)
	b.Oldest, b.OldestHeld = FromMillis(oldest), FromMillis(oldestHeld)
	if err != nil || causes == "" {
		return b, err
	}
	var all []failingCause
	if err := json.Unmarshal([]byte(causes), &all); err != nil {
		return b, fmt.Errorf("reading why objects fail: %w", err)
	}
	for _, c := range all {
		b.Causes = append(b.Causes, state.FailingCause(c))
	}
	return b, nil
}

// failingCause is a state.FailingCause as an array of its cause, since when (in milliseconds), and its error.
type failingCause state.FailingCause

// UnmarshalJSON implements json.Unmarshaler.
func (c *failingCause) UnmarshalJSON(text []byte) error {
	var since int64
	if err := json.Unmarshal(text, &[]any{&c.Cause, &since, &c.Error}); err != nil {
		return err
	}
	c.Oldest = FromMillis(since)
	return nil
}

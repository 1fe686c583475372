package stored

import (
	"encoding/json"
	"fmt"

	"github.com/fado-project/fado/state"
)

// EncodeSteps gives the stored form of a verification's steps, a JSON array.
func EncodeSteps(steps []string) (string, error) {
	if steps == nil {
		steps = []string{}
	}
	text, err := json.Marshal(steps)
	if err != nil {
		return "", fmt.Errorf("encoding the steps of a verification: %w", err)
	}
	return string(text), nil
}

// DecodeSteps reads what EncodeSteps wrote.
func DecodeSteps(text string) (steps []string, err error) {
	if err := json.Unmarshal([]byte(text), &steps); err != nil {
		return nil, fmt.Errorf("reading the steps of a verification: %w: %w", state.ErrCorrupt, err)
	}
	if len(steps) == 0 {
		return nil, nil
	}
	return steps, nil
}

// AsStored gives a verification as it is read back: times to the millisecond.
func AsStored(v state.Verification) state.Verification {
	v.Started, v.Finished = FromMillis(ToMillis(v.Started)), FromMillis(ToMillis(v.Finished))
	if len(v.Done) == 0 {
		v.Done = nil
	}
	return v
}

// Weighty says whether a change of a verification has to be on disk: it is what people
// asked for or are to be told, and not only progress.
func Weighty(before, after state.Verification) bool {
	return before.UnderWay != after.UnderWay || before.Deep != after.Deep || before.Node != after.Node ||
		before.Damage != after.Damage || !before.Started.Equal(after.Started)
}

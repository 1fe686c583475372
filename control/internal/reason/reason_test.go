package reason

import (
	"reflect"
	"testing"
	"time"

	"github.com/fado-project/fado/state"
)

func TestOf(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	failing := func(n int64, causes ...state.FailingCause) state.Backlog {
		return state.Backlog{Cluster: "c2", Objects: 9, Oldest: at(1), Failing: n, Causes: causes}
	}
	for _, tt := range []struct {
		name string
		log  state.Backlog
		down time.Time
		want []Reason
	}{
		{name: "on their way", log: state.Backlog{Cluster: "c2", Objects: 3, Oldest: at(1)}},
		{
			name: "held since the oldest held, not the oldest pending", log: state.Backlog{Cluster: "c2", HeldDeletes: 2, Oldest: at(1), OldestHeld: at(4)},
			want: []Reason{{HeldDeletes, "2 deletes are held in c2: more than max_deletes", "c2", at(4)}},
		},
		{
			name: "full", log: failing(3, state.FailingCause{Cause: state.CauseFull, Oldest: at(2), Error: "no space"}),
			want: []Reason{{Full, "3 objects can't be brought to c2 yet: no space", "c2", at(2)}},
		},
		{
			name: "refused, damaged and unknown", log: failing(
				3,
				state.FailingCause{Oldest: at(2), Error: "what it may be"},
				state.FailingCause{Cause: state.CauseCorrupt, Oldest: at(3), Error: "bad bytes"},
				state.FailingCause{Cause: state.CauseRefused, Oldest: at(4), Error: "no such key"},
			),
			want: []Reason{
				{Failing, "some of 3 objects can't be brought to c2 yet: what it may be", "c2", at(2)},
				{Damaged, "some of 3 objects can't be brought to c2 yet: bad bytes", "c2", at(3)},
				{KeyRefused, "some of 3 objects can't be brought to c2 yet: no such key", "c2", at(4)},
			},
		},
		{
			name: "by text alone", log: failing(1, state.FailingCause{Cause: "other", Oldest: at(2), Error: "c2 is full"}),
			want: []Reason{{Failing, "1 object can't be brought to c2 yet: c2 is full", "c2", at(2)}},
		},
		{
			name: "causes without a code are one reason, that of the oldest", log: failing(
				2,
				state.FailingCause{Cause: "locked", Oldest: at(5), Error: "locked"},
				state.FailingCause{Cause: "timeout", Oldest: at(2), Error: "slow"},
				state.FailingCause{Cause: "unavailable", Oldest: at(3), Error: "away"},
			),
			want: []Reason{{Failing, "some of 2 objects can't be brought to c2 yet: slow", "c2", at(2)}},
		},
		{
			name: "the copy's storage is down, since after the object differs", down: at(2), log: failing(1, state.FailingCause{Cause: state.CauseDown, Oldest: at(1), Error: "no answer"}),
			want: []Reason{{StorageDown, "1 object can't be brought to c2 yet: no answer", "c2", at(2)}},
		},
		{
			name: "another storage is", log: failing(1, state.FailingCause{Cause: state.CauseDown, Oldest: at(2), Error: "c1 does not answer"}),
			want: []Reason{{Failing, "1 object can't be brought to c2 yet: c1 does not answer", "c2", at(2)}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Of(tt.log, tt.down); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("\n got %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestTexts(t *testing.T) {
	if got := Texts([]Reason{{Text: "one"}, {Text: "two"}}); got != "one; two" {
		t.Error(got)
	}
}

package control_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
)

func every(*control.Event) bool { return true }

func namesOf(log []control.LoggedEvent) (all []string) {
	for _, e := range log {
		all = append(all, e.Name+e.Key)
	}
	return all
}

// What happened is there for those who come later, in order, and in pages.
func TestEventLog(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	bus := control.NewBus(func() time.Time { return now })
	for i := range 5 {
		bus.Emit(control.Event{Type: control.EventResource, Name: fmt.Sprint("r", i)})
		bus.Emit(control.Event{Type: control.EventTransfer, Op: "copied", Key: fmt.Sprint("k", i)})
	}
	all := bus.Log(0, 100, every)
	if got := namesOf(all); fmt.Sprint(got) != "[r0 k0 r1 k1 r2 k2 r3 k3 r4 k4]" {
		t.Errorf("all: %v", got)
	}
	if !slices.IsSortedFunc(all, func(a, b control.LoggedEvent) int { return int(a.Seq - b.Seq) }) || all[0].Seq == 0 {
		t.Errorf("numbers: %+v", all)
	}
	if got := namesOf(bus.Log(0, 3, every)); fmt.Sprint(got) != "[k3 r4 k4]" {
		t.Errorf("the last: %v", got)
	}
	if got := namesOf(bus.Log(all[3].Seq, 3, every)); fmt.Sprint(got) != "[r2 k2 r3]" {
		t.Errorf("behind one: %v", got)
	}
	if got := namesOf(bus.Log(0, 100, func(e *control.Event) bool { return e.Name == "r2" })); fmt.Sprint(got) != "[r2]" {
		t.Errorf("one that matches: %v", got)
	}
	next := control.NewBus(func() time.Time { return now.Add(time.Second) })
	next.Emit(control.Event{Name: "later"})
	if got := namesOf(next.Log(all[9].Seq, 1, every)); fmt.Sprint(got) != "[later]" {
		t.Errorf("after a restart: %v", got)
	}
}

// A bulk copy pushes out none but older copies, and the log is bounded.
func TestEventLogKeepsWhatPeopleLookFor(t *testing.T) {
	bus := control.NewBus(time.Now)
	bus.Emit(control.Event{Type: control.EventStorage, Name: "down"})
	bus.Emit(control.Event{Type: control.EventTransfer, Op: "failed", Key: "refused"})
	for i := range 20_000 {
		bus.Emit(control.Event{Type: control.EventTransfer, Op: "copied", Key: fmt.Sprint(i)})
	}
	all := namesOf(bus.Log(0, 100_000, every))
	if len(all) != 2002 || all[0] != "down" || all[1] != "refused" || all[2] != "18000" || all[2001] != "19999" {
		t.Errorf("%d: %v …", len(all), all[:3])
	}
	for range 20_000 {
		bus.Emit(control.Event{Type: control.EventCopy, Name: "copy"})
	}
	if all = namesOf(bus.Log(0, 100_000, every)); len(all) != 10_000 {
		t.Errorf("%d are kept", len(all))
	}
}

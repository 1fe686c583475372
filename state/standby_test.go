package state_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/fado-project/fado/state"
)

// TestStandbyRefuses calls every method of a standby whose mirror panics: all but the
// reads of what is mirrored, and the waiting for changes, are refused.
func TestStandbyRefuses(t *testing.T) {
	mirrored := map[string]bool{
		"Get": true, "Records": true, "List": true, "Each": true, "CopiesOf": true, "EachCopy": true, "CopySums": true, "BucketCounts": true,
		"ListPending": true, "EachPending": true, "Backlogs": true, "BacklogTotal": true, "ListPulled": true, "EachPulled": true, "PulledBytes": true,
		"GetUpload": true, "EachUpload": true, "Changes": true, "Watch": true, "Kind": true, "Close": true,
	}
	away := errors.New("the database is away")
	s := state.NewStandby("postgres", nil, func() error { return away })
	if s.Kind() != "postgres" || s.Close() != nil {
		t.Errorf("kind %q, or an error of Close", s.Kind())
	}
	contract := reflect.TypeFor[state.Store]()
	for method := range contract.Methods() {
		name := method.Name
		if mirrored[name] {
			continue
		}
		m := reflect.ValueOf(s).MethodByName(name)
		args := make([]reflect.Value, 0, m.Type().NumIn())
		for j := range m.Type().NumIn() {
			if m.Type().IsVariadic() && j == m.Type().NumIn()-1 {
				break
			}
			args = append(args, reflect.Zero(m.Type().In(j)))
		}
		args[0] = reflect.ValueOf(context.Background())
		out := m.Call(args)
		if err, _ := reflect.TypeAssert[error](out[len(out)-1]); !errors.Is(err, away) {
			t.Errorf("%s: got error %v, want the refusal", name, err)
		}
	}
}

package state_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/fado-project/fado/state"
)

// noMirror is a mirror whose every role panics.
type noMirror struct{ state.Store }

func (noMirror) Catalogue() state.Catalogue { return nil }
func (noMirror) Queue() state.Queue         { return nil }
func (noMirror) Pulls() state.Pulls         { return nil }
func (noMirror) Uploads() state.Uploads     { return nil }
func (noMirror) ChangeLog() state.ChangeLog { return nil }

// TestStandbyRefuses calls every method of every role of a standby whose mirror panics: all
// but the reads of what is mirrored, and the waiting for changes, are refused.
func TestStandbyRefuses(t *testing.T) {
	mirrored := map[string]bool{
		"Get": true, "Records": true, "List": true, "Each": true, "CopiesOf": true, "EachCopy": true, "CopySums": true, "BucketCounts": true,
		"ListPending": true, "EachPending": true, "Backlogs": true, "BacklogTotal": true, "ListPulled": true, "EachPulled": true, "PulledBytes": true,
		"GetUpload": true, "EachUpload": true, "Changes": true, "Watch": true,
	}
	away := errors.New("the database is away")
	s := state.NewStandby("postgres", noMirror{}, func() error { return away })
	if s.Kind() != "postgres" || s.Close() != nil {
		t.Errorf("kind %q, or an error of Close", s.Kind())
	}
	refused := 0
	for role := range reflect.TypeFor[state.Store]().Methods() {
		if role.Name == "Kind" || role.Name == "Close" {
			continue
		}
		handle := reflect.ValueOf(s).MethodByName(role.Name).Call(nil)[0]
		for method := range role.Type.Out(0).Methods() {
			if name := method.Name; !mirrored[name] {
				refused++
				if err := called(handle.MethodByName(name)); !errors.Is(err, away) {
					t.Errorf("%s of %s: got error %v, want the refusal", name, role.Name, err)
				}
			}
		}
	}
	if refused < 50 {
		t.Errorf("%d methods were called: those of the roles were not found", refused)
	}
}

// called calls a method without arguments worth mentioning, and returns its error.
func called(m reflect.Value) error {
	args := make([]reflect.Value, 0, m.Type().NumIn())
	for j := range m.Type().NumIn() {
		if m.Type().IsVariadic() && j == m.Type().NumIn()-1 {
			break
		}
		args = append(args, reflect.Zero(m.Type().In(j)))
	}
	args[0] = reflect.ValueOf(context.Background())
	out := m.Call(args)
	err, _ := reflect.TypeAssert[error](out[len(out)-1])
	return err
}

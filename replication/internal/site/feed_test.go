package site

import (
	"testing"

	"pgregory.net/rapid"
)

// The epoch is raised whenever the feed comes or goes, and at no other time: who saw the
// same epoch twice knows that there was no gap.
func TestFeedEpochs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var f Feed
		live, epoch := false, int64(0)
		expect := func(changed, nowLive bool) {
			if want := live != nowLive; changed != want {
				t.Fatalf("changed %v, want %v", changed, want)
			}
			if live != nowLive {
				epoch++
			}
			live = nowLive
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(*rapid.T) { expect(f.Set(), true) },
			"silent": func(t *rapid.T) {
				expect(f.Silent(Silence(rapid.IntRange(0, int(SilentOff)).Draw(t, "why"))), false)
			},
			"other":   func(*rapid.T) { expect(f.SilentFor("broken"), false) },
			"replace": func(*rapid.T) { f.Replace(SilentDown, SilentStarting) },
			"follow": func(t *rapid.T) {
				on, gap := rapid.Bool().Draw(t, "live"), rapid.Bool().Draw(t, "gap")
				f.Follow(on, "", gap)
				if on != live || gap {
					epoch++
				}
				live = on
			},
			"": func(t *rapid.T) {
				if s := f.Get(); s.Live != live || s.Epoch != epoch {
					t.Fatalf("%+v, want live %v in epoch %d", s, live, epoch)
				}
			},
		})
	})
}

func TestFeedReasons(t *testing.T) {
	t.Parallel()
	var f Feed
	if f.Get().Tried() {
		t.Error("nobody tried yet")
	}
	for why, words := range silences {
		f.Silent(Silence(why))
		if s := f.Get(); s.Silent != Silence(why) || s.Why != words || s.Tried() != (words != "") {
			t.Errorf("silence %d: %+v", why, s)
		}
	}
	f.Replace(SilentDown, SilentStarting)
	if s := f.Get(); s.Silent != SilentOff {
		t.Errorf("another reason was replaced: %+v", s)
	}
	f.Replace(SilentOff, SilentStarting)
	if s := f.Get(); s.Silent != SilentStarting || s.Why != silences[SilentStarting] {
		t.Errorf("the reason was not replaced: %+v", s)
	}
	f.Set()
	f.Replace(SilentUnknown, SilentDown)
	if s := f.Get(); !s.Live || !s.Tried() || s.Why != "" {
		t.Errorf("a live feed got a reason: %+v", s)
	}
	f.Follow(false, "elsewhere", false)
	if s := f.Get(); s.Silent != SilentOther || s.Why != "elsewhere" {
		t.Errorf("following: %+v", s)
	}
}

package caddymodule

import (
	"runtime/debug"
	"testing"
)

func TestVersionIn(t *testing.T) {
	fado := func(v string) *debug.Module { return &debug.Module{Path: modulePath, Version: v} }
	replaced := fado("v1.0.0")
	replaced.Replace = &debug.Module{Path: "/src/fado"}
	revision := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}}
	for name, test := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"plugged in":           {debug.BuildInfo{Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{{Path: "x", Version: "v9"}, fado("v1.2.3")}}, "v1.2.3"},
		"plugged in, local":    {debug.BuildInfo{Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{fado("(devel)")}, Settings: revision}, "devel"},
		"plugged in, replaced": {debug.BuildInfo{Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{replaced}}, "v1.0.0"},
		"own main":             {debug.BuildInfo{Main: *fado("(devel)"), Settings: revision}, "devel-0123456789ab"},
		"own main, tagged":     {debug.BuildInfo{Main: *fado("v2.0.0")}, "v2.0.0"},
		"nothing known":        {debug.BuildInfo{}, "devel"},
	} {
		if got := versionIn(&test.info); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
